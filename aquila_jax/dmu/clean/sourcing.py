"""Which sources may be read at all: blocked and allowed names and internet domains."""

from urllib import parse


def names(source: str, place: str) -> tuple[str, ...]:
    """What a document's origin is known by: its source, and the host of each address in it."""
    hosts = (parse.urlsplit(value).hostname or "" for value in (source, place))
    return tuple(name.lower() for name in (source, *hosts) if name)


def listed(source: str, place: str, entries: tuple[str, ...]) -> str:
    """The entry that is the source's name, its host or a parent domain of it; "" if none is."""
    for entry in entries:
        wanted = entry.lower()
        for name in names(source, place):
            if name == wanted or name.endswith("." + wanted):
                return entry
    return ""

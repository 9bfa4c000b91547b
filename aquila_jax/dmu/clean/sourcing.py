"""Which sources may be read at all: blocked and allowed names and internet domains."""

from urllib import parse


def names(source: str, place: str) -> tuple[str, ...]:
    """What a document's origin is known by: its source, and the host of each address in it."""
    return tuple(name.lower() for name in (source, _host(source), _host(place)) if name)


def _host(address: str) -> str:
    """The host of an address; "" for what is none, which the text of a web page may well hold."""
    try:
        return parse.urlsplit(address).hostname or ""
    except ValueError:
        return ""


def site(source: str) -> str:
    """The host where a source is an address, else the source itself."""
    return _host(source) or source


def listed(source: str, place: str, entries: tuple[str, ...]) -> str:
    """The entry that is the source's name, its host or a parent domain of it; "" if none is."""
    known = names(source, place)
    for entry in entries:
        wanted = entry.lower()
        for name in known:
            if name == wanted or name.endswith("." + wanted):
                return entry
    return ""

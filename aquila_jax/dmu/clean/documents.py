"""The document as cleaning sees it, and how it travels through datatrove's steps."""

import dataclasses
from collections.abc import Iterable, Iterator

from datatrove import data
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from aquila_jax.dmu.source_files import each_once
from aquila_jax.dmu.sources import Fields, Flaw, Source, read


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One text, what it says it is, and where it is from."""

    text: str
    id: str
    language: str = ""  # "en", "zh", "code", "math", "en-zh"; "": to be identified
    source: str = ""
    place: str = ""  # file:line, or an address
    domain: str = "documents"


def from_sources(sources: Iterable[Source]) -> Iterator[Document | Flaw]:
    """Every document of the sources, in their order, and what could not be read."""
    for source, file in each_once(sources):
        for found in read(file, Fields(source.text_field, source.place_field)):
            if isinstance(found, Flaw):
                yield found
            else:
                yield Document(
                    text=found.text,
                    id=found.id,
                    language=source.language,
                    source=found.source or source.name,
                    place=f"{found.file}:{found.line}",
                    domain=source.name,
                )


def to_step(document: Document, **more: object) -> data.Document:
    """As datatrove's document."""
    values = {field.name: getattr(document, field.name) for field in dataclasses.fields(document)}
    return data.Document(text=values.pop("text"), id=values.pop("id"), metadata={**values, **more})


def from_step(document: data.Document) -> Document:
    """Back from datatrove's document."""
    kept = {key: document.metadata[key] for key in ("language", "source", "place", "domain")}
    return Document(text=document.text, id=document.id, **kept)


def reader(_: object, rank: int, _world: int, *, folder: str) -> Iterator[data.Document]:
    """A datatrove step: the documents of shard `rank`, none if nothing was written there.

    datatrove's reader deals files out by their order, so that a shard of which nothing was left,
    and no file, would shift all after it.
    """
    source = JsonlReader(folder, compression="zstd", add_file_path=False)
    if source.data_folder.exists(f"{rank:05d}.jsonl.zst"):
        yield from source.read_file(f"{rank:05d}.jsonl.zst")


def writer(folder: str) -> JsonlWriter:
    """A datatrove step that writes shard `rank`."""
    return JsonlWriter(folder, output_filename="${rank}.jsonl", compression="zstd")

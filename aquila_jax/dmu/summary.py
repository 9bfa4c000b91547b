"""What a person wants to know of a store that was made."""

import collections
from collections.abc import Sequence

from aquila_jax.dmu.manifest import SPLITS, DomainInfo, Manifest, SourceReport, sizes
from aquila_jax.dmu.parts import Part
from aquila_jax.dmu.source_files import by_source, first_flaws


def summarise(made: Manifest, heldout: float) -> list[str]:
    """What a person wants to know of a store, a line a domain, a language, a flawed source.

    `heldout` is the share that was to be held out of domains without a held-out source.
    """
    lines = []
    for split in SPLITS:
        domains = made.split(split)
        lines += [_line(split, domain.name, [domain]) for domain in domains]
        for language in sorted({domain.language for domain in domains}):
            same = [domain for domain in domains if domain.language == language]
            lines.append(_line(split, f"language {language}", same))
    for source in made.sources:
        if source.cleaned:
            lines.append(
                f"{source.name} ({source.split}): cleaning took {source.cleaned} documents"
            )
        if source.flaws:
            lines.append(
                f"{source.name} ({source.split}): {source.flaws} unreadable documents left out, "
                f"first at {', '.join(source.first_flaws)}"
            )
    return [*lines, *_unmeasured(made, heldout)]


def _unmeasured(made: Manifest, heldout: float) -> list[str]:
    """A line for each domain of which nothing can be measured, though something was to be."""
    held = {domain.name for domain in made.heldout}
    return [
        f"{domain.name}: nothing is held out, since heldout={heldout} took none of its "
        f"{domain.documents} documents; raise it, or give the domain a source of "
        "split='heldout' to be measured on"
        for domain in made.train
        if heldout and domain.name not in held
    ]


def _line(split: str, name: str, domains: Sequence[DomainInfo]) -> str:
    told = sizes(domains)
    return (
        f"{split:7} {name:20} {told['documents']:9,} documents {told['tokens']:13,} tokens "
        f"{told['bytes'] / 1e6:9.2f} MB, tokens per byte {told['tokens_per_byte']:.4f}, "
        f"per character {told['tokens_per_character']:.4f}"
    )


def source_reports(parts: Sequence[Part]) -> tuple[SourceReport, ...]:
    """What came out of each source, in order."""
    stored = collections.Counter()
    for part in parts:
        source = part.reading.source
        stored[source.name, source.split] += part.train.documents + part.heldout.documents
    return tuple(
        SourceReport(
            name=key[0],
            split=key[1],
            language=group[0].source.language,
            files=len(group),
            documents=stored[key],
            cleaned=sum(reading.documents for reading in group) - stored[key],
            flaws=sum(reading.flaws for reading in group),
            first_flaws=first_flaws(group),
        )
        for key, group in by_source([part.reading for part in parts]).items()
    )

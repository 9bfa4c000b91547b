"""The data report: one page about what a token store is made of, from the account of it."""

from pathlib import Path
from typing import Any

from aquila_jax.core import files
from aquila_jax.report import page, words
from aquila_jax.report.read import printable
from aquila_jax.report.words import Text, say

SCRIPTS = ("format.js", "data.js")


def write(account: dict[str, Any], out: Path) -> tuple[Path, Path]:
    """Writes the account to `out` as a page, and beside it as .json; both places."""
    page.require_file(out)
    account, beside = printable(account), out.with_suffix(".json")
    if out == beside:
        raise ValueError(f"{out} is where the figures would go, beside the page; name it .html.")
    files.write(out, page.fill("data", contents(account), SCRIPTS).encode())
    files.write(beside, page.as_json(account) + b"\n")
    return out, beside


def contents(account: dict[str, Any]) -> dict[str, Any]:
    """Everything that the page shows, as plain values."""
    tables = [_rules, _groups, _sources, _leaks, _languages, _domains, _packing]
    made = [make(account) for make in tables]
    return {
        "name": account["store"],
        "sentence": _sentence(account),
        "tiles": _tiles(account),
        "tables": [table for table in made if table["rows"]],
    }


def _sentence(account: dict[str, Any]) -> Text:
    cleaned = account["cleaning"]
    if not cleaned:
        return say("data.not_cleaned")
    share = cleaned["documents_out"] / max(cleaned["documents_in"], 1)
    came, stayed = words.count(cleaned["documents_in"]), words.count(cleaned["documents_out"])
    return say("data.cleaned", came=came, stayed=stayed, share=words.percent(share, 1))


def _tiles(account: dict[str, Any]) -> list[dict[str, Any]]:
    total = {key: sum(row[key] for row in account["domains"]) for key in ("documents", "tokens")}
    size = sum(row["bytes"] for row in account["domains"])
    figures = {
        "documents": words.count(total["documents"]),
        "tokens": words.compact(total["tokens"]),
        "bytes": words.compact(size),
    }
    if cleaned := account["cleaning"]:
        copies = cleaned["duplicates"]["exact"] + cleaned["duplicates"]["near"]
        figures |= {
            "duplicates": words.count(copies),
            "leaks": words.count(len(cleaned["leaks"])),
            "masked": words.count(sum(cleaned["masked"].values())),
        }
    return [{"label": say(f"data.tile.{key}"), "value": value} for key, value in figures.items()]


def _rules(account: dict[str, Any]) -> dict[str, Any]:
    """What each filter took out; a row opens to samples."""
    cleaned = account["cleaning"] or {"rules": {}, "documents_in": 1}
    rules = sorted(cleaned["rules"].items(), key=lambda pair: -pair[1]["documents"])
    rows = [
        {
            "cells": [
                words.name("rule", name),
                words.count(rule["documents"]),
                words.percent(rule["documents"] / cleaned["documents_in"], 2),
                words.count(rule["characters"]),
            ],
            "inside": [_sample(sample) for sample in rule["samples"]],
        }
        for name, rule in rules
    ]
    return _table("rules", ("rule", "documents", "share", "characters"), rows)


def _sample(sample: dict[str, str]) -> dict[str, str]:
    where = " · ".join(part for part in (sample["id"], sample["source"]) if part)
    return {"where": where, "why": sample["evidence"], "text": sample["text"]}


def _groups(account: dict[str, Any]) -> dict[str, Any]:
    """What became of each source inside the domains."""
    groups = (account["cleaning"] or {"groups": ()})["groups"]
    rows = [
        _row(group["domain"], group["source"], words.count(group["in"]), words.count(group["out"]))
        for group in groups
    ]
    return _table("groups", ("domain", "source", "came", "stayed"), rows)


def _sources(account: dict[str, Any]) -> dict[str, Any]:
    rows = [
        _row(
            source["name"],
            say(f"data.{source['split']}"),
            words.name("language", source["language"]) if source["language"] else "–",
            *(words.count(source[key]) for key in ("files", "documents", "cleaned", "flaws")),
            inside=[{"where": flaw, "why": "", "text": ""} for flaw in source["first_flaws"]],
        )
        for source in account["sources"]
    ]
    head = ("source", "split", "language", "files", "stayed", "cleaned_out", "unreadable")
    return _table("sources", head, rows)


def _leaks(account: dict[str, Any]) -> dict[str, Any]:
    cleaned = account["cleaning"] or {"leaks": {}}
    counts = cleaned.get("leak_documents", {})  # older stores name every document, and count none
    rows = [
        _row(
            item,
            words.count(counts.get(item, len(held))),
            inside=[{"where": ", ".join(held[:20])}],
        )
        for item, held in cleaned["leaks"].items()
    ]
    return _table("leaks", ("item", "documents"), rows)


def _languages(account: dict[str, Any]) -> dict[str, Any]:
    rows = [
        _row(words.name("language", row["name"]), *_counts(row), *_density(row))
        for row in account["languages"]
    ]
    return _table("languages", ("language", *COUNTS, *DENSITY), rows)


def _domains(account: dict[str, Any]) -> dict[str, Any]:
    """Repetition at the planned tokens; a domain that wears out, or fills no sequence, stands out."""
    rows = []
    for row in account["domains"]:
        small = not row["fills_a_sequence"] and row["share"] > 0
        cells = (
            row["name"],
            *_counts(row),
            *_density(row)[:1],
            words.percent(row["share"], 1),
            words.compact(row["planned_tokens"]),
            f"{row['epochs']:.2f}",
            words.percent(row["last_token_value"]),
        )
        rows.append(_row(*cells) | {"lags": small or row["epochs"] > 4})
    head = ("domain", *COUNTS, "tokens_per_byte", "share", "planned", "epochs", "last_value")
    return _table("domains", head, rows)


def _packing(account: dict[str, Any]) -> dict[str, Any]:
    kinds = ("concat", "best_fit")
    rows = [
        _row(
            row["name"],
            *(words.percent(row[kind][what], 1) for kind in kinds for what in ("cut", "padding")),
        )
        for row in account["packing"]
    ]
    head = ("domain", *(f"{kind}_{what}" for kind in kinds for what in ("cut", "padding")))
    return _table("packing", head, rows)


COUNTS = ("documents", "tokens", "bytes")
DENSITY = ("tokens_per_byte", "tokens_per_character")


def _counts(row: dict[str, Any]) -> list[str]:
    return [words.count(row["documents"]), *(words.compact(row[key]) for key in COUNTS[1:])]


def _density(row: dict[str, Any]) -> list[str]:
    return [f"{row[key]:.3f}" for key in DENSITY]


def _row(*cells: str | Text, inside: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {"cells": list(cells), "inside": inside or []}


def _table(name: str, head: tuple[str, ...], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": name,
        "title": say(f"data.{name}.title"),
        "note": say(f"data.{name}.note"),
        "head": [say(f"data.{key}") for key in head],
        "rows": rows,
    }

"""The data report as plain values: what came in, what was left out, what a plan does with the rest."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aquila_jax.dmu import packing, repetition
from aquila_jax.dmu.manifest import DomainInfo, Manifest, sizes
from aquila_jax.dmu.store import TokenStore

MOST = 200_000  # documents of a domain that packings are tried on


class Plan(NamedTuple):
    """What a run is going to read."""

    length: int  # tokens of a sequence
    sequences: int
    shares: Mapping[str, float]  # domain -> part of the sequences


def once(store: TokenStore, length: int = 2048) -> Plan:
    """Everything once, for a store of which no plan is known."""
    tokens = {info.name: info.tokens for info in store.manifest.train}
    total = sum(tokens.values())
    shares = {name: count / total for name, count in tokens.items()}
    return Plan(length, -(-total // length), shares)


def account(store: TokenStore, plan: Plan) -> dict[str, Any]:
    """Everything of the data report; tokens and bytes are those of the training split."""
    made = store.manifest
    return {
        "store": store.path,
        "tokenizer": {"sha256": made.tokenizer_sha256, "entries": made.vocab_size},
        "plan": {"length": plan.length, "sequences": plan.sequences},
        "sources": _sources(made),
        "cleaning": made.cleaning,
        "languages": _languages(made.train),
        "domains": [_domain(info, plan) for info in made.train],
        "heldout": [{"name": info.name} | sizes([info]) for info in made.heldout],
        "packing": [_packings(store, info.name, plan.length) for info in made.train],
    }


def _sources(made: Manifest) -> list[dict[str, Any]]:
    fields = ("name", "split", "language", "files", "documents", "cleaned", "flaws", "first_flaws")
    return [{field: getattr(source, field) for field in fields} for source in made.sources]


def _languages(infos: Sequence[DomainInfo]) -> list[dict[str, Any]]:
    names = dict.fromkeys(info.language for info in infos)
    same = {name: [info for info in infos if info.language == name] for name in names}
    return [{"name": name} | sizes(own) for name, own in same.items()]


def _domain(info: DomainInfo, plan: Plan) -> dict[str, Any]:
    """How often the plan reads a domain, and what its last token is still worth."""
    share = plan.shares.get(info.name, 0.0)
    planned = share * plan.sequences * plan.length
    unique = max(info.tokens - info.documents, 1)  # the first of a document is no target
    epochs = planned / unique
    worth = {
        "share": share,
        "planned_tokens": planned,
        "epochs": epochs,
        "effective_tokens": repetition.effective_tokens(planned, unique),
        "last_token_value": repetition.repeated_token_value(epochs),
        "fills_a_sequence": info.tokens > plan.length,
    }
    return {"language": info.language, "name": info.name} | sizes([info]) | worth


def _packings(store: TokenStore, name: str, length: int) -> dict[str, Any]:
    """Documents cut and places padded by each packing, among the first documents of a domain."""
    offsets = store.offsets("train", name)[: MOST + 1]
    found = {kind: packing.shares(kind, offsets, length) for kind in packing.PACKINGS}
    shares = {kind: {"cut": both.cut, "padding": both.padding} for kind, both in found.items()}
    return {"name": name, "documents": len(offsets) - 1} | shares

"""A prepared store that joins a running job: looked into, checked, and put beside the others."""

from collections.abc import Mapping, Sequence
from typing import Any

from aquila_jax.config import Config
from aquila_jax.dmu.store import TokenStore, join, open_store, require_tokenizer
from aquila_jax.dmu.stream import Stream
from aquila_jax.train.host import HostState


def open_all(config: Config, joined: Sequence[Mapping[str, Any]]) -> TokenStore:
    """The store of the configuration and those that joined since, as one."""
    store = open_store(config.data.store)
    for source in joined:
        store = join(store, open_store(source["store"]))
    return store


def require_same(store: TokenStore, saved: Mapping[str, Any]) -> None:
    """ValueError where a checkpoint, `saved` as JSON, was trained on something else than `store`."""
    if saved.get("store", store.manifest.identity()) != store.manifest.identity():
        raise ValueError(
            f"{store.path} is not the store that this run was trained on: its text or its "
            "tokenizer is another; bring back that one (data.store says where it lies), or start in "
            "another --workdir."
        )


def inspect(config: Config, store: TokenStore, place: str) -> dict[str, Any]:
    """What an order to add the store at `place` means; ValueError if this run cannot take it."""
    new = open_store(place)
    require_tokenizer(new, store.manifest.tokenizer_sha256)
    join(store, new)
    sizes = Stream(new, config.data.length, config.data.packing).sizes
    if empty := sorted(name for name, size in sizes.items() if not size):
        raise ValueError(
            f"{place}: domains {empty} have fewer tokens than one sequence of "
            f"{config.data.length}; give them more text."
        )
    domains = {
        info.name: {"language": info.language, "sequences": sizes[info.name]}
        for info in new.manifest.train
    }
    return {"store": place, "domains": domains}


def languages(source: Mapping[str, Any] | None) -> dict[str, str]:
    """Domain -> language of what joins."""
    return {name: told["language"] for name, told in (source or {"domains": {}})["domains"].items()}


def shares(source: Mapping[str, Any], host: HostState) -> dict[str, float]:
    """The mixture if nobody names one: each new domain by its size, the others as they were."""
    new = {name: told["sequences"] for name, told in source["domains"].items()}
    total = sum(new.values()) + int(host.ledger.sizes.sum())
    room = 1 - sum(new.values()) / total
    before = {name: room * share for name, share in host.weights.items()}
    return before | {name: size / total for name, size in new.items()}

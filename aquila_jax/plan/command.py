"""The verb `plan`: from names of slices to a table, and JSON if wanted."""

import os
from collections.abc import Sequence
from pathlib import Path

import jax

from aquila_jax.config import Config
from aquila_jax.plan import cache, chips, roofline, search, table, topology
from aquila_jax.plan.candidates import Candidate
from aquila_jax.plan.chips import Slice
from aquila_jax.plan.search import Search

NOTE = (
    "Steps and shares of the peak are bounds from published peaks: everything overlaps, nothing "
    "does (plan/roofline.py). Days and cost are for the first. Memory and collectives are the "
    "compiler's."
)


def slices(names: Sequence[str], most_chips: int | None) -> list[Slice]:
    """Those named, and the largest of each kind within a budget of chips."""
    found = [chips.find(name) for name in names]
    if most_chips is not None:
        found += chips.within(most_chips)
    if not found:
        raise ValueError(
            f"plan needs --topology NAME or --chips N; topologies are: {', '.join(chips.slices())}."
        )
    return list({slice_.name: slice_ for slice_ in found}.values())


def run(
    config: Config,
    wanted: Sequence[Slice],
    how: Search,
    *,
    price: float | None,
    out: Path | None,
    save: Path | None,
) -> None:
    """Plans, tells, and writes what is to be written. `price` is for one chip and hour."""
    topology.require()
    jax.config.update("jax_platforms", "cpu")  # a libtpu that JAX loads here would take the lock
    if save and len(wanted) != 1:
        raise ValueError(f"--save keeps one program, but {len(wanted)} topologies are given.")
    if how.tries < 1:
        raise ValueError(f"--tries {how.tries} must be at least 1.")
    for file in filter(None, (out, save)):
        require_place(file)
    plans = [priced(search.best(config, slice_, how), price) for slice_ in wanted]
    for plan in plans:
        how.say("\n".join(table.details(plan)))
    how.say(table.markdown(plans))
    how.say(NOTE)
    if out:
        cache.write_json(out, {"note": NOTE, "plans": plans})
    if save:
        keep(config, plans[0], how, file=save)


def require_place(file: Path) -> None:
    """An error unless a file can be written there, before minutes of compiling are spent on it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise ValueError(
            f"{file} cannot be written, for it is a folder or lies in one that is not yours; name "
            "another file."
        )


def priced(plan: dict, price: float | None) -> dict:
    """The plan with its cost, if it fits and there is a price."""
    if price is None or not plan["fits"]:
        return plan
    return plan | {"cost": roofline.cost(plan["days"], chips.find(plan["topology"]), price)}


def keep(config: Config, plan: dict, how: Search, *, file: Path) -> None:
    """Compiles the plan's program once more, since caches hold only reports, and writes it."""
    slice_, candidate = chips.find(plan["topology"]), Candidate(**plan["layout"])
    if not plan["fits"]:
        raise ValueError(f"{plan['config']} does not fit on {slice_.name}: nothing to save.")
    how.say(f"compiling for {file}")
    search.compiled(config, candidate, slice_, how, save=file.absolute())
    how.say(f"the program: {file} ({file.stat().st_size / 1e6:.1f} MB)")

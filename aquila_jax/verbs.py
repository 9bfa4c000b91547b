"""What each verb of the command line does; gives the exit code."""

import argparse
import functools
import json
import os
import threading
import time
from pathlib import Path

import jax

from aquila_jax import config as configuration
from aquila_jax.config import Config
from aquila_jax.config_file import load_config
from aquila_jax.dmu import account as accounts
from aquila_jax.dmu import places, sample, staging, store
from aquila_jax.dmu import prepare as preparation
from aquila_jax.evaluate.suite import in_words
from aquila_jax.plan import command as planning
from aquila_jax.plan.search import Search
from aquila_jax.report import data_page
from aquila_jax.report.page import write_page
from aquila_jax.report.serve import serve
from aquila_jax.train import ahead, distributed, inbox, look, loop, memory, orders
from aquila_jax.train import replay as replaying

FINISHED, FAILED = 0, 1
STOPPED = os.EX_TEMPFAIL  # 75: saved, run the same command again
INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT
CALLED = 3  # saved, and a person should look before it is run again


def train(options: argparse.Namespace, settings: list[str]) -> int:
    """The main job, from where its folder stands."""
    config = load_config(options.config, settings)
    distributed.start()
    with memory.told(config):
        outcome = loop.train(config, options.workdir, report=_say)
    return {"finished": FINISHED, "stopped": STOPPED, "called": CALLED}[outcome]


def prepare(options: argparse.Namespace, settings: list[str]) -> int:
    """Documents to a token store, and the data report."""
    config = configuration.located(load_config(options.config, settings), options.workdir)
    if config.data.sample_megabytes:
        _generate(config, options.workdir)
    preparation.prepare(config.prepare, config.data.store, report=_tell)
    _write_account(config.data.store, config, options.workdir / "data.html")
    staging.publish(options.workdir, ("data.html", "data.json"))
    return FINISHED


def _generate(config: Config, workdir: Path) -> None:
    """The text of the default job, whole here and, where the workdir is one, in object storage."""
    wanted = {"seed": config.data.seed, "megabytes": config.data.sample_megabytes}
    folder = workdir / "sample"
    if not folder.exists():
        _tell(f"generating {config.data.sample_megabytes:g} MB of bilingual text in {folder}")
        sample.write_sample(folder, **wanted)
    sample.require(folder, **wanted)
    staging.publish(workdir, ("sample/*", "sample/*/*"))


def plan(options: argparse.Namespace, settings: list[str]) -> int:
    """Compiles for TPU slices without one, and tells what that shows."""
    config = load_config(options.config, settings)
    how = Search(
        lower=ahead.lower,
        folder=options.cache,
        tries=options.tries,
        say=_tell,
        as_is=options.as_is,
    )
    wanted = planning.slices(options.topology, options.chips)
    planning.run(config, wanted, how, price=options.price, out=options.out, save=options.save)
    return FINISHED


def _write_account(path: str, config: Config | None, out: Path) -> None:
    """The data report of a token store, under the plan of `config` if there is one."""
    opened = store.open_store(path)
    plan = accounts.once(opened) if config is None else look.plan(config, opened)
    page, figures = data_page.write(accounts.account(opened, plan), out)
    _tell(f"the data report: {page} and {figures}")


def report(options: argparse.Namespace, settings: list[str]) -> int:
    """The page of runs, or of a token store."""
    if bool(options.data) == bool(options.workdir):
        raise ValueError("report needs either --workdir, of runs, or --data, of a token store.")
    if not (options.data and options.config):
        _require_nothing(settings)
    if options.data:
        config = load_config(options.config, settings) if options.config else None
        _write_account(options.data, config, options.out or Path("data.html"))
        return FINISHED
    folders = [staging.fetch(folder) for folder in options.workdir]
    if options.serve is not None:
        threading.Thread(target=_follow, args=(folders,), daemon=True).start()
        serve(folders, options.serve)
        return FINISHED
    page = write_page(folders, options.out or folders[0] / "report.html")
    if not options.out:
        staging.publish(folders[0], ("report.html",))
        page = places.join(staging.home(folders[0]), page.name)
    print(f"the report: {page}")
    return FINISHED


def verify(options: argparse.Namespace, settings: list[str]) -> int:
    """Compares every byte of a token store with what was written."""
    _require_nothing(settings)
    store.verify(store.open_store(options.data), report=_tell)
    print(f"{options.data} is what was written")
    return FINISHED


def _follow(folders: list[Path]) -> None:
    """Fetches again and again what is published of runs in object storage."""
    while any(map(staging.is_staged, folders)):
        time.sleep(30)
        try:
            for folder in folders:
                staging.fetch(folder)
        except (ValueError, OSError) as error:
            _tell(f"report: {error}; the page shows what was there before, and this is tried again")


def steer(options: argparse.Namespace, settings: list[str]) -> int:
    """Hands in an order, or lists what was decided."""
    _require_nothing(settings)
    if options.list:
        print("\n".join(inbox.in_words(staging.fetch(options.workdir))))
        return FINISHED
    requests = [{"kind": kind} for kind in ("checkpoint", "stop") if getattr(options, kind)]
    if options.rewind is not None:
        requests.append({"kind": "rewind", "arguments": {"to_step": options.rewind}})
    if len(requests) > 1:
        raise ValueError("--checkpoint, --stop and --rewind are one order each.")
    order = {
        "author": options.author,
        "why": options.why,
        "control": _pairs(options.set),
        "weights": _pairs([pair for given in options.weights for pair in given.split(",")]),
        "exclude": [_span(span) for span in options.exclude],
        "documents": [_document(name) for name in options.exclude_document],
        "add_source": places.absolute(options.add_source) if options.add_source else None,
        "request": requests[0] if requests else None,
    }
    orders.check(order)
    file = inbox.hand_in(options.workdir, order)
    print(f"handed in as {file}; a running job takes it within {inbox.EVERY} steps")
    return FINISHED


def replay(options: argparse.Namespace, settings: list[str]) -> int:
    """Compares the journal's decisions with those that follow from the records."""
    _require_nothing(settings)
    told = replaying.replay(staging.fetch(options.workdir))
    print(
        f"{told.steps:,} steps lead to the same {told.lines:,} lines of the journal, "
        f"{told.decisions:,} decisions among them, bit for bit"
    )
    return FINISHED


def evaluate(options: argparse.Namespace, settings: list[str]) -> int:
    """Measures a checkpoint now."""
    _require_nothing(settings)
    for line in look.evaluate(
        staging.fetch(options.workdir),
        step=options.step,
        questions=tuple(options.questions),
        shots=options.shots,
        report=_say,
    ):
        _say(json.dumps(line, ensure_ascii=False) if options.json else in_words(line))
    return FINISHED


def trace(options: argparse.Namespace, settings: list[str]) -> int:
    """Names the documents behind a step, or the steps that learned from a document."""
    _require_nothing(settings)
    if (options.step is None) == (options.document is None):
        raise ValueError("trace needs either --step, of the run, or --document, of its store.")
    folder = staging.fetch(options.workdir)
    if options.document:
        for step, found in look.steps_with(folder, *_document(options.document), report=_tell):
            print(f"step {step:,}  sequence {found.sequence:,}  epoch {found.epoch}")
        return FINISHED
    for found in look.documents(folder, options.step, report=_tell):
        print(
            f"sequence {found.sequence:,}  {found.domain} epoch {found.epoch}  document "
            f"{found.document} tokens {found.first}-{found.last}  {json.dumps(found.provenance)}"
        )
    return FINISHED


def _pairs(given: list[str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, _, value in (pair.partition("=") for pair in given)}
    except ValueError as error:
        raise ValueError(f"{given} must read NAME=NUMBER.") from error


def _span(given: str) -> list[int]:
    first, _, last = given.partition(":")
    if not (first.isdecimal() and last.isdecimal()):
        raise ValueError(f"--exclude {given} must read FIRST:LAST, in sequences.")
    return [int(first), int(last)]


def _document(given: str) -> tuple[str, int]:
    domain, _, number = given.rpartition(":")
    if not (domain and number.isdecimal()):
        raise ValueError(f"document {given} must read DOMAIN:NUMBER, as `trace --step` tells them.")
    return domain, int(number)


def _require_nothing(settings: list[str]) -> None:
    if settings:
        raise ValueError(f"{settings} is not understood; see --help.")


_tell = functools.partial(print, flush=True)


def _say(line: str) -> None:
    """Of one process of a job; asking which one this is takes the devices."""
    if jax.process_index() == 0:
        print(line, flush=True)

"""The one door: `python -m aquila_jax VERB --config=configs/NAME.py --workdir=DIR`."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from aquila_jax import config as configuration
from aquila_jax.config import Config
from aquila_jax.dmu import account as accounts
from aquila_jax.dmu import places
from aquila_jax.dmu import prepare as preparation
from aquila_jax.dmu.sample import write_sample
from aquila_jax.dmu.store import open_store
from aquila_jax.evaluate.suite import in_words
from aquila_jax.report import data_page
from aquila_jax.report.page import write_page
from aquila_jax.report.serve import serve
from aquila_jax.train import distributed, inbox, look
from aquila_jax.train.loop import train
from aquila_jax.train.replay import replay

FINISHED, FAILED, STOPPED = 0, 1, 75  # 75 is EX_TEMPFAIL: saved, run the same command again
CALLED = 3  # saved, and a person should look before it is run again


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb; a user's mistake is one sentence and exit code 1."""
    options, settings = _parser().parse_known_args(arguments)
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        return options.run(options, settings)
    except (ValueError, OSError) as error:
        if os.environ.get("AQUILA_TRACEBACK"):
            raise
        print(f"aquila_jax {options.verb}: {error}", file=sys.stderr)
        return FAILED


def load_config(path: str, settings: list[str]) -> Config:
    """The configuration in `path` with `--config.key=value` overrides."""
    if not Path(path).is_file():
        raise ValueError(f"--config={path} is no file; the ones that come along are in configs/.")
    holder = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=holder)
    try:
        left = holder(["aquila_jax", f"--config={path}", *settings])
    except (AttributeError, KeyError, TypeError, flags.Error) as error:
        raise ValueError(f"{' '.join(settings)} does not fit {path}: {error}") from error
    if left[1:]:
        raise ValueError(f"{left[1:]} is not understood; settings read --config.key=value.")
    return configuration.from_config_dict(holder.config)


def _train(options: argparse.Namespace, settings: list[str]) -> int:
    config = load_config(options.config, settings)
    distributed.start()
    outcome = train(config, options.workdir, report=_say)
    return {"finished": FINISHED, "stopped": STOPPED, "called": CALLED}[outcome]


def _prepare(options: argparse.Namespace, settings: list[str]) -> int:
    config = configuration.located(load_config(options.config, settings), options.workdir)
    sample = options.workdir / "sample"
    if config.data.sample_megabytes and not sample.exists():
        _say(f"generating {config.data.sample_megabytes:g} MB of bilingual text in {sample}")
        write_sample(sample, seed=config.data.seed, megabytes=config.data.sample_megabytes)
    preparation.prepare(config.prepare, config.data.store, report=_say)
    _write_account(config.data.store, config, options.workdir / "data.html")
    return FINISHED


def _write_account(path: str, config: Config | None, out: Path) -> None:
    """The data report of a token store, under the plan of `config` if there is one."""
    store = open_store(path)
    plan = accounts.once(store) if config is None else look.plan(config, store)
    page, figures = data_page.write(accounts.account(store, plan), out)
    _say(f"the data report: {page} and {figures}")


def _report(options: argparse.Namespace, settings: list[str]) -> int:
    if bool(options.data) == bool(options.workdir):
        raise ValueError("report needs either --workdir, of runs, or --data, of a token store.")
    if options.data:
        config = load_config(options.config, settings) if options.config else None
        _write_account(options.data, config, options.out or Path("data.html"))
    elif options.serve is not None:
        serve(options.workdir, options.serve)
    else:
        page = write_page(options.workdir, options.out or options.workdir[0] / "report.html")
        print(f"the report: {page}")
    return FINISHED


def _steer(options: argparse.Namespace, settings: list[str]) -> int:
    _require_nothing(settings)
    if options.list:
        print("\n".join(inbox.in_words(options.workdir)))
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
        "add_source": places.absolute(options.add_source) if options.add_source else None,
        "request": requests[0] if requests else None,
    }
    file = inbox.hand_in(options.workdir, order)
    print(f"handed in as {file}; a running job takes it within {inbox.EVERY} steps")
    return FINISHED


def _replay(options: argparse.Namespace, settings: list[str]) -> int:
    _require_nothing(settings)
    told = replay(options.workdir)
    print(
        f"{told.steps:,} steps lead to the same {told.lines:,} lines of the journal, "
        f"{told.decisions:,} decisions among them, bit for bit"
    )
    return FINISHED


def _evaluate(options: argparse.Namespace, settings: list[str]) -> int:
    _require_nothing(settings)
    for line in look.evaluate(
        options.workdir,
        step=options.step,
        questions=tuple(options.questions),
        shots=options.shots,
        report=_say,
    ):
        _say(json.dumps(line, ensure_ascii=False) if options.json else in_words(line))
    return FINISHED


def _trace(options: argparse.Namespace, settings: list[str]) -> int:
    _require_nothing(settings)
    for found in look.documents(options.workdir, options.step, report=_say):
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


def _require_nothing(settings: list[str]) -> None:
    if settings:
        raise ValueError(f"{settings} is not understood; see --help.")


def _say(line: str) -> None:
    if jax.process_index() == 0:
        print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aquila_jax", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Callable, purpose: str) -> argparse.ArgumentParser:
        child = verbs.add_parser(name, help=purpose, description=purpose)
        child.set_defaults(run=run)
        return child

    def on_config(name: str, run: Callable, purpose: str) -> argparse.ArgumentParser:
        child = verb(name, run, purpose)
        child.epilog = "Any setting: --config.key=value, for example --config.train.batch=32"
        child.add_argument("--config", required=True, help="a file of configs/")
        child.add_argument("--workdir", required=True, type=Path, help="the folder of the run")
        return child

    on_config("prepare", _prepare, "documents to tokenizer and token store")
    on_config("train", _train, "the main job; goes on by itself where the workdir stands")
    child = verb("steer", _steer, "hand a change to a running job, or list what was decided")
    _steer_options(child)
    child = verb("replay", _replay, "run the journal's decisions again and compare")
    child.add_argument("--workdir", required=True, type=Path, help="the folder of the run")
    child = verb("evaluate", _evaluate, "bits per byte and multiple choice of a checkpoint")
    child.add_argument("--workdir", required=True, type=Path, help="the folder of the run")
    child.add_argument("--step", type=int, help="of the checkpoint; default: the newest")
    child.add_argument("--questions", nargs="+", default=[], help="more files of items")
    child.add_argument("--shots", type=int, default=0, help="answered items before each")
    child.add_argument("--json", action="store_true", help="all figures, a line each")
    child = verb("trace", _trace, "the documents behind a step")
    child.add_argument("--workdir", required=True, type=Path, help="the folder of the run")
    child.add_argument("--step", required=True, type=int, help="a finished step")
    child = verb("report", _report, "the page of runs, side by side, or of a token store")
    child.add_argument("--workdir", type=Path, nargs="+", help="folders of runs")
    child.add_argument("--data", metavar="STORE", help="a token store, instead of runs")
    child.add_argument("--config", help="whose plan the data report is about; default: one epoch")
    child.add_argument("--out", type=Path,
                       help="the page's file; default: WORKDIR/report.html, or data.html")  # fmt: skip
    child.add_argument("--serve", type=int, metavar="PORT", help="follow the runs live instead")
    return parser


def _steer_options(child: argparse.ArgumentParser) -> None:
    child.add_argument("--workdir", required=True, type=Path, help="the folder of the run")
    child.add_argument(
        "--set", nargs="+", default=[], metavar="FIELD=NUMBER", help="of the control"
    )
    child.add_argument("--weights", nargs="+", default=[], metavar="NAME=SHARE,...",
                       help="of all domains, or of all languages")  # fmt: skip
    child.add_argument("--exclude", nargs="+", default=[], metavar="FIRST:LAST",
                       help="sequences ahead, never to be read")  # fmt: skip
    child.add_argument("--add-source", metavar="STORE",
                       help="a prepared store joins, with the --weights of all, or by its size")  # fmt: skip
    child.add_argument("--rewind", type=int, metavar="STEP", help="go on from there")
    child.add_argument("--checkpoint", action="store_true", help="save now")
    child.add_argument("--stop", action="store_true", help="save and stop")
    child.add_argument("--author", default=os.environ.get("USER", ""), help="who says so")
    child.add_argument("--why", default="", help="for the journal")
    child.add_argument("--list", action="store_true", help="the journal in words")

"""The one door: `python -m aquila_jax VERB --config=configs/NAME.py --workdir=DIR`."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from aquila_jax import verbs
from aquila_jax.dmu import staging
from aquila_jax.train.fleet import Corrupted
from aquila_jax.train.rollcall import Absent

FOLDER = "the folder of the run, local or gs://"


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
        return verbs.FAILED
    except KeyboardInterrupt:
        told = "interrupted; what is whole is kept, and the same command may be run again."
        print(f"aquila_jax {options.verb}: {told}", file=sys.stderr)
        return verbs.INTERRUPTED
    except (Absent, Corrupted) as error:
        print(f"aquila_jax {options.verb}: {error}", file=sys.stderr)
        return verbs.STOPPED


def _to_run(address: str) -> Path:
    return _staged(address, "run")


def _to_look(address: str) -> Path:
    return _staged(address, "look")


def _staged(address: str, use: Literal["run", "look"]) -> Path:
    try:
        return staging.stage(address, use)
    except ValueError as error:  # of which argparse would tell no more than that there was one
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aquila_jax", description=__doc__)
    children = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Callable, purpose: str) -> argparse.ArgumentParser:
        child = children.add_parser(name, help=purpose, description=purpose)
        child.set_defaults(run=run)
        return child

    def on_config(name: str, run: Callable, purpose: str) -> argparse.ArgumentParser:
        child = verb(name, run, purpose)
        child.epilog = "Any setting: --config.key=value, for example --config.train.batch=32"
        child.add_argument("--config", required=True, help="a file of configs/")
        child.add_argument("--workdir", required=True, type=_to_run, help=FOLDER)
        return child

    on_config("prepare", verbs.prepare, "documents to tokenizer and token store")
    on_config("train", verbs.train, "the main job; goes on by itself where the workdir stands")
    child = verb("steer", verbs.steer, "hand a change to a running job, or list what was decided")
    _steer_options(child)
    child = verb("replay", verbs.replay, "run the journal's decisions again and compare")
    child.add_argument("--workdir", required=True, type=_to_look, help=FOLDER)
    child = verb("evaluate", verbs.evaluate, "bits per byte and multiple choice of a checkpoint")
    child.add_argument("--workdir", required=True, type=_to_look, help=FOLDER)
    child.add_argument("--step", type=int, help="of the checkpoint; default: the newest")
    child.add_argument("--questions", nargs="+", default=[], help="more files of items")
    child.add_argument("--shots", type=int, default=0, help="answered items before each")
    child.add_argument("--json", action="store_true", help="all figures, a line each")
    child = verb(
        "trace", verbs.trace, "the documents behind a step, or the steps behind a document"
    )
    child.add_argument("--workdir", required=True, type=_to_look, help=FOLDER)
    child.add_argument("--step", type=int, help="a finished step")
    child.add_argument("--document", metavar="DOMAIN:NUMBER", help="of the token store")
    _planning(verb("plan", verbs.plan, "does it fit on a TPU slice, what bounds it, what it costs"))
    child = verb("report", verbs.report, "the page of runs, side by side, or of a token store")
    child.add_argument("--workdir", type=_to_look, nargs="+", help="folders of runs")
    child.add_argument("--data", metavar="STORE", help="a token store, instead of runs")
    child.add_argument("--config", help="whose plan the data report is about; default: one epoch")
    child.add_argument("--out", type=Path,
                       help="the page's file; default: WORKDIR/report.html, or data.html")  # fmt: skip
    child.add_argument("--serve", type=int, metavar="PORT", help="follow the runs live instead")
    child = verb("verify", verbs.verify, "read every byte of a token store again, and compare")
    child.add_argument("--data", metavar="STORE", required=True, help="a token store")
    return parser


def _steer_options(child: argparse.ArgumentParser) -> None:
    child.add_argument("--workdir", required=True, type=_to_look, help=FOLDER)
    child.add_argument(
        "--set", nargs="+", default=[], metavar="FIELD=NUMBER", help="of the control"
    )
    child.add_argument("--weights", nargs="+", default=[], metavar="NAME=SHARE,...",
                       help="of all domains, or of all languages")  # fmt: skip
    child.add_argument("--exclude", nargs="+", default=[], metavar="FIRST:LAST",
                       help="sequences ahead, never to be read")  # fmt: skip
    child.add_argument("--exclude-document", nargs="+", default=[], metavar="DOMAIN:NUMBER",
                       help="of the store, not to be read any more")  # fmt: skip
    child.add_argument("--add-source", metavar="STORE",
                       help="a prepared store joins, with the --weights of all, or by its size")  # fmt: skip
    child.add_argument("--rewind", type=int, metavar="STEP", help="go on from there")
    child.add_argument("--checkpoint", action="store_true", help="save now")
    child.add_argument("--stop", action="store_true", help="save and stop")
    child.add_argument("--author", default=os.environ.get("USER", ""), help="who says so")
    child.add_argument("--why", default="", help="for the journal")
    child.add_argument("--list", action="store_true", help="the journal in words")


def _planning(child: argparse.ArgumentParser) -> None:
    child.epilog = "No TPU is needed. Any setting: --config.key=value"
    child.add_argument("--config", required=True, help="a file of configs/")
    child.add_argument("--topology", nargs="+", default=[], metavar="NAME",
                       help="v5e-256, v5p-128, tpu7x-128 ...; v5e-256x2: two slices")  # fmt: skip
    child.add_argument("--chips", type=int, metavar="N", help="the largest slices within a budget")
    child.add_argument("--price", type=float, help="of one chip and hour")
    child.add_argument("--tries", type=int, default=3, help="layouts to compile for a slice")
    child.add_argument("--as-is", action="store_true", help="the config's own mesh, no other")
    child.add_argument("--out", type=Path, help="write the plans there as JSON")
    child.add_argument("--save", type=Path, metavar="FILE", help="keep the compiled step")
    child.add_argument("--cache", type=Path, default=Path.home() / ".cache/aquila_jax/plan",
                       help="where results are kept")  # fmt: skip

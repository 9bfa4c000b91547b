"""The one door: `python -m aquila_jax VERB --config=configs/NAME.py --workdir=DIR`."""

import argparse
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
from aquila_jax.dmu import prepare as preparation
from aquila_jax.dmu.sample import write_sample
from aquila_jax.report.page import write_page
from aquila_jax.report.serve import serve
from aquila_jax.train import distributed
from aquila_jax.train.loop import train

FINISHED, FAILED, STOPPED = 0, 1, 75  # 75 is EX_TEMPFAIL: saved, run the same command again


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
    return {"finished": FINISHED, "stopped": STOPPED}[outcome]


def _prepare(options: argparse.Namespace, settings: list[str]) -> int:
    config = configuration.located(load_config(options.config, settings), options.workdir)
    sample = options.workdir / "sample"
    if config.data.sample_megabytes and not sample.exists():
        _say(f"generating {config.data.sample_megabytes:g} MB of bilingual text in {sample}")
        write_sample(sample, seed=config.data.seed, megabytes=config.data.sample_megabytes)
    preparation.prepare(config.prepare, config.data.store, report=_say)
    return FINISHED


def _report(options: argparse.Namespace, settings: list[str]) -> int:
    if options.serve is not None:
        serve(options.workdir, options.serve)
    else:
        page = write_page(options.workdir, options.out or options.workdir[0] / "report.html")
        print(f"the report: {page}")
    return FINISHED


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
    child = verb("report", _report, "the page of one run, or of several side by side")
    child.add_argument("--workdir", required=True, type=Path, nargs="+", help="folders of runs")
    child.add_argument("--out", type=Path, help="the page's file; default: WORKDIR/report.html")
    child.add_argument("--serve", type=int, metavar="PORT", help="follow the runs live instead")
    return parser

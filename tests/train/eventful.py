"""One run in which all happens to the data that can: phases, online weights, a join, a rewind."""

import dataclasses
import json
import pathlib
import shutil

import pytest

from aquila_jax.config import Config, plain
from aquila_jax.dmu.prepare import PrepareSettings, prepare
from aquila_jax.dmu.recipe import Phase
from aquila_jax.dmu.sources import Source
from aquila_jax.train import inbox
from aquila_jax.train.replay import Told, replay
from aquila_jax.tsm import alarms, learning, survey
from tests.train import small

TOTAL = small.STEPS * small.BATCH * small.LENGTH
JOINED, PLATEAU, RESUMED = 10, 40, 20  # steps; the resumed one stands on the stairs of a phase


def config(runs: pathlib.Path) -> Config:
    """Three phases: at once, after a sixth of the tokens, and on a plateau."""
    made = small.config(runs / "store", mode="act", online_weights="ado")
    names = [source.name for source in made.prepare.sources]
    english = {name: 1.0 for name in names if name.startswith("en")}
    chinese = {name: 1.0 for name in names if name.startswith("zh")}
    phases = (
        Phase(name="language", mixture="uniform"),
        Phase(name="knowledge", weights=english, tokens=TOTAL / 6, span=TOTAL / 4),
        Phase(name="target", weights=chinese, on=("plateau",)),
    )
    return dataclasses.replace(made, data=dataclasses.replace(made.data, phases=phases))


def make_new(folder: pathlib.Path, runs: pathlib.Path, **changes) -> str:
    """A store of Chinese stories with the tokenizer of the run, or another."""
    given = {"name": "zh_new", "paths": (str(runs / "sample" / "zh_stories" / "train-*.jsonl"),)}
    source = Source(language="zh", **given | changes.pop("source", {}))
    settings = {"tokenizer": str(runs / "store" / "tokenizer.model"), "vocab_size": 512}
    settings |= {"heldout": 0.1, "processes": 1} | changes
    prepare(PrepareSettings(sources=(source,), **settings), str(folder), lambda line: None)
    return str(folder)


def make(runs: pathlib.Path, new: str) -> tuple[pathlib.Path, pathlib.Path, Told]:
    """The run, the same one gone on from a checkpoint on its way, and what `replay` says.

    Orders are taken at steps 0, 5, 10 and 15.
    """
    whole, resumed, settings = runs / "eventful", runs / "eventful_resumed", config(runs)
    whole.mkdir()
    (whole / "config.json").write_text(json.dumps(plain(settings)))
    for order in (
        {"add_source": str(runs / "nowhere")},
        {"add_source": str(runs / "store")},
        {"add_source": new},
        {"request": {"kind": "rewind", "arguments": {"to_step": 8}}},
    ):
        inbox.hand_in(whole, {"author": "mei", "why": "more stories"} | order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "_plateau", _plateau)
        patch.setattr(learning, "MINIMUM_BLOCKS", 4)
        patch.setattr(survey.progress, "MINIMUM_BLOCKS", 4)
        patch.setattr(survey.SurveySettings, "__init__", _often(survey.SurveySettings.__init__))
        assert small.run(settings, whole) == "finished"
        shutil.copytree(whole, resumed)
        for step in range(RESUMED + 1, small.STEPS + 1):
            shutil.rmtree(resumed / "checkpoints" / str(step), ignore_errors=True)
        assert small.run(settings, resumed) == "finished"
        return whole, resumed, replay(whole)


def _plateau(settings, state, context, loss):
    """In place of the monitor's own: sixty steps are too few for it to be sure of one."""
    if context.step != PLATEAU:
        return state, ()
    return state, (alarms.make("plateau", PLATEAU, confidence=0.9, gain=0.0, threshold=0.1),)


def _often(init):
    return lambda self, **given: init(self, **given | {"every": 10})

"""Steps that were on their way when the mixture changed are judged by the one they were read by."""

import dataclasses

import pytest

from aquila_jax.train import mentor
from aquila_jax.train.replay import replay
from tests.train import eventful, small

LAG = 8


def test_a_step_is_judged_by_the_mixture_it_was_read_by(runs, monkeypatch):
    config = small.change(small.config(runs / "store", mode="act"), "train", lag=LAG)
    [first, second, _] = eventful.config(runs).data.phases
    config = dataclasses.replace(
        config, data=dataclasses.replace(config.data, phases=(first, second))
    )
    seen, plain = {}, mentor.consider

    def consider(*given, context, **rest):
        seen[context.step] = context
        return plain(*given, context=context, **rest)

    monkeypatch.setattr(mentor, "consider", consider)
    assert small.run(config, runs / "in_flight") == "finished"
    journal = small.lines(runs / "in_flight", "journal")
    mixtures = [line for line in journal if line["kind"] == "mixture"]
    assert len(mixtures) > 2

    def read_by(step):
        """The mixture of a step's first sequence."""
        begun = [x["weights"] for x in mixtures if x["first_sequence"] <= (step - 1) * small.BATCH]
        return pytest.approx(begun[-1], rel=1e-5)

    for step in range(1, small.STEPS + 1):
        assert seen[step].weights == read_by(step)
        assert seen[step].coming == read_by(min(step + LAG, small.STEPS))
    assert replay(runs / "in_flight").steps == small.STEPS

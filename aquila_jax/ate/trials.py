"""Predict, act, verify: each action says what it will bring, and is undone if it did harm."""

import math

from aquila_jax.ate.memory import PolicyState, Trial
from aquila_jax.ate.situation import Proposal, Rule, Situation
from aquila_jax.core.signals import Control

DEVIATIONS = 2.0
# The smoothed loss moves by a tenth of what the raw loss is off: its variance is 5 times that of
# its moves, and two such values are compared. A mean size is 0.8 of a deviation.
ERROR_PER_MOVE = math.sqrt(2 * 5) / 0.8
SEED_NOISE = 0.005  # nats: less than this is never held against an action
NO_REMEDIES = ("recover", "start_decay")  # for nothing: they answer no trouble


def open_trial(
    state: PolicyState, s: Situation, *, rule: Rule, proposal: Proposal, control: Control
) -> Trial:
    """What the loss would be after the window without the action: where the present slope leads.

    In trouble there is no slope to go on: the level before it counts.
    """
    wait = rule.window(s) + proposal.delay
    expected = s.assessment.loss
    slope = s.assessment.slope
    if rule.family in ("plan", "batch") and math.isfinite(slope):
        ahead = s.tokens * (1 + wait * s.batch / max(s.sequences, 1))
        expected += min(slope, 0.0) * math.log(ahead / s.tokens)
    before = control._asdict()
    return Trial(
        due=state.clock + wait,
        step=s.assessment.step,
        rule=rule.name,
        family=rule.family,
        expected=expected if rule.judge == "loss" and proposal.judged else math.inf,
        error=max(ERROR_PER_MOVE * state.jitter, SEED_NOISE),
        changed={name: (before[name], value) for name, value in proposal.changes.items()},
    )


def prediction(trial: Trial, s: Situation, *, rule: Rule) -> dict:
    """The trial as the journal has it."""
    expected = trial.expected if math.isfinite(trial.expected) else None
    at = s.assessment.step + rule.window(s)
    return {"loss": expected, "standard_error": trial.error, "verify_step": at}


def judge(
    state: PolicyState, s: Situation
) -> tuple[PolicyState, dict[str, float], tuple[dict, ...]]:
    """Ends a trial that is due: the state, what to set back in the control, and a line about it.

    What the loss cannot judge is kept, and says nothing about remedies.
    """
    trial = state.trial
    if trial is None or state.clock < trial.due:
        return state, {}, ()
    realised, limit = s.assessment.loss, trial.expected + DEVIATIONS * trial.error
    judged = math.isfinite(trial.expected)
    good = not judged or realised <= limit
    state = state._replace(trial=None)
    undone = {}
    if good:
        state = state._replace(failures=0 if judged else state.failures)
    else:
        state = _failed(state, trial)
        now = s.control._asdict()
        # Only what nobody else has touched since.
        undone = {
            name: before for name, (before, after) in trial.changed.items() if now[name] == after
        }
    verdict = "kept" if good else ("undone" if undone else "did not help")
    line = {"kind": "verify", "rule": trial.rule, "action_step": trial.step, "verdict": verdict}
    expected = trial.expected if judged else None
    line |= {"expected": expected, "standard_error": trial.error, "realised": realised}
    return state, undone, (line,)


def interrupt(state: PolicyState) -> PolicyState:
    """A new remedy is needed before the last one was judged: that one did not help.

    What is never judged was no remedy.
    """
    trial, state = state.trial, state._replace(trial=None)
    if trial is None or not math.isfinite(trial.expected) or trial.rule in NO_REMEDIES:
        return state
    return _failed(state, trial)


def follow_mixture(state: PolicyState, moved: float) -> PolicyState:
    """Other data move the loss by exp(`moved`), whatever the action did; by NaN: nobody can tell."""
    if not moved:
        return state
    trial, factor = state.trial, math.exp(moved)
    if trial is not None:
        known = math.isfinite(factor)
        trial = trial._replace(expected=trial.expected * factor if known else math.inf)
    return state._replace(trial=trial, loss=state.loss * factor)


def _failed(state: PolicyState, trial: Trial) -> PolicyState:
    penalties = state.penalties | {trial.family: state.penalties.get(trial.family, 0) + 1}
    failures = state.failures + (trial.rule not in NO_REMEDIES)
    return state._replace(failures=failures, penalties=penalties)

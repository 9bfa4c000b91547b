"""Policies: from what the monitor says to what the engine does; replaceable, to be compared."""

import dataclasses
import functools
import math
from collections.abc import Callable

from aquila_jax.ate import data_rules, plan_rules, trials
from aquila_jax.ate import memory as memories
from aquila_jax.ate.memory import Action, PolicyState, Waiting
from aquila_jax.ate.rules import RULES
from aquila_jax.ate.situation import Proposal, Rule, Situation
from aquila_jax.core.signals import Control, Decision

TROUBLE = frozenset(
    "spike non_finite repeated_spikes non_finite_burst loss_jump slow_divergence regime_change "
    "exploding_layer update_jump attention_growth output_logit_growth".split()
)  # fmt: skip
# Told once in a long while, to rules that may have to wait for another's trial or for their pause.
PATIENT = frozenset("slow_divergence output_logit_growth attention_growth plateau".split())
STALE_WINDOWS = 4  # such an alarm says nothing of now any more
Judgement = tuple[PolicyState, Decision, tuple[dict, ...]]  # the dicts are lines for the journal


def start() -> PolicyState:
    """Before the first step."""
    return PolicyState()


def decide(situation: Situation) -> Judgement:
    """The next control, and a request where the compiled step must be left."""
    return POLICIES[situation.config.policy](situation)


def static(s: Situation) -> Judgement:
    """What everyone does: the plan, come what may."""
    return s.memory, _decision(s, s.control), ()


def skip_outliers(s: Situation) -> Judgement:
    """The monitor's limits go to the device, which skips a step beyond them."""
    return s.memory, _decision(s, _limited(s)), ()


def by_rules(s: Situation, rules: tuple[Rule, ...]) -> Judgement:
    """Skips outliers, judges the action under trial, then lets the first rule act that may.

    Where an action is undone only safety may act besides: its alarm is not told again soon. A rule
    that throws is out for the rest of the run, and the journal says so.
    """
    notes: tuple[dict, ...] = ()
    state = notice(s.memory, s)
    state, undone, told = trials.judge(state, s)
    control = _limited(s)._replace(**undone)
    notes += told
    for rule in rules:
        if not _may_act(rule, state, s) or (undone and rule.family != "safety"):
            continue
        try:
            proposal = rule.propose(dataclasses.replace(s, memory=state, control=control))
        except Exception as error:  # noqa: BLE001 (a broken rule must not end the run)
            state = state._replace(disabled=(*state.disabled, rule.name))
            notes += ({"kind": "disabled", "rule": rule.name, "why": repr(error)},)
            continue
        if proposal is not None:
            state, decision = _act(rule, proposal, state, situation=s, control=control)
            return state, decision, notes
    why = {"rule": "undo", "evidence": dict(told[0])} if undone else {}
    return state, _decision(s, control, **why), notes


def notice(state: PolicyState, s: Situation) -> PolicyState:
    """One more step was seen: the clock, the jitter of the loss, and signs of trouble."""
    state = trials.follow_mixture(state, s.assessment.mixture_moved)
    loss, clock = s.assessment.loss, state.clock + 1
    move = abs(loss - state.loss)
    if math.isfinite(move):
        rate = max(0.02, 1 / clock)
        state = state._replace(jitter=state.jitter + rate * (move - state.jitter))
    if any(alarm.kind in TROUBLE for alarm in s.assessment.alarms):
        state = state._replace(troubled=clock)
    late = clock - STALE_WINDOWS * s.window
    waiting = [x for x in state.waiting if x.clock > late]
    waiting += [Waiting(clock, x) for x in s.assessment.alarms if x.kind in PATIENT]
    state = state._replace(waiting=tuple(waiting))
    state = state._replace(clock=clock, loss=loss, streaks=plan_rules.confirm(s))
    looks, streaks = data_rules.look(dataclasses.replace(s, memory=state))
    return state._replace(looks=looks, streaks=streaks)


def steered(state: PolicyState, changes: dict[str, float], *, step: int) -> PolicyState:
    """A person set fields of the control: rules do not raise the rate above that again.

    And the guard holds only a rate that it moved itself close to the reference, not this one.
    """
    if "lr_scale" not in changes:
        return state
    action = Action(state.clock, step, "steer", "rate")
    return state._replace(ceiling=changes["lr_scale"], actions=(*state.actions, action))


def returned(state: PolicyState) -> PolicyState:
    """A person went back to an earlier step: what was under way says nothing of it any more."""
    return state._replace(trial=None, waiting=(), streaks={}, loss=math.nan)


def grown(state: PolicyState, factor: float) -> PolicyState:
    """A larger batch brought its rate along: the square-root rule moves the plan itself."""
    return state._replace(ceiling=state.ceiling * factor)


def _may_act(rule: Rule, state: PolicyState, s: Situation) -> bool:
    """One actuator per window, unless it is for safety; cool-downs; a bounded number of times."""
    if rule.name in state.disabled or memories.count(state, rule.name) >= rule.most:
        return False
    if rule.family == "safety":
        return True
    if state.trial is not None:
        return False
    pause = rule.cooldown * s.window * 2 ** state.penalties.get(rule.family, 0)
    return memories.since(state, rule.name) >= max(pause, rule.window(s))


def _act(
    rule: Rule, proposal: Proposal, state: PolicyState, *, situation: Situation, control: Control
) -> tuple[PolicyState, Decision]:
    s, step = situation, situation.assessment.step
    waiting = _unanswered(rule, proposal, state)
    state = trials.interrupt(state) if rule.family == "safety" else state
    action = Action(state.clock, step, rule.name, rule.family)
    state = state._replace(actions=(*state.actions, action), waiting=waiting)
    predict = None
    tried = s.config.mode == "act" and rule.window(s) > 0
    if tried and not _stops(proposal):
        trial = trials.open_trial(state, s, rule=rule, proposal=proposal, control=control)
        state, predict = state._replace(trial=trial), trials.prediction(trial, s, rule=rule)
    if _stops(proposal):
        state = state._replace(failures=0)  # whoever starts it again has looked
    decision = _decision(
        s,
        control._replace(**proposal.changes),
        rule=rule.name,
        evidence=dict(proposal.evidence),
        request=proposal.request,
        weights=proposal.weights,
        predict=predict,
    )
    return state, decision


def _unanswered(rule: Rule, proposal: Proposal, state: PolicyState) -> tuple[Waiting, ...]:
    """The alarms that still wait; safety goes back to before them, or calls a person."""
    if rule.family == "safety":
        return ()
    answered = proposal.evidence.get("alarm")
    return tuple(x for x in state.waiting if x.alarm.kind != answered)


def _stops(proposal: Proposal) -> bool:
    return proposal.request is not None and proposal.request.kind == "stop"


def _limited(s: Situation) -> Control:
    return s.control._replace(
        loss_limit=s.assessment.loss_limit, grad_norm_limit=s.assessment.grad_norm_limit
    )


def _decision(s: Situation, control: Control, **more) -> Decision:
    return Decision(s.assessment.step, s.effective_step, control, **more)


POLICIES: dict[str, Callable[[Situation], Judgement]] = {
    "static": static,
    "peers": skip_outliers,
    "aquila": functools.partial(by_rules, rules=RULES),
}

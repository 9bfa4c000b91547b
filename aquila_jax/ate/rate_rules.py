"""Rules for the learning rate: against a reference, down on divergence, and back up when calm."""

from aquila_jax.ate.memory import count, last
from aquila_jax.ate.situation import Proposal, Situation
from aquila_jax.core.signals import Request

LEAST = 0.1  # of the plan's rate
LEAST_EARLY, EARLY = 0.02, 0.05  # in the first 5 % of the run
HIGH, LOW = 2.5, 0.8  # times the reference; LOW where this guard itself has moved the rate
HIGH_EARLY = 1.5  # before a rate has blown up the weights, which then hide it
BEGIN_AGAIN = 50  # steps seen in all, or a window in a short run: until then little is lost
FAR_LOW = 1 / HIGH  # where the plan itself is too low
HIGH_NOW = 1.25  # and this in place of HIGH; recovery ends below it
WIDESPREAD = 0.8  # share of the tokens in domains that rose
BACK_OFF, BACK_UP = 0.7, 1.1
CALM_WINDOWS, CALM_STEPS = 5, 1280  # the shorter of both, without a sign of trouble
Z_LOSS, MOST_Z_LOSS = 1e-4, 1e-3


def guard(s: Situation) -> Proposal | None:
    """Holds the update ratio near that of a good proxy run.

    Why: with QK-norm a rate 20 times too high does not diverge, it only ends 0.67 nats worse;
    no rule that waits for divergence ever fires. The ratio of update to weight shows it at
    once, and transfers from a proxy 3 times smaller (science 2.1, pilot 4.4). In the first steps
    the weights are still those of the start, and the ratio is as the rate: plans of 3, 10 and 30
    times the best rate show 2.7, 8.9 and 26 times the reference at step 3, the best 0.9. Later
    the weights that such a rate blows up hide it. So in the first steps, above 2.5 times the
    reference, the rate falls to it at once (by at most 0.05), and the run begins again with the
    same data, since a short one never makes good what it learned at a wrong rate. Then the limit
    is 1.5 while it is early, without beginning again. Later the limit is 2.5, and the rate at
    most halves. A rate that this rule moved last it holds between 0.8 and 1.25 times: the plan
    says nothing of the right one then, and one left at 1.3 to 1.6 times it cost 0.9 %. Below
    1/2.5 it may rise above the plan where `most_lr_scale` allows. Without a reference this rule is
    silent.
    """
    ratio, scale = s.assessment.update_ratio, s.control.lr_scale
    if s.reference is None or not ratio > 0:
        return None
    least_usual, most_usual = s.reference
    early = _early(s)
    least = LEAST_EARLY if early else LEAST
    moved = _moved_by(s, "guard")
    # In the first steps a proxy of four times as many shows a good rate up to 1.5 times too high.
    high = HIGH_NOW if moved else (HIGH_EARLY if early and not _young(s) else HIGH)
    if ratio > high * most_usual:
        factor = min(max(most_usual / ratio, 0.05 if early else 0.5), 1.0)
    elif s.warming:  # the rate still rises by itself: too low means nothing yet
        return None
    elif ratio < (LOW if moved else FAR_LOW) * least_usual:
        factor = min(max(least_usual / ratio, 1.0), 8.0 if early else 2.0)
    else:
        return None
    top = s.memory.ceiling * s.config.most_lr_scale
    if factor > 1 and _lowered_by(s, "back_off", "rewind"):
        return None
    new = min(max(scale * factor, min(least, scale)), top)
    evidence = {"ratio": ratio, "reference": list(s.reference), "limit": high * most_usual}
    young = _young(s) and s.config.rewinds > 0
    again = Request("rewind", {"to_step": 0}) if new < scale and young else None
    return _rate(s, new, evidence, again)


def guard_window(s: Situation) -> int:
    """Until the smoothed ratio has forgotten the rate before: 5 steps early, 50 later."""
    return 5 + s.effective_step - s.assessment.step if _early(s) else 50


def back_off(s: Situation) -> Proposal | None:
    """Lowers the rate to 0.7 of its value when the loss creeps up in nearly all domains.

    Why: a slow divergence is a rate on the edge of stability; skipping steps hides it and a
    rewind repeats it (science 2.4). If only some domains rose it is their data, and the rate
    stays. Bounded below by a tenth of the plan.
    """
    alarm = s.unanswered("slow_divergence")
    if alarm is None or alarm.evidence.get("share", 1.0) < WIDESPREAD:
        return None
    new = max(BACK_OFF * s.control.lr_scale, min(LEAST, s.control.lr_scale))
    return _rate(s, new, {"alarm": alarm.kind} | alarm.evidence)


def calm_logits(s: Situation) -> Proposal | None:
    """Ten times the z-loss, up to 1e-3, when logits grow; then 0.7 of the rate.

    Why: output logits that drift, and attention logits that grow exponentially, come hundreds
    of steps before the loss does (arXiv 2309.14322); the z-loss holds the first, a lower rate
    slows both.
    """
    alarm = s.unanswered("output_logit_growth", "attention_growth")
    if alarm is None:
        return None
    evidence = {"alarm": alarm.kind} | alarm.evidence
    if s.control.z_loss < MOST_Z_LOSS and count(s.memory, "calm_logits") < 2:
        new = min(max(10 * s.control.z_loss, Z_LOSS), MOST_Z_LOSS)
        return Proposal({"z_loss": new}, evidence=evidence)
    new = max(BACK_OFF * s.control.lr_scale, min(LEAST, s.control.lr_scale))
    return _rate(s, new, evidence)


def recover(s: Situation) -> Proposal | None:
    """Raises a lowered rate by a tenth after five calm windows, up to the plan's.

    Why: what made the rate fall may have been bad data that is past, and a rate too low for
    the rest of the run costs more than the fault did (science 2.1). Never above the plan, nor
    above what a person set, nor where the reference says it is high enough; what the guard
    lowered, the guard alone raises, or the two would pull at it in turn.
    """
    top, scale = s.memory.ceiling, s.control.lr_scale
    calm = s.memory.clock - s.memory.troubled
    if scale >= top or calm < min(CALM_WINDOWS * s.window, CALM_STEPS):
        return None
    high = s.reference and s.assessment.update_ratio * BACK_UP > HIGH_NOW * s.reference[1]
    if high or (s.reference and _lowered_by(s, "guard")):
        return None
    return _rate(s, min(BACK_UP * scale, top), {"calm_steps": calm, "ceiling": top})


def _rate(
    s: Situation, new: float, evidence: dict, request: Request | None = None
) -> Proposal | None:
    if abs(new - s.control.lr_scale) < 1e-3 * s.control.lr_scale:
        return None
    return Proposal({"lr_scale": float(f"{new:.4g}")}, request, evidence)


def _early(s: Situation) -> bool:
    """Whether a wrong rate still shows as what it is."""
    return s.warming or s.progress < EARLY or _young(s)


def _young(s: Situation) -> bool:
    """Whether so little was done that to do it again costs next to nothing."""
    return s.memory.clock <= min(s.window, BEGIN_AGAIN)


def _lowered_by(s: Situation, *rules: str) -> bool:
    """Whether the rate is below the plan, and the last to touch it was one of these."""
    return s.control.lr_scale < s.memory.ceiling and _moved_by(s, *rules)


def _moved_by(s: Situation, *rules: str) -> bool:
    """Whether the last to touch the rate was one of these."""
    action = last(s.memory, "guard", "back_off", "rewind", "recover", "calm_logits", "steer")
    return action is not None and action.rule in rules

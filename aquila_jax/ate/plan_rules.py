"""Rules that change the plan itself: when the decay starts, and when the batch grows."""

import math

from aquila_jax.ate.memory import count
from aquila_jax.ate.situation import Proposal, Situation, Upcoming
from aquila_jax.core.signals import Request

SURE = 0.9
CONFIRMATIONS = 3  # forecasts in a row, the last one included
CALM_WINDOWS = 2
NO_GAIN = 0.005  # of the loss: what is left to gain by the forecast, and not worth waiting for
SETTLED = 1 / 3  # of the sequences: what slopes are measured on must lie in one phase
LOST = 0.05  # chance of the target, below which a forecast gives up
EARLY = 0.25  # of the run; before, a good run may still look bad (pilot 4.4, reading 11)


def start_decay(s: Situation) -> Proposal | None:
    """Starts the decay earlier than planned where the forecast wants it, if it may.

    Why: the share of the run given to the cool-down is worth 0.002 to 0.01 nats (science 2.1),
    so it takes three forecasts in a row that are 90 % sure to gain, and never moves into the
    past. Nor does it ever move later: how fast a decay works is not known before one was seen,
    and on a healthy run of 1024 steps a decay cut from 20 to 10 % cost 0.03 bits per byte where
    an earlier law had promised a gain. What the law is known to be off by (`tsm.whatif`) is held
    against it: a decay of 20 % stays, one of 10 % became one of 20 or 30 % in eight of eight runs,
    which ended 0.5 % lower (docs/results/monitor.md). On a plateau the decay starts at once: at a
    constant rate nothing is left to gain, and the cool-down is what turns it into a lower loss
    (arXiv 2405.18392).
    """
    if "decay" not in s.config.may or s.sequences >= s.control.decay_start:
        return None
    if (alarm := s.unanswered("plateau")) is not None:
        return Proposal(
            {"decay_start": float(s.sequences)}, evidence={"alarm": alarm.kind} | alarm.evidence
        )
    best = better_decay(s)
    if best is None or s.memory.streaks.get("start_decay", 0) < CONFIRMATIONS:
        return None
    evidence = {"gain": best.gain, "probability": best.probability}
    soon = best.start <= s.sequences + s.window * s.batch
    return Proposal({"decay_start": best.start}, evidence=evidence, judged=soon)


def better_decay(s: Situation):
    """The best earlier start of the decay that is surely better; None if there is none."""
    ahead = [decay for decay in s.decays if s.sequences <= decay.start < s.control.decay_start]
    sure = [decay for decay in ahead if decay.probability > SURE and decay.gain > 0]
    return max(sure, key=lambda decay: decay.gain, default=None)


def confirm(s: Situation) -> dict[str, int]:
    """Streaks of forecasts that wanted another decay, or gave up; kept between two forecasts."""
    streaks = dict(s.memory.streaks)
    if s.assessment.forecast is not None:
        streaks["start_decay"] = streaks.get("start_decay", 0) + 1 if better_decay(s) else 0
        if s.upcoming is not None and "forecast" in s.upcoming.on:
            done, name = left_to_gain(s) < NO_GAIN * s.assessment.loss, _no_gain(s.upcoming)
            streaks[name] = streaks.get(name, 0) + 1 if done else 0
        lost = s.odds is not None and s.odds < LOST and s.progress >= EARLY
        streaks["hopeless"] = streaks.get("hopeless", 0) + 1 if lost else 0
    return streaks


def left_to_gain(s: Situation) -> float:
    """Nats that the rest of the plan still brings, by the most hopeful end of the forecast's band."""
    told = s.assessment.forecast
    return s.assessment.loss - (told.final_loss if told.low is None else told.low)


def next_phase(s: Situation) -> Proposal | None:
    """Begins the next phase of the recipe when the present data have nothing more to give.

    Why: on a plateau the report went on to other data, and sharp drops followed (arXiv 2408.07410,
    section 3.2). Either event counts only once the present phase fills the last third of what was
    read, which is what the plateau and the forecast look at.
    """
    if s.upcoming is None or s.sequences - s.upcoming.since < SETTLED * s.sequences:
        return None
    evidence = {}
    alarm = s.unanswered("plateau")
    if "plateau" in s.upcoming.on and alarm:
        evidence = {"event": "plateau", "alarm": alarm.kind} | alarm.evidence
    elif s.assessment.forecast and s.memory.streaks.get(_no_gain(s.upcoming), 0) >= CONFIRMATIONS:
        evidence = {"event": "forecast", "left_to_gain": left_to_gain(s)}
    if not evidence:
        return None
    arguments = {"phase": s.upcoming.number, "name": s.upcoming.name, "why": evidence["event"]}
    return Proposal(request=Request("phase", arguments), evidence=evidence)


def grow_batch(s: Situation) -> Proposal | None:
    """Asks for twice the batch and the root of two of the rate, where the plan says so.

    Why: with Adam the temperature of training is rate / sqrt(batch), which this keeps (science
    2.2), so that only the number of steps changes, as long as the batch is below the critical
    one. The noise scale does not tell where that is (five to ten times too high at small scale,
    pilot 4.4, reading 7), so two short branches from one state on the same data do (arXiv
    2505.23971): it grows only where that costs nothing. It waits for calm. Each doubling
    compiles once more; each place of the plan is asked once.
    """
    grown = count(s.memory, "grow_batch")
    due = s.config.grow_batch_at[grown : grown + 1]
    calm = s.memory.clock - s.memory.troubled
    held = calm < CALM_WINDOWS * s.window or not s.control.lr_scale  # a person may have set 0
    if not due or s.progress < due[0] or held:
        return None
    rate = float(f"{math.sqrt(2) * s.control.lr_scale:.6g}")
    return Proposal(
        {},
        Request("branch", {"batch": 2 * s.batch, "lr_scale": rate}),
        {"planned_at": due[0], "noise_scale": s.assessment.noise_scale},
    )


def _no_gain(upcoming: Upcoming) -> str:
    """Each phase has a streak of its own: what began one says nothing about the next."""
    return f"no_gain/{upcoming.number}"

"""Short trials on copies of the run: which rate to begin with, and whether a larger batch pays.

Every process does the same, and nothing of a trial is left but what it showed. What follows from
that is a function of the evidence, so that it can be replayed.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from aquila_jax.ate import policy, probe
from aquila_jax.ate.situation import MentorConfig
from aquila_jax.config import Config
from aquila_jax.core.signals import Decision, Request
from aquila_jax.model.config import parameters
from aquila_jax.train import cycle, mentor
from aquila_jax.train import host as hosts
from aquila_jax.train.cycle import Machine
from aquila_jax.train.host import HostState
from aquila_jax.train.snapshots import Ring

BRANCH = 0.003  # of the run, for each branch
LEAST_BRANCH = 16  # steps; a multiple of 4
TOLERANCE = 0.01  # nats, or two standard errors if that is more (arXiv 2505.23971)
FAR = 1e30  # sequences: no decay before that
Followed = tuple[HostState, list[dict]]  # and lines for the journal


def tried(run, kind: str, trial: Callable[..., Followed]) -> None:
    """Trials on copies of a run's moment, which waits in host memory, and what follows from them."""
    begun, kept = run.waited(), Ring(1)
    kept.keep(run.moment())
    run.state = None
    run.host, lines = trial(run.machine, kept, run.host)
    run.state = kept.find(run.host.step).state
    run.tell(run.host.step, lines)
    run.records.pause(kind, run.host.step, begun)


def asked(config: MentorConfig) -> bool:
    """Whether rates are to be tried before the first step."""
    return config.probe > 0 and config.mode != "off"


def begin(machine: Machine, kept: Ring, host: HostState) -> Followed:
    """Tries rates from the state that `kept` holds, each on the first data of the run."""
    config = machine.config
    steps = max(probe.LEAST, round(config.mentor.probe * config.schedule.total / host.batch))
    tokens = config.schedule.total * config.data.length
    weights = config.model.vocab * config.model.embed * 2
    law = probe.step_law(max(parameters(config.model) - weights, 1), tokens)
    tried = probe.scales(config.schedule.peak, law)
    losses, read = [], 0
    for scale in tried:
        moment = kept.find(host.step)
        # Past the schedule's own warm-up, which would last longer than the trial.
        state = dataclasses.replace(
            moment.state, sequences=moment.state.sequences + config.schedule.warmup
        )
        control = host.control._replace(decay_start=FAR, decay_end=FAR)
        free = dataclasses.replace(host, control=control)
        nats, counts = follow(machine, state, free, [scale * x for x in probe.shape(steps)])
        losses.append(probe.late((nats / counts).tolist()))
        read += int(counts.sum())
    plain = [loss if math.isfinite(loss) else None for loss in losses]
    evidence = {"scales": tried, "losses": plain, "steps": steps, "tokens": read, "step_law": law}
    return begun(config, host, evidence)


def begun(config: Config, host: HostState, evidence: dict) -> Followed:
    """What follows from the trials of `begin`; in shadow only a line."""
    scale = probe.choose(evidence)
    control = host.control._replace(lr_scale=scale)
    decision = Decision(host.step, host.step + 1, control, rule="probe", evidence=evidence)
    lines = mentor.decided(config.mentor.mode, decision, host.control)
    if config.mentor.mode != "act":
        return host, lines
    remembered = policy.steered(host.mentor.policy, {"lr_scale": scale}, step=host.step)
    host, more = hosts.obey(host, decision)
    host = dataclasses.replace(host, mentor=host.mentor._replace(policy=remembered))
    return host, [*lines, *more]


def branch(machine: Machine, kept: Ring, host: HostState, decision: Decision) -> Followed:
    """The batch as it is and the one asked for, each on the same next data from the same state."""
    total, asked = machine.config.schedule.total, decision.request.arguments
    steps = max(LEAST_BRANCH, round(BRANCH * total / host.batch) // 4 * 4)
    evidence = {"sequences": steps * host.batch}
    if host.sequences + evidence["sequences"] <= total:
        larger = dataclasses.replace(
            host, batches=(*host.batches, (host.step + 1, asked["batch"])),
            control=host.control._replace(lr_scale=asked["lr_scale"]),
        )  # fmt: skip
        times = asked["batch"] // host.batch
        sides = {"now": (host, steps), "larger": (larger, steps // times)}
        losses = {
            name: _late(
                follow(machine, kept.find(host.step).state, own, [own.control.lr_scale] * n)
            )
            for name, (own, n) in sides.items()
        }
        evidence |= compare(losses["now"], losses["larger"])
    return branched(host, decision, evidence)


def wanted(decision: Decision | None) -> bool:
    """Whether a decision asks for branches."""
    return (
        decision is not None
        and decision.request is not None
        and (decision.request.kind == "branch")
    )


def compare(now: np.ndarray, larger: np.ndarray) -> dict:
    """How much worse the larger batch did on the same data, and how sure that is: nats."""
    away = larger - now.reshape(len(larger), -1).mean(axis=1)
    worse = float(away.mean())
    error = float(away.std(ddof=1) / math.sqrt(len(away)))
    known = math.isfinite(worse) and math.isfinite(error)
    return {"worse": worse, "error": error} if known else {}


def branched(host: HostState, decision: Decision, evidence: dict) -> Followed:
    """What follows from the branches: the larger batch where it cost nothing."""
    asked, before = decision.request.arguments, host.control.lr_scale
    worse = evidence.get("worse", math.inf)
    good = worse <= max(TOLERANCE, 2 * evidence.get("error", 0.0))
    line = {"kind": "branch", "rule": decision.rule, "batch": [host.batch, asked["batch"]]}
    line |= {"verdict": "grown" if good else "small", "evidence": evidence}
    if not good:
        return host, [line]
    grown = dataclasses.replace(
        decision,
        control=host.control._replace(lr_scale=asked["lr_scale"]),
        request=Request("batch", {"batch": asked["batch"]}),
    )
    remembered = policy.grown(host.mentor.policy, asked["lr_scale"] / before)
    host, more = hosts.obey(host, grown)
    host = dataclasses.replace(host, mentor=host.mentor._replace(policy=remembered))
    return host, [line | {"control": {"lr_scale": [before, asked["lr_scale"]]}}, *more]


def follow(
    machine: Machine, state, host: HostState, scales: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Nats and targets of as many steps as there are rates, which nobody else hears of."""
    machine, signals = machine._replace(usual=None), []
    for scale in scales:
        host = dataclasses.replace(host, control=host.control._replace(lr_scale=scale))
        batch = cycle.read_batch(machine, host, host.sequences)
        state, host, done = cycle.launch(machine, state, host, batch)
        signals.append(done)
    read = [cycle.read(done).signals for done in signals]
    nats = np.array([one.domain_nats_M.sum(dtype=np.float64) for one in read])
    return nats, np.array([one.domain_tokens_M.sum(dtype=np.float64) for one in read])


def _late(told: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Nats per target of the steps in the second half."""
    nats, counts = (values[len(values) // 2 :] for values in told)
    return nats / counts

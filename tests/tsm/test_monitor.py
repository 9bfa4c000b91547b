import dataclasses
import functools
import json

import numpy as np
import pytest

from aquila_jax.core.signals import Forecast
from aquila_jax.tsm import monitor, snapshot
from tests.tsm import synthetic

SETTINGS = monitor.MonitorSettings(
    domains=synthetic.DOMAINS, languages=synthetic.LANGUAGES, layers=4
)


def watch(steps, settings=SETTINGS, state=None):
    """The assessments of a run and the last state."""
    state, assessments = state or monitor.start(settings), []
    for signals, context in steps:
        state, assessment = monitor.observe(settings, state, signals, context=context)
        assessments.append(assessment)
    return assessments, state


def kinds(assessments):
    return [alarm.kind for assessment in assessments for alarm in assessment.alarms]


@pytest.fixture(scope="module")
def clean():
    """One clean run, watched."""
    return watch(synthetic.run(0, 900))


def test_a_clean_run_is_quiet_and_described(clean):
    assessments, _ = clean
    assert len(kinds(assessments)) <= 1
    last = assessments[-1]
    losses, _ = synthetic.clean(0, 900)
    assert last.loss == pytest.approx(np.mean(losses[-20:]), rel=0.02)
    assert last.slope < 0
    for name, offset in zip(synthetic.DOMAINS, (0.95, 1.1, 0.9, 1.05), strict=True):
        assert last.domain_loss[name] == pytest.approx(offset * last.loss, rel=0.03)
    english = (last.domain_loss["en_web"] + last.domain_loss["en_books"]) / 2
    assert last.language_loss["en"] == pytest.approx(english, rel=0.01)
    assert losses[-1] < last.loss_limit < 2 * losses[-1]
    # E|g_a|^2 = 1.6 |g|^2 with B = 16, b = 4: tr = 3.2 |g|^2, |G|^2 = 0.8 |g|^2.
    assert last.noise_scale == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("stop", [1, 37, 333])
def test_resume_from_json_equals_no_stop(clean, stop):
    steps = list(synthetic.run(0, stop + 120))
    whole, end = watch(steps)
    _, state = watch(steps[:stop])
    text = json.dumps(snapshot.to_json(state), allow_nan=False)
    rest, again = watch(
        steps[stop:], state=snapshot.from_json(monitor.MonitorState, json.loads(text))
    )
    assert repr(rest) == repr(whole[stop:])
    assert json.dumps(snapshot.to_json(again)) == json.dumps(snapshot.to_json(end))


def test_the_last_bits_of_the_signals_raise_no_other_alarm():
    def jitter(step, fields):
        fields = fault_spike(step, fields)
        return fields | {"loss": np.nextafter(np.float32(fields["loss"]), np.float32(0))}

    plain, _ = watch(synthetic.run(1, 420, change=fault_spike))
    other, _ = watch(synthetic.run(1, 420, change=jitter))
    for one, two in zip(plain, other, strict=True):
        assert [(a.kind, a.step) for a in one.alarms] == [(a.kind, a.step) for a in two.alarms]
        assert one.loss_limit == pytest.approx(two.loss_limit, rel=1e-5)


def fault_spike(step, fields):
    if step in (401, 505):
        fields["domain_nats_M"] = fields["domain_nats_M"] * np.array([1, 1, 3.0, 1])
        fields["loss"] = fields["domain_nats_M"].sum() / synthetic.TOKENS
        fields["grad_norm"] *= 4
    return fields


def fault_divergence(step, fields):
    factor = np.exp(0.002 * max(0, step - 400))
    return fields | {
        "loss": fields["loss"] * factor,
        "domain_nats_M": fields["domain_nats_M"] * factor,
    }


def fault_jump(step, fields, times=1.3):
    factor = times if step > 402 else 1.0
    return fields | {
        "loss": fields["loss"] * factor,
        "domain_nats_M": fields["domain_nats_M"] * factor,
    }


def fault_nan(step, fields):
    return fields | ({"loss": np.nan, "grad_norm": np.nan, "skipped": 1.0} if step == 400 else {})


def fault_domain(step, fields):
    if step > 400:
        fields["domain_nats_M"] = fields["domain_nats_M"] * np.array([1, 1, 1, 1.25])
        fields["loss"] = fields["domain_nats_M"].sum() / synthetic.TOKENS
    return fields


def fault_logits(step, fields):
    return fields | {"log_z_squared": 20 * np.exp(max(0, step - 200) / 200)}


def fault_layer(step, fields):
    dead = np.where((np.arange(4) == 1) & (step > 400), 1e-7, 1.0)
    return fields | {"grad_norm_N": fields["grad_norm_N"] * dead}


def fault_updates(step, fields):
    return fields | ({"update_ratio": 0.3} if step > 200 else {})


def fault_creeping(step, fields):
    return fields | {"update_ratio": fields["update_ratio"] * 1.04 ** max(0, step - 300)}


def fault_mixture(step, fields):
    share = np.array([0.1, 0.4, 0.25, 0.25])
    ratio = share * synthetic.TOKENS / np.maximum(fields["domain_tokens_M"], 1)
    return fields | {
        "domain_nats_M": fields["domain_nats_M"] * ratio,
        "domain_tokens_M": fields["domain_tokens_M"] * ratio,
    }


def fault_unlearnable(step, fields):
    nats = 10.4 * np.exp(0.003 * np.sin(7.1 * step)) * fields["domain_tokens_M"]
    return fields | {"loss": nats.sum() / synthetic.TOKENS, "domain_nats_M": nats}


@pytest.mark.parametrize(
    "fault,kind,by",
    [
        (fault_spike, "spike", 401),
        (fault_divergence, "slow_divergence", 500),
        (fault_jump, "loss_jump", 416),
        (fault_nan, "non_finite", 400),
        (fault_domain, "domain_jump", 500),
        (fault_logits, "output_logit_growth", 550),
        (fault_layer, "dead_layer", 440),
        (fault_updates, "update_ratio", 210),
        (fault_creeping, "update_drift", 315),
        (fault_mixture, "mixture", 400),
        (fault_unlearnable, "stalled", 350),
    ],
)
def test_planted_faults_are_told_in_time(fault, kind, by):
    assessments, _ = watch(synthetic.run(3, 560, change=fault))
    raised = [alarm for assessment in assessments for alarm in assessment.alarms]
    first = [alarm for alarm in raised if alarm.kind == kind][0]
    assert first.step <= by
    assert 0 < first.confidence <= 1
    json.dumps(dataclasses.asdict(first), allow_nan=False)


def test_a_loss_that_jumped_in_one_step_has_a_suspect():
    def jump(times):
        change = functools.partial(fault_jump, times=times)
        assessments, _ = watch(synthetic.run(3, 420, change=change))
        [found] = [a.evidence for x in assessments for a in x.alarms if a.kind == "loss_jump"]
        return found

    assert [(jump(times)["first"], jump(times)["suspect"]) for times in (1.3, 2.0)] == [
        (401, 403)
    ] * 2


def test_spikes_name_the_domain_to_blame():
    assessments, state = watch(synthetic.run(3, 560, change=fault_spike))
    spikes = [a for x in assessments for a in x.alarms if a.kind == "spike"]
    assert [alarm.step for alarm in spikes] == [401, 505]
    assert all("zh_web" in alarm.cause for alarm in spikes)
    assert state.history.counts_KM.sum() == (560 - 2) * synthetic.TOKENS  # they are not history


def test_a_changed_mixture_moves_the_limit_at_once():
    """A harder mixture raises the loss by a known amount; nothing is flagged."""
    shares = {True: [0.25] * 4, False: [0.05, 0.85, 0.05, 0.05]}

    def steps():
        rng = np.random.default_rng(0)
        base = np.array([2.0, 4.0, 2.0, 2.0])
        for signals, context in synthetic.run(0, 520):
            share = shares[context.step <= 300]
            tokens = np.array(share) * synthetic.TOKENS
            nats = base * np.exp(0.01 * rng.standard_normal(4)) * tokens
            signals = signals._replace(
                loss=nats.sum() / synthetic.TOKENS, domain_nats_M=nats, domain_tokens_M=tokens
            )
            weights = dict(zip(synthetic.DOMAINS, share, strict=True))
            yield signals, dataclasses.replace(context, weights=weights)

    assessments, _ = watch(steps())
    assert "spike" not in kinds(assessments) and "slow_divergence" not in kinds(assessments)
    same = dict.fromkeys(synthetic.DOMAINS, 0.25)
    without = [(s, dataclasses.replace(c, weights=same)) for s, c in steps()]
    assert "spike" in kinds(watch(without)[0])


def test_steps_still_in_flight_are_judged_by_the_mixture_they_were_read_by():
    """The next mixture moves the limit for the steps to come, and nothing else."""
    share = dict.fromkeys(synthetic.DOMAINS, 0.25)
    coming = dict(zip(synthetic.DOMAINS, [0.1, 0.7, 0.1, 0.1], strict=True))

    def steps(there):
        for signals, context in synthetic.run(0, 420):
            known = there if context.step > 400 else share
            yield signals, dataclasses.replace(context, weights=share, coming=known)

    (still, state), (moves, after) = watch(steps(share)), watch(steps(coming))
    assert kinds(moves) == kinds(still) and moves[-1].mixture_moved == 0
    assert after.detector.loss.trend == state.detector.loss.trend
    loss = still[-1].domain_loss
    ratio = sum(coming[name] * loss[name] for name in loss) / sum(0.25 * x for x in loss.values())
    assert ratio > 1.03
    limits = [told[-1].loss_limit for told in (still, moves)]
    assert limits[1] / limits[0] == pytest.approx(ratio, rel=1e-6)
    assert [a.loss_limit for a in moves[:400]] == [a.loss_limit for a in still[:400]]


def test_a_domain_never_seen_is_no_spike_when_it_comes_in():
    """What it costs nobody knows, so the loss is learned anew and has no limit meanwhile."""

    def steps():
        rng = np.random.default_rng(0)
        for signals, context in synthetic.run(0, 520):
            new = 0.3 * (context.step > 400)
            share = np.array([1 - new, new, 0, 0])
            tokens = share * synthetic.TOKENS
            nats = np.array([3.0, 5.0, 1, 1]) * np.exp(0.01 * rng.standard_normal(4)) * tokens
            signals = signals._replace(
                loss=nats.sum() / synthetic.TOKENS, domain_nats_M=nats, domain_tokens_M=tokens
            )
            weights = dict(zip(synthetic.DOMAINS, share.tolist(), strict=True))
            yield signals, dataclasses.replace(context, weights=weights)

    assessments, _ = watch(steps())
    assert not {"spike", "repeated_spikes"} & set(kinds(assessments))
    assert assessments[400].loss_limit == np.inf and assessments[-1].loss_limit < 5


def test_domains_may_join_a_running_job(clean):
    _, state = watch(synthetic.run(0, 300))
    wider = dataclasses.replace(
        SETTINGS, domains=(*synthetic.DOMAINS, "zh_books"), languages=(*synthetic.LANGUAGES, "zh")
    )

    def steps():
        for signals, context in synthetic.run(0, 400):
            if context.step > 300:
                yield (
                    signals._replace(
                        domain_nats_M=np.append(signals.domain_nats_M, 512 * 4.0),
                        domain_tokens_M=np.append(signals.domain_tokens_M, 512.0),
                    ),
                    context,
                )

    assessments, _ = watch(steps(), settings=wider, state=state)
    assert assessments[-1].domain_loss["zh_books"] == pytest.approx(4.0)


def test_forecasts_and_trajectories_appear_when_they_are_made():
    def forecaster(seen, context):
        assert seen.step_K[-1] <= context.step
        return Forecast(context.step, 2.0, 1.9, 2.1, 0.9, 0, {}, {})

    settings = dataclasses.replace(SETTINGS, forecaster=forecaster)

    def with_weights(step, fields):
        heavy = {"weight_std_PN": np.full((9, 4), 0.02 + 1e-4 * step)} if step % 40 == 0 else {}
        return fields | heavy

    assessments, _ = watch(synthetic.run(0, 200, change=with_weights), settings=settings)
    assert [a.step for a in assessments if a.forecast] == [50, 100, 150, 200]
    moved = {a.step: a.trajectory for a in assessments if a.trajectory}
    assert list(moved) == [80, 120, 160, 200]
    expected = 40e-4 / (40 * synthetic.TOKENS / 1e9)
    assert moved[120]["query"] == pytest.approx(expected, rel=1e-3)


def test_names_must_match():
    with pytest.raises(ValueError, match="one language for each"):
        monitor.MonitorSettings(domains=("a", "b"), languages=("en",), layers=2)

"""Back-test of the loss forecast on finished runs, against simpler forecasts.

    python launch/backtest.py --curves ../shared/curves --output docs/results/backtest_curves.json
    python launch/backtest.py --runs WORKDIRS --output docs/results/backtest_runs.json

A forecast made at 20, 40, 60, 80, 90 and 95 % of a run sees the losses before that step only, and the
planned learning rates. Its prior comes from other runs: from curves of other sizes, or from the
tuning half of the working directories; its band from forecasts of those other runs, made without
the runs of the target's fold. It takes seconds, so a run that was stopped is started again.
`--calibration FILE` also updates the scores of past forecasts that the package ships.
"""

import argparse
import functools
import pathlib
import sys
from collections.abc import Callable

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from aquila_jax.core import signals
from aquila_jax.tsm import band, fit, forecast, law, points
from launch import kept, recorded, scores

ORIGINS = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)  # the last two inside most decays
SOURCES = ("proxy", "default")
COVERAGE = 0.9  # of the bands


def backtest(runs: list[recorded.Run]) -> list[dict]:
    """One record for each run that is reported and each origin at which a forecast exists."""
    made = (
        _record(run, origin, tuple(runs))
        for run in runs
        if run.fold != "tune"
        for origin in ORIGINS
    )
    return [record for record in made if record is not None]


@functools.cache
def calibration(runs: tuple[recorded.Run, ...], *, without: str, source: str) -> band.Calibration:
    """Forecasts with known outcome of all runs that are not of the fold `without`."""
    known = tuple(run for run in runs if run.fold != without)
    values = []
    for run in known:
        # With two sizes nothing is left but the fold itself to take a prior from.
        others = known if any(_apart(run, other) for other in known) else runs
        values += _scores(run, others, source)
    return band.Calibration(source=source, kinds=(tuple(values),))


@functools.cache
def _scores(run: recorded.Run, others: tuple[recorded.Run, ...], source: str) -> list[float]:
    """|error| over the deviation claimed, of the run's forecast at each origin that has one."""
    prior, values = _prior(run, others, source), []
    for origin in ORIGINS:
        if (made := forecast.estimate(_seen(run, origin), run.plan, prior)) is not None:
            mean, deviation = forecast.trajectory(made, np.array([run.plan.steps]))
            values.append(abs(float(mean[0]) - run.final) / float(deviation[0]))
    return values


def left_out(runs: tuple[recorded.Run, ...], source: str) -> float | None:
    """What 90 % bands cover, each run's scaled by the forecasts of all other runs.

    Forecasts of one run err alike, so that with 15 runs in each half the halves alone say it
    to within a tenth. None where there are too few runs for a band.
    """
    told = {run.name: _scores(run, runs, source) for run in runs}
    inside = []
    for name, own in told.items():
        rest = tuple(score for other in told if other != name for score in told[other])
        found = band.factor(band.Calibration(source=source, kinds=(rest,)), COVERAGE)
        inside += [score <= found[0] for score in own] if found else []
    return float(np.mean(inside)) if inside else None


def _apart(run: recorded.Run, other: recorded.Run) -> bool:
    """Whether `other` may tell a forecast of `run` anything."""
    return other.fold != run.fold or (other.fold == "tune" and other.name != run.name)


@functools.cache
def _decayed(run: recorded.Run) -> law.Parameters | None:
    """The law's parameters over a whole run; None if it is too short or has no decay."""
    made = forecast.estimate(_seen(run, 1.0), run.plan, run.default)
    decayed = made is not None and made.coordinates.annealing[-1] > scores.DECAYED
    return made.fit.best if decayed else None


@functools.cache
def _multi_power(run: recorded.Run) -> law.Parameters | None:
    return scores.multi_power_parameters(_seen(run, 1.0), run.plan)


def _prior(
    run: recorded.Run,
    others: tuple[recorded.Run, ...],
    source: str,
    *,
    whole: Callable[[recorded.Run], law.Parameters | None] = _decayed,
) -> fit.Prior:
    """From the decayed runs among `others`; the default where that is asked, or there are none."""
    if source == "default":
        return run.default
    fits = [
        (other.parameters, parameters)
        for other in others
        if other.fold != "test" and _apart(run, other) and (parameters := whole(other)) is not None
    ]
    return fit.proxy_prior(run.parameters, fits) if fits else run.default


@functools.cache
def _seen(run: recorded.Run, origin: float) -> points.Observed:
    return run.seen(origin * run.plan.steps)


def _record(run: recorded.Run, origin: float, runs: tuple[recorded.Run, ...]) -> dict | None:
    """What each method said at that point of the run, and what came."""
    seen, prior = _seen(run, origin), _prior(run, runs, "proxy")
    told = {source: _told(run, origin, runs, source) for source in SOURCES}
    if None in told.values():
        return None
    finals = {f"law, {source} prior": made.final_loss for source, made in told.items()}
    finals |= scores.baselines(seen, run.plan, _prior(run, runs, "proxy", whole=_multi_power))
    return {
        "run": run.name,
        "origin": origin,
        "step": told["proxy"].step,
        "truth": run.final,
        "remaining": float(seen.loss[-1]) - run.final,
        "errors": {name: final - run.final for name, final in finals.items()},
        "bands": {
            source: [made.low, made.high] for source, made in told.items() if made.calibrated_on
        },
        "half_band": _half_band(told["proxy"], run, runs),
        "calibrated_on": told["proxy"].calibrated_on,
        "curve_error": _curve_error(run, forecast.estimate(seen, run.plan, prior)),
        "parameters": told["proxy"].parameters,
    }


def _told(
    run: recorded.Run, origin: float, runs: tuple[recorded.Run, ...], source: str
) -> signals.Forecast | None:
    return forecast.forecast(
        _seen(run, origin),
        run.plan,
        prior=_prior(run, runs, source),
        calibrations={source: calibration(runs, without=run.fold, source=source)},
        domains={},
    )


def _half_band(
    told: signals.Forecast, run: recorded.Run, runs: tuple[recorded.Run, ...]
) -> list[float] | None:
    """The band that should hold every second truth."""
    found = band.factor(calibration(runs, without=run.fold, source="proxy"), 0.5)
    if not told.calibrated_on or found is None:
        return None
    reach = found[0] * told.parameters["deviation"]
    return [told.final_loss - reach, told.final_loss + reach]


def _curve_error(run: recorded.Run, made: forecast.Estimate) -> float | None:
    """Mean absolute error over the rest of the evaluations; a training loss is too noisy."""
    later = run.steps > made.step
    if run.kind == "training" or not later.any():
        return None
    mean, _ = forecast.trajectory(made, run.steps[later])
    return float(np.mean(np.abs(mean - run.loss[later])))


def main() -> None:
    """Reads runs, writes every record and the summary, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--curves", type=pathlib.Path, help="folder of SIZE_SCHEDULE.csv")
    source.add_argument("--runs", type=pathlib.Path, help="folder of working directories")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--calibration", type=pathlib.Path, help="also update these scores")
    options = parser.parse_args()
    try:
        runs = _read(options)
        records = backtest(runs)
        rows = scores.summary(records)
    except (ValueError, OSError) as error:
        raise SystemExit(f"backtest: {error}") from None
    # Published curves of one size are one fold: what they cover is in the summary.
    covered = {source: left_out(tuple(runs), source) for source in SOURCES if options.runs}
    kept.write(options.output, {"summary": rows, "records": records, "covered_left_out": covered})
    if options.calibration:
        _ship(options.calibration, tuple(runs), kind=(options.runs or options.curves).name)
    print(scores.markdown(rows, records))
    if covered:
        print(f"90 % bands cover, each run's scaled by the others: {covered}")


def _read(options: argparse.Namespace) -> list[recorded.Run]:
    if options.curves:
        return recorded.read_curves(options.curves)
    return recorded.read_workdirs(options.runs)


def _ship(path: pathlib.Path, runs: tuple[recorded.Run, ...], *, kind: str) -> None:
    """Replaces in the file what this kind of runs says, by the name of their folder."""
    data = kept.read(path, {})
    made = [calibration(runs, without="test", source=one) for one in SOURCES]
    data[kind] = {value.source: [round(score, 4) for score in value.kinds[0]] for value in made}
    kept.write(path, data)


if __name__ == "__main__":
    main()

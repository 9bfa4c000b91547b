"""Progress of long work on the host: how far, how fast, how long still."""

import time
from collections.abc import Callable

Report = Callable[[str], object]
_EVERY = 2.0  # seconds


def track(report: Report, *, title: str, unit: str, total: float) -> Callable[[float], None]:
    """A function to call with each amount of `unit` that is done; reports every two seconds."""
    began = last = time.monotonic()
    done = 0.0

    def advance(amount: float) -> None:
        nonlocal done, last
        # Fractions need not add up to their total exactly.
        done = total if done + amount > 0.999999 * total else done + amount
        now = time.monotonic()
        if now - last >= _EVERY or done >= total:
            last = now
            report(describe(title, unit, done=done, total=total, seconds=now - began))

    return advance


def describe(title: str, unit: str, *, done: float, total: float, seconds: float) -> str:
    """One line; an estimate of the time left by the mean rate so far."""
    rate = done / max(seconds, 1e-9)
    share = done / total if total else 1.0
    line = f"{title}: {share:4.0%}, {done:.1f} of {total:.1f} {unit}, {rate:.2f} {unit}/s"
    left = (total - done) / rate if rate else float("inf")
    return line + (f", {clock(left)} left" if done < total else f", took {clock(seconds)}")


def clock(seconds: float) -> str:
    """`3 h 05 min`, `4 min 10 s`, `12 s`."""
    if seconds == float("inf"):
        return "unknown time"
    seconds = round(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"

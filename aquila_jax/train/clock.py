"""How long each step took, pauses left out, although signals are read some steps late."""

LEAST = 0.5  # of the last known duration: what takes less was over before


class Clock:
    """Told when signals were read and when the run paused, in seconds that never jump.

    Signals that were in flight during a pause are all there when it ends: read then, their steps
    would seem to have taken no time. They share what passed until the pause began; where they were
    over before that, since the host and not the device is slow, nothing is known of them and of the
    first one after the pause, which waits for as many to be started.
    """

    def __init__(self):
        self.step, self.at = 0, None  # the last step known to be over, and since when
        self.share = None  # seconds, of each step that a pause found in flight
        self.lately = 0.0  # seconds, of the last step whose duration was known

    def ended(self, step: int, now: float) -> float | None:
        """The duration of `step`, whose signals were read `now`; None where it is not known."""
        if step <= self.step:
            return self.share
        before, self.step, self.at = self.at, step, now
        if before is None:
            return None
        self.lately = max(now - before, 1e-9)
        return self.lately

    def paused(self, step: int, begun: float, now: float | None) -> None:
        """A pause from `begun`, when all up to `step` were done, until `now`.

        None where the next step began within the pause: then its duration is not known.
        """
        if step != self.step:
            known = self.at is not None and step > self.step
            self.share = max((begun - self.at) / (step - self.step), 1e-9) if known else None
            if known and self.share < LEAST * self.lately:
                self.share = now = None
        elif self.at is None:  # one pause after another
            now = None
        self.step, self.at = step, now

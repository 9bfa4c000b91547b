"""What training carries from step to step on the host: the same on every process."""

import dataclasses

from aquila_jax.core.signals import Control
from aquila_jax.dmu import ledger_json
from aquila_jax.dmu.ledger import Ledger
from aquila_jax.train import mentor
from aquila_jax.train.mentor import MentorState

_PLAIN = ("step", "sequences", "targets", "timeline", "weights")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostState:
    """Where the run stands. The device state counts step and sequences too; they agree."""

    step: int
    sequences: int  # read in this timeline: the stream's cursor
    targets: int  # learned from, in all timelines
    timeline: int  # grows with every rewind
    ledger: Ledger
    weights: dict[str, float]  # of the ledger's last entry
    control: Control
    mentor: MentorState


def to_json(host: HostState) -> dict:
    """Plain values with exact floats."""
    fields = {name: getattr(host, name) for name in _PLAIN}
    return fields | {
        "ledger": ledger_json.to_json(host.ledger),
        "control": host.control._asdict(),
        "mentor": mentor.to_json(host.mentor),
    }


def from_json(value: dict) -> HostState:
    """What `to_json` was given."""
    return HostState(
        **{name: value[name] for name in _PLAIN},
        ledger=ledger_json.from_json(value["ledger"]),
        control=Control(**value["control"]),
        mentor=mentor.from_json(value["mentor"]),
    )

"""What the loop knows about a step that the step itself cannot measure."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """The facts of one finished step; steps count from 1."""

    step: int
    tokens: float  # targets learned from so far, this step included
    batch: int  # sequences a step
    micro_batches: int  # accumulated into one step
    learning_rate: float | None = None  # that was asked for; None: not known
    progress: float | None = None  # of the plan, 0 to 1; None: open-ended
    weights: dict[str, float] | None = None  # the mixture this step was drawn from

"""What the loop knows about a step that the step itself cannot measure."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """The facts of one finished step; steps count from 1."""

    step: int
    tokens: float  # targets learned from so far, this step included
    batch: int  # sequences a step
    micro_batches: int  # accumulated into one step
    learning_rate: float  # that was asked for
    progress: float  # of the plan, 0 to 1
    weights: dict[str, float]  # the mixture that it was read by
    coming: dict[str, float] | None = None  # that of the steps to start next; None: the same

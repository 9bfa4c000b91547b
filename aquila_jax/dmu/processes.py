"""Work spread over processes of this machine."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int
) -> Iterator[tuple[int, Result]]:
    """`(index, work(tasks[index]))` as they are done, in any order; one process works right here.

    Processes are spawned, since a fork would copy the locks of JAX's and TensorStore's threads.
    """
    processes = min(processes, len(tasks))
    if processes <= 1:
        yield from enumerate(map(work, tasks))
        return
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, mp_context=context)
    try:
        indices = {pool.submit(work, task): index for index, task in enumerate(tasks)}
        waiting = set(indices)
        while waiting:
            done, waiting = concurrent.futures.wait(waiting, return_when="FIRST_COMPLETED")
            # Forgotten once they are given, so that results do not pile up.
            for future in done:
                yield indices.pop(future), future.result()
    except BrokenProcessPool as error:
        raise ValueError(
            "a worker process was killed, likely for want of memory: run again with fewer than "
            f"{processes} processes, what is done is kept."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)

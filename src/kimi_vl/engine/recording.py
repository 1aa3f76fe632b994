"""A decoding step as a CUDA graph, for whoever decodes rows: launching its kernels one by one would take several times as long."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


class Recordings:
    """Steps by name. One that is needed for the first time is launched kernel by kernel: whoever waits for it waits for its kernels to be
    compiled or loaded, but not for three runs more. The second time it is recorded, and from then on replayed."""

    def __init__(self, pool: Any = None) -> None:
        """`pool`: memory of other graphs, to share."""
        self._pool = pool
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, Any] | None] = {}

    def run(self, name: Hashable, step: Callable[[], Result], active_B: torch.Tensor | None = None) -> Result:
        """What `step` returns, under the conditions of `record`; tensors of a recorded step are overwritten by its next run.

        Whatever is true of `step` must be so for each of the same name: it is the first or the second that goes on being replayed.
        """
        if name not in self._graphs:
            result = step()
            self._graphs[name] = None
            return result
        recorded = self._graphs[name]
        if recorded is None:
            recorded = self._graphs[name] = record(step, active_B, self._pool)
        graph, result = recorded
        graph.replay()
        return result


def record(step: Callable[[], Result], active_B: torch.Tensor | None = None, pool: Any = None) -> tuple[torch.cuda.CUDAGraph, Result]:
    """Record `step`, which asks the host nothing and changes only rows whose `active_B` is not 0. `pool` is an earlier graph's, to share.
    Returns with the graph what `step` returned, the tensors that each replay writes.

    What `active_B` holds is put back; the rows are as they were. Without rows, running the step three times must do no harm.
    """
    # Libraries choose kernels and reserve memory at first use, which a recording cannot hold. With no row active, running the step
    # for that purpose changes nothing.
    kept_B = None if active_B is None else active_B.clone()
    if active_B is not None:
        active_B.zero_()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # The default stream is that of the first recording in the process, on whichever GPU that was. Other threads, such as one that pins
    # a loader's batches, may go on allocating.
    with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        result = step()
    if active_B is not None and kept_B is not None:
        active_B.copy_(kept_B)
    return graph, result

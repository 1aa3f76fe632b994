"""A decoding step as a CUDA graph, for whoever decodes rows: launching its kernels one by one would take several times as long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def record(step: Callable[[], None], active_B: torch.Tensor | None = None, pool: Any = None) -> torch.cuda.CUDAGraph:
    """Record `step`, which asks the host nothing and changes only rows whose `active_B` is not 0. `pool` is an earlier graph's, to share.

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
        step()
    if active_B is not None and kept_B is not None:
        active_B.copy_(kept_B)
    return graph

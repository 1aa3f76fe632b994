"""How much memory there is, and running out of it, told as one error whatever the device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kimi_vl.errors import CapacityError


@contextmanager
def memory_limit(doing: str, advice: str) -> Iterator[None]:
    """Turn a failed allocation inside the block into a CapacityError that says what was being done and what would help.

    torch raises OutOfMemoryError, a RuntimeError, on a GPU and a plain RuntimeError on the CPU; only their text tells them from others.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        raise CapacityError(f"out of memory while {doing}; {advice}") from error


SHARE = 0.95  # of what is free on a device; the rest is for whoever else is there, and for what an allocator cannot use
CPU_BYTES = 1 << 30  # for an engine on a CPU, where what is free says little


def free_bytes(device: torch.device) -> int:
    """What an engine may take of a device's memory beside what is there already."""
    if device.type != "cuda":
        return CPU_BYTES
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, and free
    return int(SHARE * (torch.cuda.mem_get_info(device)[0] + held))

"""Running out of memory, told as one error whatever the device."""

from collections.abc import Iterator
from contextlib import contextmanager

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

"""Triton, where it is installed: torch for NVIDIA GPUs brings it along on Linux, torch for the CPU comes without it.

Kernels are defined either way, so that the package can be imported and `ops.registry` can say why it refuses them.
"""

from __future__ import annotations

import torch

try:
    import triton
    import triton.language as tl
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError:
    triton = tl = TensorDescriptor = None


def jit(function=None, *, varying: tuple[str, ...] = ()):
    """triton.jit, or the function as it is where there is nothing to compile it.

    `varying` names counts that change from call to call: Triton would compile the kernel anew when one is 1 or divisible by 16 for the
    first time, and a request would wait for it.
    """
    if function is None:
        return lambda function: jit(function, varying=varying)
    return triton.jit(function, do_not_specialize=varying) if triton else function


def overlap(device: torch.device) -> dict[str, bool]:
    """Launch options of a kernel that takes part in programmatic dependent launch (Hopper and newer): it is set up, and loads what no
    kernel before it computes, while those before it still run. Between 200 kernels of 5 us each the gaps would be a fifth of the time.

    Such a kernel has the constexpr OVERLAPS and calls `begin` before it touches what others write.
    """
    able = triton is not None and device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 9
    return {"OVERLAPS": True, "launch_pdl": True} if able else {"OVERLAPS": False}


@jit
def begin(OVERLAPS: tl.constexpr):
    """Let the next kernel be set up, and wait until the one before has written everything."""
    if OVERLAPS:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()


@jit
def begin_behind(OVERLAPS: tl.constexpr):
    """As `begin`, but the next kernel is set up only when everything before this one is there: it may read that before it waits."""
    if OVERLAPS:
        tl.extra.cuda.gdc_wait()
        tl.extra.cuda.gdc_launch_dependents()


def next_power_of_2(number: int) -> int:
    """The least power of two that is not smaller: the shapes of Triton's blocks are powers of two."""
    return 1 << (number - 1).bit_length()


def num_processors(device: torch.device) -> int:
    """How many programs a device runs side by side at the least; that of an H100 where no GPU is asked (Triton's interpreter)."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 132

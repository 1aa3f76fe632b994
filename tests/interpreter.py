"""Triton kernels without a GPU: Triton's own interpreter runs them block by block in numpy, if it is installed and can."""

import importlib.util
import os

import torch


def turn_on() -> None:
    """Must come before anything imports Triton, which decides when a kernel is defined."""
    if importlib.util.find_spec("triton") and not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"
        _round_to_fp8_as_a_gpu_does()


def _round_to_fp8_as_a_gpu_does() -> None:
    """The interpreter's own conversion forgets the carry: 0.4945 becomes 0.25 instead of 0.5 (met with triton 3.6)."""
    import triton.language as tl
    from triton.runtime import interpreter

    convert = interpreter._convert_float

    def converted(values, source, target, rounding):
        if target != tl.float8e4nv:
            return convert(values, source, target, rounding)
        exact = values if source == tl.float32 else convert(values, source, tl.float32, None).view("float32")
        rounded = torch.from_numpy(exact).clamp(-448, 448).to(torch.float8_e4m3fn)
        return rounded.view(torch.uint8).numpy()

    interpreter._convert_float = converted


def refusal() -> str | None:
    """Why kernels cannot be interpreted here, or None."""
    if torch.cuda.is_available():
        return "kernels run on the GPU of this machine"
    if not importlib.util.find_spec("triton"):
        return "needs the package triton, which comes with torch for NVIDIA GPUs only"
    import numpy

    if tuple(map(int, numpy.__version__.split(".")[:2])) >= (2, 4):
        # Loops end in int(array of one element), an error since 2.4 (met with triton 3.6).
        return f"triton's interpreter needs a numpy older than 2.4, this is {numpy.__version__}"
    return None

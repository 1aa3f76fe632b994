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
    """The interpreter loses the carry from the last bit of a mantissa into the exponent, so that 7.9 becomes 4, and reads NaN as 480 (met
    in triton 3.6)."""
    from triton.runtime import interpreter

    convert = interpreter._convert_float

    def converted(data, source, target, rounding):
        fp8, fp32 = interpreter.tl.float8e4nv, interpreter.tl.float32
        if target == fp8:
            values = torch.from_numpy(data).float().clamp(-448.0, 448.0)
            return values.to(torch.float8_e4m3fn).view(torch.uint8).numpy()
        if source == fp8 and target in (fp32, interpreter.tl.float16):
            values = torch.from_numpy(data).view(torch.float8_e4m3fn)
            return values.to(torch.float32 if target == fp32 else torch.float16).numpy()
        return convert(data, source, target, rounding)

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

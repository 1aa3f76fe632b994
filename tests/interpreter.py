"""Triton kernels without a GPU: Triton's own interpreter runs them block by block in numpy, if it is installed and can."""

import importlib.util
import os

import torch


def turn_on() -> None:
    """Must come before anything imports Triton, which decides when a kernel is defined."""
    if importlib.util.find_spec("triton") and not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"


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

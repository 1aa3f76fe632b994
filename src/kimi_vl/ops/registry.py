"""Which implementation of each operation runs on which device.

`select` is called once per loaded model. An implementation named by the caller is a promise: if it cannot run here, that is an
error; only the automatic choice may fall back. `explain` tells, for `kimi-vl doctor`, what was chosen and why the rest was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from kimi_vl.errors import ImplementationUnavailable
from kimi_vl.ops import attention, cudnn, experts, latent, norm, rotary, sampling
from kimi_vl.ops.triton import (
    batched_latent_attention,
    draw_rows,
    expand_latents,
    gated_mlp,
    latent_rows,
    paged_latent_attention,
    rms_norm,
    rotate_qk,
    route,
    routed_experts,
    weigh_rows,
)
from kimi_vl.ops.triton.language import triton


@dataclass(frozen=True)
class Operations:
    """The chosen implementation of every operation that has several; passed down through a forward."""

    rms_norm: Callable[..., torch.Tensor]
    add_rms_norm: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    rotate_qk: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    latent_rows: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    write_latent: Callable[..., torch.Tensor]
    expand_latents: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    varlen_attention: Callable[..., torch.Tensor]
    expanded_latent_attention: Callable[..., torch.Tensor]
    latent_attention: Callable[..., torch.Tensor]
    batched_latent_attention: Callable[..., torch.Tensor]
    paged_latent_attention: Callable[..., torch.Tensor]
    route: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    routed_experts: Callable[..., torch.Tensor]
    gated_mlp: Callable[..., torch.Tensor]
    mixture: Callable[..., torch.Tensor]
    weigh_rows: Callable[..., torch.Tensor]
    draw_rows: Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Implementation:
    """One way to compute an operation. `refuses` returns the reason why it cannot run on (device, dtype), or None.

    `parts` are operations that it computes along with its own, in its own way: where the caller names another implementation of one of
    them, it is no automatic choice.
    """

    operation: str
    name: str
    function: Callable[..., Any]
    refuses: Callable[[torch.device, torch.dtype], str | None]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One line of `explain`."""

    operation: str
    name: str
    chosen: bool
    reason: str


def _anywhere(device: torch.device, dtype: torch.dtype) -> str | None:
    return None


def _half_on_gpu(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type != "cuda":
        return f"needs an NVIDIA GPU, the device is {device.type}"
    if dtype not in (torch.bfloat16, torch.float16):
        return f"needs bfloat16 or float16 weights, these are {str(dtype).removeprefix('torch.')}"
    return None


def _flash(device: torch.device, dtype: torch.dtype) -> str | None:
    if (refusal := _half_on_gpu(device, dtype)) is not None:
        return refusal
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11):
        return f"needs torch 2.11 or newer for its windowed varlen kernel, this is {torch.__version__}"
    return None


def _cudnn(device: torch.device, dtype: torch.dtype) -> str | None:
    # The flash kernel computes what cuDNN does not, and Triton's put together what it is given and what it gives.
    if (refusal := _flash(device, dtype) or _triton(device, dtype)) is not None:
        return refusal
    return None if cudnn.has_cudnn_attention(device, dtype) else "needs cuDNN 9.11 or newer, turned on in torch, and an H100 or newer"


def _triton(device: torch.device, dtype: torch.dtype) -> str | None:
    if (refusal := _half_on_gpu(device, dtype)) is not None:
        return refusal
    return None if triton else "needs the package triton, which torch for NVIDIA GPUs brings along on Linux"


def _grouped(device: torch.device, dtype: torch.dtype) -> str | None:
    if (refusal := _half_on_gpu(device, dtype)) is not None:
        return refusal
    return (
        None
        if experts.has_grouped_mm(device, dtype)
        else "needs torch's grouped_mm, and bfloat16 on an H100 or newer for one that never syncs"
    )


# In order of preference: the first that can run is the automatic choice.
IMPLEMENTATIONS = (
    Implementation("rms_norm", "triton", rms_norm.rms_norm_triton, _triton),
    Implementation("rms_norm", "reference", norm.rms_norm, _anywhere),
    Implementation("add_rms_norm", "triton", rms_norm.add_rms_norm_triton, _triton),
    Implementation("add_rms_norm", "reference", norm.add_rms_norm, _anywhere),
    Implementation("rotate_qk", "triton", rotate_qk.rotate_qk_triton, _triton),
    Implementation("rotate_qk", "reference", rotary.rotate_qk, _anywhere),
    Implementation("latent_rows", "triton", latent_rows.latent_rows_triton, _triton),
    Implementation("latent_rows", "reference", latent.latent_rows, _anywhere),
    Implementation("write_latent", "triton", latent_rows.write_latent_triton, _triton),
    Implementation("write_latent", "reference", latent.write_latent, _anywhere),
    Implementation("expand_latents", "triton", expand_latents.expand_latents_triton, _triton),
    Implementation("expand_latents", "reference", attention.expand_latents, _anywhere),
    Implementation("varlen_attention", "cudnn", cudnn.varlen_attention_cudnn, _cudnn),
    Implementation("varlen_attention", "flash", attention.varlen_attention_flash, _flash),
    Implementation("varlen_attention", "sdpa", attention.varlen_attention_sdpa, _anywhere),
    Implementation("varlen_attention", "reference", attention.varlen_attention_reference, _anywhere),
    Implementation("expanded_latent_attention", "cudnn", cudnn.expanded_latent_attention_cudnn, _cudnn),
    Implementation("expanded_latent_attention", "flash", attention.expanded_latent_attention_flash, _flash),
    Implementation("expanded_latent_attention", "sdpa", attention.expanded_latent_attention_sdpa, _anywhere),
    Implementation("expanded_latent_attention", "reference", attention.expanded_latent_attention_reference, _anywhere),
    Implementation("latent_attention", "reference", attention.latent_attention_reference, _anywhere),
    Implementation("batched_latent_attention", "triton", batched_latent_attention.batched_latent_attention_triton, _triton),
    Implementation("batched_latent_attention", "bmm", attention.batched_latent_attention_bmm, _half_on_gpu),
    Implementation("batched_latent_attention", "reference", attention.batched_latent_attention_reference, _anywhere),
    Implementation("paged_latent_attention", "triton", paged_latent_attention.paged_latent_attention_triton, _triton),
    Implementation("paged_latent_attention", "reference", attention.paged_latent_attention_reference, _anywhere),
    Implementation("route", "triton", route.route_triton, _triton),
    Implementation("route", "reference", experts.route, _anywhere),
    Implementation("routed_experts", "triton", routed_experts.routed_experts_triton, _triton),
    Implementation("routed_experts", "loop", experts.routed_experts_loop, _anywhere),
    Implementation("routed_experts", "dense", experts.routed_experts_dense, _anywhere),
    Implementation("routed_experts", "grouped", experts.routed_experts_grouped, _grouped),
    Implementation("gated_mlp", "triton", gated_mlp.gated_mlp_triton, _triton),
    Implementation("gated_mlp", "reference", experts.gated_mlp, _anywhere),
    Implementation("mixture", "triton", routed_experts.mixture_triton, _triton, parts=("routed_experts", "gated_mlp")),
    Implementation("mixture", "reference", experts.mixture, _anywhere),
    Implementation("weigh_rows", "triton", weigh_rows.weigh_rows_triton, _triton),
    Implementation("weigh_rows", "reference", sampling.weigh_rows, _anywhere),
    Implementation("draw_rows", "triton", draw_rows.draw_rows_triton, _triton),
    Implementation("draw_rows", "reference", sampling.draw_rows, _anywhere),
)


def explain(device: torch.device, dtype: torch.dtype) -> Iterable[Verdict]:
    """Every implementation with the automatic choice marked and the reason beside it."""
    settled: set[str] = set()
    for implementation in IMPLEMENTATIONS:
        refusal = implementation.refuses(device, dtype)
        chosen = refusal is None and implementation.operation not in settled
        if chosen:
            settled.add(implementation.operation)
        reason = refusal or ("first that can run here" if chosen else "able, but a preferred one runs")
        yield Verdict(implementation.operation, implementation.name, chosen, reason)


def select(device: torch.device, dtype: torch.dtype, choices: Mapping[str, str] | None = None) -> Operations:
    """Resolve every operation for a device and weight dtype. `choices` maps an operation to the name of an implementation.

    Raises: ImplementationUnavailable if a named one does not exist or cannot run here.
    """
    choices = dict(choices or {})
    resolved: dict[str, Callable[..., Any]] = {}
    for implementation in IMPLEMENTATIONS:
        operation, wanted, parts = implementation.operation, choices.get(implementation.operation), implementation.parts
        refusal = implementation.refuses(device, dtype)
        if wanted == implementation.name:
            if refusal is not None:
                raise ImplementationUnavailable(f"{operation} was to run as {wanted!r}, which {refusal}")
            resolved[operation] = implementation.function
        elif wanted is None and refusal is None and {choices.get(part, implementation.name) for part in parts} <= {implementation.name}:
            resolved.setdefault(operation, implementation.function)
    for operation, wanted in choices.items():
        if operation not in resolved:
            names = sorted(f"{i.operation}={i.name}" for i in IMPLEMENTATIONS)
            raise ImplementationUnavailable(f"no implementation {operation}={wanted}; there are {', '.join(names)}")
    return Operations(**resolved)

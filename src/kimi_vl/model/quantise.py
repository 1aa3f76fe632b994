"""A decoder's weights put into eight bits, in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from kimi_vl.checkpoint.layout import LANGUAGE
from kimi_vl.errors import InputError
from kimi_vl.model.experts import QuantisedExperts, RoutedExperts
from kimi_vl.model.layers import QuantisedLinear
from kimi_vl.ops.quantised import LARGEST, Kind, Quantised, quantised

# Read through its heads, by two maps, and 4 MB a layer.
KEPT = "kv_b_proj"


def quantiser(kind: str) -> Callable[[nn.Module, str], None]:
    """What `checkpoint.load_model` calls for each module of a whole model that has its weights. Raises: InputError."""
    if kind not in LARGEST:
        raise InputError(f"quantize is {kind!r}; it must be 'int8' or 'fp8'")

    def filled(model: nn.Module, name: str) -> None:
        if name.startswith(LANGUAGE):
            quantise_module(model, name, kind)

    return filled


def quantise(model: nn.Module, kind: Kind) -> None:
    """Experts, projections, MLPs and the output matrix of a language model; router, norms, embeddings and the latents' map stay as they
    are.

    Module by module, so that no more than one layer's experts exist twice; of these it goes expert by expert.
    """
    for name in [name for name, _ in model.named_modules()]:
        quantise_module(model, name, kind)


@torch.no_grad()
def quantise_module(model: nn.Module, name: str, kind: Kind) -> None:
    """The same for one module by its name; one that is not to be quantised stays as it is."""
    parent_name, _, leaf = name.rpartition(".")
    module = model.get_submodule(name)
    if isinstance(module, nn.Linear) and leaf != KEPT:
        setattr(model.get_submodule(parent_name), leaf, QuantisedLinear(quantised(module.weight.data, kind)))
    elif isinstance(module, RoutedExperts):
        experts = QuantisedExperts(_of_many(module.gate_up_proj.data, kind), _of_many(module.down_proj.data, kind))
        setattr(model.get_submodule(parent_name), leaf, experts)


def _of_many(weights_ERD: torch.Tensor, kind: Kind) -> Quantised:
    found = [quantised(weight_RD, kind) for weight_RD in weights_ERD]
    return Quantised(torch.stack([weight.values for weight in found]), torch.stack([weight.scales for weight in found]))

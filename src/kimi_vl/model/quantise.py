"""A decoder's weights put into eight or four bits, in place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from kimi_vl.checkpoint.layout import LANGUAGE
from kimi_vl.errors import InputError
from kimi_vl.model.experts import QuantisedExperts, RoutedExperts
from kimi_vl.model.layers import QuantisedLinear
from kimi_vl.ops.quantised import KINDS, Kind, beside_experts, quantised, quantised_experts

# Read through its heads, by two maps, and 4 MB a layer.
KEPT = "kv_b_proj"


@dataclass(frozen=True)
class Quantiser:
    """What `checkpoint.load_model` calls for each module of a whole model that has its weights."""

    kind: Kind

    def __call__(self, model: nn.Module, name: str) -> None:
        if name.startswith(LANGUAGE):
            quantise_module(model, name, self.kind)


def quantiser(kind: str) -> Quantiser:
    """Raises: InputError."""
    for known in KINDS:
        if kind == known:
            return Quantiser(known)
    raise InputError(f"quantize is {kind!r}; it must be {', '.join(map(repr, KINDS[:-1]))} or {KINDS[-1]!r}")


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
        setattr(model.get_submodule(parent_name), leaf, QuantisedLinear(quantised(module.weight.data, beside_experts(kind))))
    elif isinstance(module, RoutedExperts):
        experts = QuantisedExperts(*(quantised_experts(many.data, kind) for many in (module.gate_up_proj, module.down_proj)))
        setattr(model.get_submodule(parent_name), leaf, experts)

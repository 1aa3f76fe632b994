"""A decoder's weights put into eight bits, in place."""

from __future__ import annotations

import torch
from torch import nn

from kimi_vl.model.decoder import LanguageModel
from kimi_vl.model.experts import QuantisedExperts, RoutedExperts
from kimi_vl.model.layers import QuantisedLinear
from kimi_vl.ops.quantised import Kind, Quantised, quantised

# Read through its heads, by two maps, and 4 MB a layer.
KEPT = ("kv_b_proj",)


@torch.no_grad()
def quantise(model: LanguageModel, kind: Kind) -> None:
    """Experts, projections, MLPs and the output matrix; router, norms, embeddings and the latents' map stay as they are.

    Layer by layer, so that no more than one layer's experts exist twice; of these it goes expert by expert.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and name not in KEPT:
                setattr(module, name, QuantisedLinear(quantised(child.weight.data, kind)))
            elif isinstance(child, RoutedExperts):
                setattr(module, name, QuantisedExperts(_of_many(child.gate_up_proj.data, kind), _of_many(child.down_proj.data, kind)))


def _of_many(weights_ERD: torch.Tensor, kind: Kind) -> Quantised:
    found = [quantised(weight_RD, kind) for weight_RD in weights_ERD]
    return Quantised(torch.stack([weight.values for weight in found]), torch.stack([weight.scales for weight in found]))

"""Our network filled with the reference's weights, and one case to run both on."""

from dataclasses import dataclass
from functools import cached_property

import torch

from kimi_vl.checkpoint.layout import checkpoint_layout
from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from tests.configs import TINY
from tests.parity.tiny_reference import GOLDEN_GRIDS, Reference, make_inputs, make_weights


@dataclass
class Case:
    """A configuration with deterministic weights and one prompt."""

    config: dict
    grids: list[tuple[int, int]]
    seed: int = 0
    output_gain: float = 1.0  # on lm_head, to bring the logits to the size of a real model's

    @cached_property
    def weights(self) -> dict[str, torch.Tensor]:
        weights = make_weights(self.config, self.seed)
        weights["language_model.lm_head.weight"] *= self.output_gain
        return weights

    @cached_property
    def inputs(self) -> tuple[torch.Tensor, torch.Tensor]:
        return make_inputs(self.config, self.grids, self.seed)

    @property
    def input_ids(self) -> torch.Tensor:
        return self.inputs[0]

    @property
    def pixel_values(self) -> torch.Tensor:
        return self.inputs[1]

    @cached_property
    def expected(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The reference's image features [M, D] and logits [T, W], fp32."""
        return Reference(self.config, self.weights)(self.input_ids, self.pixel_values, self.grids)

    def model(self, dtype: torch.dtype = torch.float32) -> KimiVLForConditionalGeneration:
        return load(self.config, self.weights, dtype)

    def logits(self, model: KimiVLForConditionalGeneration) -> torch.Tensor:
        return model(self.input_ids, self.pixel_values, self.grids) if self.grids else model(self.input_ids)


def load(config: dict, weights: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32) -> KimiVLForConditionalGeneration:
    """Our network with tensors given under the official names."""
    parsed = KimiVLConfig.from_dict(config)
    model = KimiVLForConditionalGeneration(parsed, dtype=dtype).requires_grad_(False)
    parameters = dict(model.named_parameters())
    layout = checkpoint_layout(parsed)
    assert layout.keys() == weights.keys()
    for name, spec in layout.items():
        parameters[spec.parameter][spec.index] = weights[name].to(parameters[spec.parameter].dtype)
    return model


def golden_case() -> Case:
    return Case(TINY, GOLDEN_GRIDS)

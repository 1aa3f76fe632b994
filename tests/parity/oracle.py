"""transformers' Kimi_K25 model as a third opinion (MODEL_SPEC §8, 1). Its import takes seconds: import this in one test module only.

With frames of one image it is Kimi-VL, as long as the position table is square. It loads the official tensor names itself, by its own
conversion table, so that our reading of the names is checked as well.
"""

from typing import Any

import torch
from transformers import Kimi_K25Config, Kimi_K25ForConditionalGeneration
from transformers.utils import logging

PROJECTOR_NAMES = {
    r"multi_modal_projector\.pre_norm": "model.mm_projector.pre_norm",
    r"multi_modal_projector\.linear_1": "model.mm_projector.in_proj",
    r"multi_modal_projector\.linear_2": "model.mm_projector.out_proj",
}


class Oracle:
    def __init__(self, config: dict, weights: dict[str, torch.Tensor]) -> None:
        logging.disable_progress_bar()
        loaded: Any = Kimi_K25ForConditionalGeneration.from_pretrained(
            None,
            config=_translated(config),
            state_dict=dict(weights),
            key_mapping=PROJECTOR_NAMES,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
        self.model, report = loaded
        assert not any(report.values()), f"the oracle did not take every tensor: {report}"
        self.model.eval()

    @torch.no_grad()
    def __call__(
        self, input_ids: torch.Tensor, pixel_values: torch.Tensor, grids: list[tuple[int, int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [M, D], logits [T, W]) of one sequence."""
        grid_thw = torch.tensor([(1, height, width) for height, width in grids])
        features = torch.cat(self.model.model.get_image_features(pixel_values, grid_thw).pooler_output)
        output = self.model(input_ids=input_ids[None], pixel_values=pixel_values, image_grid_thw=grid_thw, use_cache=False)
        return features, output.logits[0]


def _translated(config: dict) -> Kimi_K25Config:
    vision = dict(config["vision_config"])
    assert vision["init_pos_emb_height"] == vision["init_pos_emb_width"], "the oracle is wrong for tables that are not square"
    vision["pos_emb_height"] = vision.pop("init_pos_emb_height")
    vision["pos_emb_width"] = vision.pop("init_pos_emb_width")
    return Kimi_K25Config(
        text_config=config["text_config"],
        vision_config=vision | {"model_type": "kimi_k25_vision", "pos_emb_time": 4},
        projection_hidden_size=vision["hidden_size"],
        image_token_id=config["media_placeholder_token_id"],
        video_token_id=config["text_config"]["vocab_size"] + 1,  # never met
        tie_word_embeddings=False,
    )

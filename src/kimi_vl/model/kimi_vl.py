"""The whole model: pictures and tokens in, logits out (MODEL_SPEC §3 step 7, §4).

Letters: T tokens, P patches, M image tokens, D decoder width, W vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from kimi_vl.checkpoint.load import load_model
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import ShapeError
from kimi_vl.model.cache import BatchLatentCache, LatentCache
from kimi_vl.model.decoder import LanguageModel
from kimi_vl.model.patches import PatchLayout
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.model.vision import Projector, VisionTower
from kimi_vl.ops import Operations, select

GridHWs = torch.Tensor | Sequence[tuple[int, int]]


class KimiVLForConditionalGeneration(nn.Module):
    """Kimi-VL. Parameters carry the checkpoint's names; they are uninitialised until weights are loaded."""

    def __init__(self, config: KimiVLConfig, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.config = config
        self.vision_tower = VisionTower(config.vision_config, **factory)
        self.multi_modal_projector = Projector(config.vision_config, config.text_config, **factory)
        self.language_model = LanguageModel(config.text_config, **factory)
        self.choose_implementations()

    @property
    def device(self) -> torch.device:
        return self.language_model.model.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.language_model.model.norm.weight.dtype

    def choose_implementations(self, choices: Mapping[str, str] | None = None) -> None:
        """Resolve the operations for the device and dtype the weights have now (see `ops.select`). Raises: ImplementationUnavailable."""
        self.ops = select(self.device, self.dtype, choices)

    def image_features(self, pixel_values: torch.Tensor, image_grid_hws: GridHWs) -> torch.Tensor:
        """Encode packed images. pixel_values [P, 3, patch, patch], grids [images, 2] as (rows, columns) -> [P/4, D], images in order.

        Raises: ShapeError if the grids are not integer pairs or do not account for the patches, or the pixels are not normalised floats.
        """
        grids = _as_pairs(image_grid_hws)
        expected = sum(h * w for h, w in grids)
        patch = self.config.vision_config.patch_size
        if tuple(pixel_values.shape) != (expected, 3, patch, patch):
            raise ShapeError(f"pixel_values is {list(pixel_values.shape)}; the grids {grids} need [{expected}, 3, {patch}, {patch}]")
        if not pixel_values.is_floating_point():
            raise ShapeError(f"pixel_values are {pixel_values.dtype}; the network takes normalised floats, as Processor.images gives them")
        layout = PatchLayout.of(grids, self.vision_tower.table_hw, self.device)
        patches_PC = self.vision_tower(pixel_values.to(self.device), layout, self.ops)
        return self.multi_modal_projector(patches_PC, layout.merge_index_M4)

    def embed(
        self, input_ids_T: torch.Tensor, features_MD: torch.Tensor | None, placeholders_M: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Token embeddings [T, D] with the image features written over the placeholder tokens, in order. `placeholders_M` int64 says where
        these are, if the caller knows; the device is asked otherwise.

        Raises: ShapeError unless there are exactly as many placeholders as features.
        """
        embeddings_TD = self.language_model.model.embed_tokens(input_ids_T)
        if placeholders_M is None:
            placeholders_M = (input_ids_T == self.config.media_placeholder_token_id).nonzero()[:, 0]  # host sync
        count, features = placeholders_M.shape[0], 0 if features_MD is None else features_MD.shape[0]
        if count != features:
            raise ShapeError(f"the prompt holds {count} image placeholder tokens and the images give {features} features; they must match")
        if features_MD is None or count == 0:
            return embeddings_TD
        embeddings_TD = embeddings_TD.to(features_MD.dtype)
        return embeddings_TD.index_copy(0, placeholders_M, features_MD)

    def forward(
        self, input_ids: torch.Tensor, pixel_values: torch.Tensor | None = None, image_grid_hws: GridHWs | None = None
    ) -> torch.Tensor:
        """Logits of every position, fp32 [..., W]. input_ids [T], or [B, T] for B sequences of one length; images flattened in order.

        Raises: ShapeError for ids that are not integers of the vocabulary in one of these shapes, or that do not match the images.
        """
        if input_ids.ndim not in (1, 2) or input_ids.numel() == 0:
            raise ShapeError(f"input_ids is {list(input_ids.shape)}; it must be [T] or [B, T] and not empty")
        vocab_size = self.config.text_config.vocab_size
        if input_ids.dtype not in (torch.int64, torch.int32) or input_ids.min() < 0 or input_ids.max() >= vocab_size:
            raise ShapeError(f"input_ids ({input_ids.dtype}) must be integers from 0 to {vocab_size - 1}, the vocabulary of this model")
        input_ids = input_ids.to(self.device)
        rows = input_ids.reshape(-1, input_ids.shape[-1])
        features = None
        if pixel_values is not None:
            if image_grid_hws is None:
                raise ShapeError("pixel_values came without image_grid_hws; pass the (rows, columns) of every image")
            features = self.image_features(pixel_values, image_grid_hws)
        elif image_grid_hws is not None:
            raise ShapeError("image_grid_hws came without pixel_values; pass the patches of the images, or neither")
        tokens = TokenLayout.of([rows.shape[1]] * rows.shape[0], self.device)
        hidden_TD, _ = self.language_model.model(self.embed(rows.flatten(), features), tokens, self.ops)
        return self.language_model.lm_head(hidden_TD).float().unflatten(0, input_ids.shape)

    def new_cache(self, capacity: int) -> LatentCache:
        """An empty latent cache for one sequence of at most `capacity` tokens."""
        return LatentCache(self.config.text_config, capacity, dtype=self.dtype, device=self.device)

    def step(self, input_ids_T: torch.Tensor, cache: LatentCache, features_MD: torch.Tensor | None = None) -> torch.Tensor:
        """Prefill or decode: run the next tokens of the cache's sequence and return the logits after the last one, fp32 [W].

        Into an empty cache attention runs in expanded form, behind kept tokens in absorbed form. Mutates the cache.
        Raises: ShapeError unless the ids are [T] and match the features; CapacityError, before anything is kept, if the cache is full.
        """
        if input_ids_T.ndim != 1 or input_ids_T.numel() == 0:
            raise ShapeError(f"input_ids is {list(input_ids_T.shape)}; a step takes the next tokens of one sequence, [T] and not empty")
        input_ids_T = input_ids_T.to(self.device)
        tokens = TokenLayout.of([input_ids_T.shape[0]], self.device, start=cache.length)
        hidden_TD, _ = self.language_model.model(self.embed(input_ids_T, features_MD), tokens, self.ops, cache)
        return self.language_model.lm_head(hidden_TD[-1]).float()

    def new_batch_cache(self, rows: int, capacity: int) -> BatchLatentCache:
        """An empty latent cache for `rows` sequences of at most `capacity` tokens each."""
        return BatchLatentCache(self.config.text_config, rows, capacity, dtype=self.dtype, device=self.device)

    def prefill(
        self, input_ids_T: torch.Tensor, lengths: Sequence[int], features_MD: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, LatentCache]:
        """Run whole prompts of the given lengths, packed one after another [T], their image features in the same order.

        Returns the logits after the last token of each, fp32 [prompts, W], and the latents of all T tokens, packed alike.
        Raises: ShapeError unless the lengths are positive and sum to T, and the placeholders match the features.
        """
        if input_ids_T.ndim != 1 or min(lengths, default=0) < 1 or sum(lengths) != input_ids_T.shape[0]:
            raise ShapeError(f"input_ids is {list(input_ids_T.shape)} and the prompts have {list(lengths)} tokens; they must lie packed")
        packed = self.new_cache(input_ids_T.shape[0])
        tokens = TokenLayout.of(lengths, self.device)
        hidden_TD, _ = self.language_model.model(self.embed(input_ids_T.to(self.device), features_MD), tokens, self.ops, packed)
        last = tokens.cu_seqlens[1:].long() - 1
        return self.language_model.lm_head(hidden_TD.index_select(0, last)).float(), packed

    def decode(self, input_ids_B: torch.Tensor, cache: BatchLatentCache, ops: Operations | None = None) -> torch.Tensor:
        """Run the next token of every row of the cache; the logits after it, fp32 [B, W]. `ops` instead of the model's, if given.

        Nothing here asks the host, so a CUDA graph can hold it if the operations can be held. Mutates the cache.
        """
        boundaries = torch.arange(input_ids_B.shape[0] + 1, dtype=torch.int32, device=self.device)
        tokens = TokenLayout(cache.lengths_B, boundaries, 1)
        decoder = self.language_model.model
        hidden_BD, _ = decoder(decoder.embed_tokens(input_ids_B), tokens, ops or self.ops, cache)
        return self.language_model.lm_head(hidden_BD).float()

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, dtype: torch.dtype | str = "auto", device: torch.device | str = "cpu"
    ) -> KimiVLForConditionalGeneration:
        """Load a checkpoint in the official layout; "auto" is the dtype the files are in (see `checkpoint.load_model`).

        Raises: ConfigError, CheckpointError, CapacityError if it does not fit the device's memory.
        """
        model, _ = load_model(folder, cls, dtype=dtype, device=device)
        model.choose_implementations()
        return model


def _as_pairs(image_grid_hws: GridHWs) -> list[tuple[int, int]]:
    grids = torch.as_tensor(image_grid_hws)
    if grids.ndim != 2 or grids.shape[1] != 2 or grids.is_floating_point():
        raise ShapeError(
            f"image_grid_hws is {list(grids.shape)} of {grids.dtype}; it must be integers [images, 2], (rows, columns) of each image"
        )
    return [(height, width) for height, width in grids.tolist()]

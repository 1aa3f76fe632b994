"""`KimiVLForConditionalGeneration` as transformers knows models: its `forward`, `generate`, `from_pretrained` and `save_pretrained` around
the modules and operations of `kimi_vl.model`.

Letters: B rows, T columns, D decoder width, W vocabulary. Rows are packed: padding is left out before the network, by the attention mask.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from kimi_vl.checkpoint import load_model, locate_checkpoint, save_checkpoint
from kimi_vl.config import KimiVLConfig as NetworkConfig
from kimi_vl.errors import InputError
from kimi_vl.hf.cache import KimiVLCache
from kimi_vl.hf.configuration import KimiVLConfig
from kimi_vl.hf.folders import HUB_OPTIONS, folder_of
from kimi_vl.hf.images import Images
from kimi_vl.model import KimiVLForConditionalGeneration as Network
from kimi_vl.model.cache import LatentCache
from kimi_vl.model.decoder import LanguageModel
from kimi_vl.model.experts import Router
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.model.vision import Projector, VisionTower
from kimi_vl.processor.tokenizer import EOS, IM_END

# What callers pass to from_pretrained out of habit, and what is done here whatever they pass.
WITHOUT_EFFECT = frozenset(
    """attn_implementation low_cpu_mem_usage use_safetensors trust_remote_code use_cache _from_auto _from_pipeline _commit_hash
    adapter_kwargs weights_only tp_plan tp_size experts_implementation use_flash_attention_2 _fast_init""".split()
)


class KimiVLForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Kimi-VL. Parameters carry the official names, but that the experts of a layer are two tensors (`checkpoint.layout`)."""

    config_class = KimiVLConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = False
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flash_attn_2 = True
    _is_stateful = True  # the cache cannot be taken back, so no assisted or contrastive decoding
    _no_split_modules = ["VisionBlock", "DecoderLayer"]  # noqa: RUF012 - transformers reads it from the class

    # The network's own functions, on the modules of this class.
    image_features: Callable[..., torch.Tensor] = Network.image_features
    embed: Callable[..., torch.Tensor] = Network.embed

    def __init__(self, config: KimiVLConfig, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> None:
        """Random weights, as for training from nothing; on the meta device none."""
        super().__init__(config)
        facts = config.for_network()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.vision_tower = VisionTower(facts.vision_config, **factory)
        self.multi_modal_projector = Projector(facts.vision_config, facts.text_config, **factory)
        self.language_model = LanguageModel(facts.text_config, **factory)
        self._chosen_for: tuple[torch.device, torch.dtype] | None = None
        self.generation_config = GenerationConfig.from_model_config(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Router):
            module.e_score_correction_bias.zero_()
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name != "e_score_correction_bias":
                parameter.fill_(1.0 if name == "weight" else 0.0)

    def choose_implementations(self, choices: Mapping[str, str] | None = None) -> None:
        """As `kimi_vl.model.KimiVLForConditionalGeneration.choose_implementations`. Raises: ImplementationUnavailable."""
        Network.choose_implementations(self, choices)
        self._chosen_for = self.device, self.dtype

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.model.embed_tokens = value  # type: ignore[assignment]

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.lm_head

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: KimiVLCache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_grid_hws: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast | tuple:
        """Logits fp32 [B, T, W], or of the last `logits_to_keep` columns; those of padding are zero. `labels` gives the loss of the next
        tokens. Positions follow from the mask [B, columns so far]; `position_ids` are not asked for.

        Raises: InputError for what this network does not give, ShapeError for images that do not match their placeholders.
        """
        if input_ids is None or inputs_embeds is not None:
            raise InputError("forward takes input_ids, not inputs_embeds: the images are placed by their placeholder ids")
        if output_attentions or output_hidden_states:
            raise InputError("attentions and hidden states are not kept; leave output_attentions and output_hidden_states off")
        if past_key_values is not None and not isinstance(past_key_values, KimiVLCache):
            raise InputError(f"past_key_values is a {type(past_key_values).__name__}; this network keeps latents, in a KimiVLCache")
        if self._chosen_for != (self.device, self.dtype):
            self.choose_implementations()
        cache = past_key_values
        if cache is None and use_cache:
            cache = self.new_cache()
        mask_BT = _mask(attention_mask, input_ids, 0 if cache is None else cache.columns)
        features = None if pixel_values is None else self.image_features(pixel_values, image_grid_hws)
        kept = mask_BT.flatten().nonzero()[:, 0]
        embeddings_XD = self.embed(input_ids.to(self.device).flatten()[kept], features)
        if cache is None or cache.rows is None:
            hidden_XD = self._whole(embeddings_XD, mask_BT, cache)
        else:
            hidden_XD = self._continued(embeddings_XD, mask_BT, cache)
        hidden_BTD = hidden_XD.new_zeros(mask_BT.numel(), hidden_XD.shape[-1]).index_copy(0, kept, hidden_XD).unflatten(0, mask_BT.shape)
        logits = self.language_model.lm_head(hidden_BTD[:, -logits_to_keep:] if logits_to_keep else hidden_BTD).float()
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs)
        output = CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=cache)
        return output.to_tuple() if return_dict is False else output

    def _whole(self, embeddings_XD: torch.Tensor, mask_BT: torch.Tensor, cache: KimiVLCache | None) -> torch.Tensor:
        """Rows that begin here, packed."""
        lengths = mask_BT.sum(1).tolist()
        if min(lengths) == 0:
            raise InputError(f"row {lengths.index(0)} of the attention mask is all padding; a row has a token at least")
        packed = None
        if cache is not None:
            packed = LatentCache(cache.config, sum(lengths), dtype=self.dtype, device=self.device)
        tokens = TokenLayout.of(lengths, self.device)
        hidden_XD, _ = self.language_model.model(embeddings_XD, tokens, self.ops, packed)
        if cache is not None and packed is not None:
            cache.fill(packed, lengths, mask_BT.shape[1])
        return hidden_XD

    def _continued(self, embeddings_XD: torch.Tensor, mask_BT: torch.Tensor, cache: KimiVLCache) -> torch.Tensor:
        """Rows behind their cache, a column at a time."""
        batch, width = mask_BT.shape[0], embeddings_XD.shape[-1]
        boundaries = torch.arange(batch + 1, dtype=torch.int32, device=self.device)
        kept = mask_BT.flatten().nonzero()[:, 0]
        columns_TBD = (
            embeddings_XD.new_zeros(mask_BT.numel(), width).index_copy(0, kept, embeddings_XD).view(batch, -1, width).transpose(0, 1)
        )
        hidden = []
        for column_BD, grows_B in zip(columns_TBD, mask_BT.T, strict=True):
            rows = cache.room_for_one(grows_B)
            tokens = TokenLayout(rows.lengths_B, boundaries, 1)
            hidden.append(self.language_model.model(column_BD, tokens, self.ops, rows)[0])
        return torch.stack(hidden, dim=1).flatten(0, 1)[kept]

    def new_cache(self) -> KimiVLCache:
        """An empty cache, for `past_key_values`."""
        return KimiVLCache(self.config.for_network().text_config, dtype=self.dtype, device=self.device)

    def _prepare_cache_for_generation(self, generation_config: GenerationConfig, model_kwargs: dict[str, Any], *rest: Any) -> None:
        if getattr(generation_config, "cache_implementation", None) is not None:
            raise InputError(f"cache_implementation is {generation_config.cache_implementation!r}; leave it out, the cache is latent here")
        if generation_config.use_cache is not False and model_kwargs.get("past_key_values") is None:
            model_kwargs["past_key_values"] = self.new_cache()

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        past_key_values: KimiVLCache | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_grid_hws: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 1,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The ids behind the cache, and the images whose placeholders are among them."""
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if past and pixel_values is not None:
            images = Images(pixel_values, image_grid_hws).behind(input_ids, past, self.config.media_placeholder_token_id)
            pixel_values, image_grid_hws = images.tensors()
        return {
            "input_ids": input_ids[:, past:],
            "attention_mask": attention_mask,
            "past_key_values": past_key_values,
            "pixel_values": pixel_values,
            "image_grid_hws": image_grid_hws,
            "use_cache": use_cache,
            "logits_to_keep": 1 if logits_to_keep is None else logits_to_keep,
        }

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: torch.Tensor | None = None, **model_kwargs: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Every row several times, with its images: these lie packed, so they go by row, not by their first dimension."""
        pixel_values, grids = (model_kwargs.pop(name, None) for name in ("pixel_values", "image_grid_hws"))
        if pixel_values is not None and expand_size > 1:
            images = Images(pixel_values, grids).repeated(input_ids, expand_size, self.config.media_placeholder_token_id)
            pixel_values, grids = images.tensors()
        input_ids, model_kwargs = super()._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **model_kwargs)
        if pixel_values is not None:
            model_kwargs |= {"pixel_values": pixel_values, "image_grid_hws": grids}
        return input_ids, model_kwargs

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, *model_args: Any, **kwargs: Any) -> Any:
        """Load a folder or hub id in the official layout, every tensor accounted for; no code and no pickle is read.

        `dtype` (or `torch_dtype`) is "auto", the default, or a torch dtype; `device_map` is a device, {"": device} or "auto", which is the
        GPU if there is one. The model comes in eval mode.
        Raises: ConfigError, CheckpointError, CapacityError; InputError for an option that this loader does not have.
        """
        config = kwargs.pop("config", None)
        dtype = _dtype(kwargs.pop("torch_dtype", None), kwargs.pop("dtype", None))
        device = _device(kwargs.pop("device_map", None))
        info = kwargs.pop("output_loading_info", False)
        hub = {name: kwargs.pop(name) for name in HUB_OPTIONS if name in kwargs}
        for name, value in kwargs.items():
            if name == "quantization_config" and value is not None:
                raise InputError("quantization_config is not taken; kimi_vl.KimiVL.load(..., quantize='int8') runs quantised weights")
            if name not in WITHOUT_EFFECT and value not in (None, False):
                raise InputError(f"from_pretrained has no option {name!r} for Kimi-VL (it is {str(value)[:60]!r}); leave it out")
        folder = locate_checkpoint(folder_of(pretrained_model_name_or_path, hub))
        if config is None:
            config = cls.config_class.from_pretrained(folder)

        def build(facts: NetworkConfig, *, device: str, dtype: torch.dtype) -> KimiVLForConditionalGeneration:
            return cls(config, device=device, dtype=dtype)

        model, _ = load_model(folder, build, dtype=dtype, device=device)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.endswith("e_score_correction_bias"))  # moved by load counts, never by a gradient
        config.__dict__.pop("quantization_config", None)  # int8 files have been read into floats
        config.dtype = model.dtype
        config.name_or_path = str(pretrained_model_name_or_path)
        model.generation_config = _generation_config(folder, config)
        model.choose_implementations()
        if info:
            return model, {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}
        return model

    def save_pretrained(
        self,
        save_directory: str | os.PathLike,
        is_main_process: bool = True,
        state_dict: dict[str, torch.Tensor] | None = None,
        push_to_hub: bool = False,
        max_shard_size: int | str = "5GB",
        **kwargs: Any,
    ) -> None:
        """Write config.json, generation_config.json and the weights under the official names (see `checkpoint.save_checkpoint`).

        Raises: CheckpointError for a state that is not this model's, with NaN, or a folder that cannot be written; InputError.
        """
        if getattr(self, "_hf_peft_config_loaded", False):  # adapters alone, in their own format
            return super().save_pretrained(save_directory, is_main_process, state_dict, push_to_hub=push_to_hub, **kwargs)
        if push_to_hub:
            raise InputError("push_to_hub is not done from here; save into a folder and upload it with `hf upload`")
        if is_main_process:
            save_checkpoint(
                state_dict or self.state_dict(), self.config.for_network(), Path(save_directory), max_shard_bytes=_bytes(max_shard_size)
            )
            self.config.architectures = [type(self).__name__]
            self.config.dtype = self.dtype
            self.config.save_pretrained(save_directory)
            self.generation_config.save_pretrained(save_directory)
        return None


def _mask(attention_mask: torch.Tensor | None, input_ids: torch.Tensor, past: int) -> torch.Tensor:
    """Which of the new tokens are no padding, bool [B, T] on the ids' device."""
    if input_ids.ndim != 2 or input_ids.numel() == 0:
        raise InputError(f"input_ids is {list(input_ids.shape)}; it must be [rows, columns] and not empty")
    if attention_mask is None:
        return torch.ones_like(input_ids, dtype=torch.bool)
    columns = input_ids.shape[1]
    if (
        attention_mask.ndim != 2
        or attention_mask.shape[0] != input_ids.shape[0]
        or attention_mask.shape[1] not in (columns, past + columns)
    ):
        raise InputError(
            f"attention_mask is {list(attention_mask.shape)}; beside input_ids {list(input_ids.shape)} and {past} columns in the cache "
            f"it must be [{input_ids.shape[0]}, {past + columns}]"
        )
    return attention_mask[:, -columns:].to(device=input_ids.device, dtype=torch.bool)


def _dtype(old: Any, new: Any) -> torch.dtype | str:
    given = new if new is not None else old
    return "auto" if given is None else given


def _device(device_map: Any) -> str | torch.device:
    if isinstance(device_map, dict):
        devices = {str(device) for device in device_map.values()}
        if len(devices) != 1:
            raise InputError(f"device_map names {len(devices)} devices; this model runs on one. Pass one device, or 'auto'")
        device_map = next(iter(device_map.values()))
    if device_map is None:
        return "cpu"
    if device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        return "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{device_map}" if isinstance(device_map, int) else device_map


def _generation_config(folder: Path, config: KimiVLConfig) -> GenerationConfig:
    """The folder's own, which stops at the end of a turn as well as at the end of the text, whatever it says."""
    if (folder / "generation_config.json").is_file():
        values = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
        if values.get("temperature") == 0.0:  # this package's way to say greedy, which transformers refuses
            values = {**values, "do_sample": False}
            del values["temperature"]
        generation = GenerationConfig.from_dict(values)
    else:
        generation = GenerationConfig()
    names = {}
    if (folder / "tokenizer_config.json").is_file():
        slots = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("added_tokens_decoder", {})
        names = {entry["content"]: int(number) for number, entry in slots.items()}
    said = generation.eos_token_id
    ends = [*(said if isinstance(said, list) else [] if said is None else [said]), *(names[n] for n in (IM_END, EOS) if n in names)]
    if ends:
        generation.eos_token_id = sorted(set(ends))
    if generation.pad_token_id is None:
        generation.pad_token_id = names.get("[PAD]", names.get(EOS, getattr(config.text_config, "pad_token_id", None)))
    return generation


def _bytes(size: int | str) -> int:
    """Bytes of "5GB"."""
    if isinstance(size, int):
        return size
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        number = size.upper().removesuffix(unit)
        if number != size.upper() and number.strip().isdigit():
            return int(number) * factor
    raise InputError(f"max_shard_size is {size!r}; pass bytes, or a string like '5GB'")

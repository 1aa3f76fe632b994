"""The facts of a checkpoint: `config.json`, read strictly into frozen dataclasses.

Facts have no defaults: a key the network needs and the file lacks is an error, and so is a key nobody knows (the nearest known
one is named). Keys that only describe training or another framework are listed below and passed over. Values that this
implementation does not support are refused by name rather than ignored. Source: MODEL_SPEC §1.1 to §1.4.
"""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from kimi_vl.errors import ConfigError

# Keys a transformers config may carry that change nothing in the forward pass.
BOOKKEEPING_KEYS = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _name_or_path architectures auto_map dtype torch_dtype transformers_version
    model_type use_cache output_attentions output_hidden_states return_dict torchscript use_bfloat16 pruned_heads is_decoder
    is_encoder_decoder add_cross_attention cross_attention_hidden_size tie_encoder_decoder chunk_size_feed_forward
    finetuning_task id2label label2id num_labels problem_type prefix sep_token_id decoder_start_token_id task_specific_params
    tokenizer_class tf_legacy_loss attention_dropout initializer_range aux_loss_alpha seq_aux ep_size pretraining_tp
    bos_token_id eos_token_id pad_token_id ignore_index num_nextn_predict_layers max_length min_length do_sample early_stopping
    num_beams num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty
    no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores return_dict_in_generate
    forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty suppress_tokens
    begin_suppress_tokens
    """.split()
)

MAX_DIMENSION = 1 << 20  # a width or count above a million is a broken or hostile file, refused before anything is allocated


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionConfig:
    """MoonViT (MODEL_SPEC §1.3). Widths in channels, sizes in pixels or patches."""

    patch_size: int
    hidden_size: int
    num_attention_heads: int
    num_hidden_layers: int
    intermediate_size: int
    init_pos_emb_height: int
    init_pos_emb_width: int
    merge_kernel_size: tuple[int, int]

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def __post_init__(self) -> None:
        _check_counts(self, "vision_config")
        if tuple(self.merge_kernel_size) != (2, 2):
            raise ConfigError(f"vision_config.merge_kernel_size is {list(self.merge_kernel_size)}; only [2, 2] is supported")
        if self.hidden_size % self.num_attention_heads or self.head_dim % 4:
            raise ConfigError(
                f"vision_config.hidden_size {self.hidden_size} over {self.num_attention_heads} heads must give a head width divisible by 4 "
                "(2-D rotary positions use pairs of pairs)"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """The decoder, DeepSeek-V3 type without query compression (MODEL_SPEC §1.2)."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    intermediate_size: int
    moe_intermediate_size: int
    n_routed_experts: int
    n_shared_experts: int
    num_experts_per_tok: int
    first_k_dense_replace: int
    norm_topk_prob: bool
    routed_scaling_factor: float
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    rope_theta: float
    rms_norm_eps: float

    @property
    def qk_head_dim(self) -> int:
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def latent_dim(self) -> int:
        """Values kept per token and layer in the latent cache."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    def __post_init__(self) -> None:
        _check_counts(self, "text_config")
        if self.num_experts_per_tok > self.n_routed_experts:
            raise ConfigError(
                f"text_config.num_experts_per_tok {self.num_experts_per_tok} exceeds n_routed_experts {self.n_routed_experts}"
            )
        if self.qk_rope_head_dim % 2:
            raise ConfigError(f"text_config.qk_rope_head_dim {self.qk_rope_head_dim} must be even: rotary positions turn pairs")
        for name in ("rope_theta", "rms_norm_eps", "routed_scaling_factor"):
            value = getattr(self, name)
            if not math.isfinite(value) or value <= 0:
                raise ConfigError(f"text_config.{name} is {value}; it must be a finite positive number")


# Values of keys that select a variant: exactly one is implemented, and it is the one all Kimi-VL checkpoints use.
REQUIRED_TEXT_VALUES: dict[str, Any] = {
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "n_group": 1,
    "topk_group": 1,
    "moe_layer_freq": 1,
    "q_lora_rank": None,
    "hidden_act": "silu",
    "attention_bias": False,
    "rope_scaling": None,
    "tie_word_embeddings": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class KimiVLConfig:
    """A whole checkpoint (MODEL_SPEC §1.1).

    `quantization` is None for weights stored in floating point, or "int8" for this package's own per-row int8 files.
    """

    vision_config: VisionConfig
    text_config: TextConfig
    media_placeholder_token_id: int
    quantization: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.media_placeholder_token_id < self.text_config.vocab_size:
            raise ConfigError(
                f"media_placeholder_token_id {self.media_placeholder_token_id} lies outside the vocabulary of {self.text_config.vocab_size}"
            )

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a `config.json`. Raises: ConfigError naming the file, the key and what would be right."""
        values = read_json(Path(path))
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from the contents of a `config.json`. Raises: ConfigError."""
        if not isinstance(values, dict):
            raise ConfigError(f"a config must be a JSON object, not {type(values).__name__}")
        model_type = values.get("model_type")
        if model_type not in (None, "kimi_vl"):
            raise ConfigError(f"model_type is {model_type!r}; this package runs 'kimi_vl' checkpoints")
        known = {"vision_config", "text_config", "media_placeholder_token_id", "quantization_config", "tie_word_embeddings", "vocab_size"}
        _refuse_unknown(values, known, "config")
        if values.get("tie_word_embeddings", False):
            raise ConfigError("tie_word_embeddings is true; Kimi-VL checkpoints keep lm_head as a tensor of its own")
        for part in ("vision_config", "text_config"):
            if not isinstance(values.get(part), dict):
                raise ConfigError(f"{part} is missing; a Kimi-VL config holds a vision_config and a text_config")
        text = dict(values["text_config"])
        for key, required in REQUIRED_TEXT_VALUES.items():
            if key in text and text.pop(key) != required:
                raise ConfigError(f"text_config.{key} is {values['text_config'][key]!r}; only {required!r} is supported")
        heads = text.get("num_attention_heads")
        if text.pop("num_key_value_heads", heads) != heads and heads is not None:
            raise ConfigError(
                "text_config.num_key_value_heads differs from num_attention_heads; latent attention has one latent for all heads"
            )
        vision = {"merge_kernel_size": (2, 2), **values["vision_config"]}
        return cls(
            vision_config=_build(VisionConfig, vision, "vision_config"),
            text_config=_build(TextConfig, text, "text_config"),
            media_placeholder_token_id=_typed(values, "media_placeholder_token_id", "int", "config"),
            quantization=_quantization(values.get("quantization_config")),
        )

    def to_dict(self) -> dict[str, Any]:
        """The contents of a `config.json` that `from_dict` reads back to an equal object."""
        text = {f.name: getattr(self.text_config, f.name) for f in fields(TextConfig)}
        vision = {f.name: getattr(self.vision_config, f.name) for f in fields(VisionConfig)}
        values: dict[str, Any] = {
            "architectures": ["KimiVLForConditionalGeneration"],
            "model_type": "kimi_vl",
            "media_placeholder_token_id": self.media_placeholder_token_id,
            "tie_word_embeddings": False,
            "vision_config": {"model_type": "moonvit", **vision, "merge_kernel_size": list(self.vision_config.merge_kernel_size)},
            "text_config": {
                "model_type": "deepseek_v3",
                **text,
                "num_key_value_heads": self.text_config.num_attention_heads,
                **REQUIRED_TEXT_VALUES,
            },
        }
        if self.quantization is not None:
            values["quantization_config"] = {"quant_method": f"kimi_vl_{self.quantization}"}
        return values


def read_json(path: Path) -> Any:
    """The value in one of a checkpoint's JSON files. Raises: ConfigError naming the file and what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; a checkpoint folder needs a {path.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not readable JSON: {error}") from None


def _quantization(values: Any) -> str | None:
    if values is None:
        return None
    method = values.get("quant_method") if isinstance(values, dict) else values
    if method != "kimi_vl_int8":
        raise ConfigError(f"quantization_config.quant_method is {method!r}; only 'kimi_vl_int8' or no quantization_config is supported")
    return "int8"


def _build(cls: type, values: dict[str, Any], where: str) -> Any:
    names = {f.name: str(f.type) for f in fields(cls)}
    _refuse_unknown(values, set(names), where)
    return cls(**{name: _typed(values, name, kind, where) for name, kind in names.items()})


def _typed(values: dict[str, Any], key: str, kind: str, where: str) -> Any:
    if key not in values:
        raise ConfigError(f"{where}.{key} is missing; it is a fact of the checkpoint and has no default")
    value = values[key]
    if kind == "tuple[int, int]":
        if not (isinstance(value, (list, tuple)) and len(value) == 2 and all(type(v) is int for v in value)):
            raise ConfigError(f"{where}.{key} is {value!r}; it must be a list of two integers")
        return tuple(value)
    if kind == "float" and type(value) is int:
        value = float(value) if abs(value) < 1 << 1000 else math.inf  # refused below like any other infinity
    expected = {"int": int, "float": float, "bool": bool}[kind]
    if type(value) is not expected:
        raise ConfigError(f"{where}.{key} is {value!r}; it must be of type {kind}")
    return value


def _refuse_unknown(values: dict[str, Any], known: set[str], where: str) -> None:
    for key in values:
        if key not in known and key not in BOOKKEEPING_KEYS:
            near = difflib.get_close_matches(key, sorted(known), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{where} has an unknown key {key!r}{hint}")


def _check_counts(config: VisionConfig | TextConfig, where: str) -> None:
    """Every integer is between 1 and a million (the shared experts, dense layers and context have their own floors or ceilings)."""
    may_be_zero = {"n_shared_experts", "first_k_dense_replace"}
    for f in fields(config):
        value = getattr(config, f.name)
        ceiling = 1 << 24 if f.name == "max_position_embeddings" else MAX_DIMENSION
        if f.type == "int" and not (0 if f.name in may_be_zero else 1) <= value <= ceiling:
            raise ConfigError(f"{where}.{f.name} is {value}; it must lie between 1 and {ceiling:,}")

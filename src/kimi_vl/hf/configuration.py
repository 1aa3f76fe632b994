"""`config.json` as transformers holds it. What it says is checked by `kimi_vl.config`, which the network is built from."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from transformers import PretrainedConfig

from kimi_vl import config as network
from kimi_vl.config import REQUIRED_TEXT_VALUES
from kimi_vl.errors import ConfigError

_KNOWN_TO_TRANSFORMERS = frozenset(PretrainedConfig().to_dict()) | {"attn_implementation", "experts_implementation", "name_or_path"}


class MoonViTConfig(PretrainedConfig):
    """The vision tower: the facts of `kimi_vl.config.VisionConfig`, as attributes that may be changed before a model is built."""

    model_type = "moonvit"
    base_config_key = "vision_config"
    has_no_defaults_at_init: ClassVar[bool] = True
    facts = tuple(f.name for f in fields(network.VisionConfig))

    def __init__(self, **values: Any) -> None:
        super().__init__(**{key: value for key, value in values.items() if key not in self.facts})
        _keep(self, values)


class KimiVLTextConfig(PretrainedConfig):
    """The decoder: the facts of `kimi_vl.config.TextConfig`, likewise."""

    model_type = "deepseek_v3"
    base_config_key = "text_config"
    has_no_defaults_at_init: ClassVar[bool] = True
    facts = (*(f.name for f in fields(network.TextConfig)), "num_key_value_heads", *REQUIRED_TEXT_VALUES)
    rope_scaling = None  # transformers' property of this name reads rope_parameters, which are not the official file's

    def __init__(self, **values: Any) -> None:
        super().__init__(**{key: value for key, value in values.items() if key not in self.facts})
        _keep(self, values)


class KimiVLConfig(PretrainedConfig):
    """A whole checkpoint. Facts have no defaults. Raises: ConfigError naming the key and what would be right."""

    model_type = "kimi_vl"
    sub_configs: ClassVar[dict[str, type]] = {"vision_config": MoonViTConfig, "text_config": KimiVLTextConfig}
    has_no_defaults_at_init: ClassVar[bool] = True

    def __init__(
        self,
        vision_config: dict[str, Any] | MoonViTConfig | None = None,
        text_config: dict[str, Any] | KimiVLTextConfig | None = None,
        media_placeholder_token_id: int | None = None,
        **values: Any,
    ) -> None:
        for name, part in (("vision_config", vision_config), ("text_config", text_config)):
            if part is None:
                raise ConfigError(f"{name} is missing; a Kimi-VL config holds a vision_config and a text_config")
        vision, text = (_values(part) for part in (vision_config, text_config))
        known = {"quantization_config": values["quantization_config"]} if values.get("quantization_config") else {}
        extra = {key: value for key, value in values.items() if key not in _KNOWN_TO_TRANSFORMERS and not key.startswith("_")}
        checked = {"vision_config": vision, "text_config": text, "media_placeholder_token_id": media_placeholder_token_id}
        network.KimiVLConfig.from_dict(
            {**extra, **known, **{key: _without_bookkeeping(value) for key, value in checked.items() if value is not None}}
        )
        self.vision_config = MoonViTConfig(**{"merge_kernel_size": [2, 2], **vision})
        self.text_config = KimiVLTextConfig(**text)
        self.media_placeholder_token_id = media_placeholder_token_id
        super().__init__(**{**values, "tie_word_embeddings": False})

    def for_network(self) -> network.KimiVLConfig:
        """What the network is built from. Raises: ConfigError for an attribute that was changed to something it cannot be."""
        return network.KimiVLConfig.from_dict(
            {
                "vision_config": _facts(self.vision_config),
                "text_config": _facts(self.text_config),
                "media_placeholder_token_id": self.media_placeholder_token_id,
            }
        )


def _keep(part: MoonViTConfig | KimiVLTextConfig, values: dict[str, Any]) -> None:
    """Set facts behind transformers' back, which would write rope_theta and rope_scaling under names of its own."""
    part.__dict__.update({name: values[name] for name in part.facts if name in values})


def _facts(part: MoonViTConfig | KimiVLTextConfig) -> dict[str, Any]:
    """What `config.json` says of this half of the network."""
    return {name: part.__dict__[name] for name in part.facts if name in part.__dict__}


def _values(part: Any) -> Any:
    return part.to_dict() if isinstance(part, PretrainedConfig) else part


def _without_bookkeeping(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    facts = {*MoonViTConfig.facts, *KimiVLTextConfig.facts}
    return {key: value for key, value in values.items() if key in facts or (key not in _KNOWN_TO_TRANSFORMERS and not key.startswith("_"))}

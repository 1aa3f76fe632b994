"""What may be said about an answer, and what a checkpoint recommends where nothing is said."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import torch

from kimi_vl.engine import SamplingParams
from kimi_vl.errors import ConfigError, InputError
from kimi_vl.processor import THINK_CLOSE, THINK_OPEN
from kimi_vl.processor.grammar import Grammar
from kimi_vl.processor.views import Choice

Thinking = Literal["auto", "on", "off"]


class Options(TypedDict, total=False):
    """What may be said about one answer; see `KimiVL`."""

    thinking: Thinking
    max_thinking_tokens: int | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    seed: int | None
    stop: str | Sequence[str] | None
    schema: object


class Sighted(Options, total=False):
    """The same, and what is looked at of the media; see `processor.views.Choice`. `password` opens PDFs that want one."""

    clip: str | None
    pages: str | Sequence[int] | None
    frames: int | None
    fps: float | None
    policy: str | None
    media_tokens: int | None
    transcript: bool | None
    skip_repeats: bool | None
    password: str | None


class Conversed(Sighted, total=False):
    """The same for a conversation. `paths` names the folders whose files its messages may name; None is any file."""

    paths: Sequence[str | Path] | None


LOOKING = tuple(field.name for field in fields(Choice))

# What the answer begins with, as part of the prompt. For "off" it is a thought already finished, the way the official evaluation code
# skips thinking (MODEL_SPEC §5.5); a checkpoint that never thinks answers the same with it.
PREFIXES: dict[Thinking, str] = {"auto": "", "on": THINK_OPEN, "off": f"{THINK_OPEN}\n\n{THINK_CLOSE}"}

# MODEL_SPEC §5.6, the most specific name first. Unknown checkpoints get the settings of the official demo.
VARIANTS = {
    "thinking-2506": SamplingParams(temperature=0.8, max_tokens=32_768),
    "thinking": SamplingParams(temperature=0.6),
    "instruct": SamplingParams(temperature=0.2),
}
DEFAULT_PARAMS = SamplingParams(temperature=0.6)

# Keys of a generation_config.json that are read, and what they are called here; the others configure transformers.
GENERATION_KEYS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p", "max_new_tokens": "max_tokens"}


def divided(options: Mapping[str, Any]) -> tuple[dict[str, Any], Options]:
    """What is said about seeing, and about the answer."""
    seeing = {name: value for name, value in options.items() if name in (*LOOKING, "password", "paths")}
    return seeing, cast("Options", {name: value for name, value in options.items() if name not in seeing})


def resolve_options(
    defaults: SamplingParams,
    *,
    thinking: Thinking = "auto",
    stop: str | Sequence[str] | None = None,
    schema: object = None,
    **values: Any,
) -> tuple[Thinking, SamplingParams, Grammar | None]:
    """What the options of a request mean beside a checkpoint's defaults. Raises: InputError for an unknown one or a bad value."""
    if thinking not in tuple(PREFIXES):
        raise InputError(f"thinking is {thinking!r}; it must be one of {', '.join(map(repr, PREFIXES))}")
    known = [field.name for field in fields(SamplingParams)]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *LOOKING, "thinking", "schema"], n=1)
            raise InputError(
                f"there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}")
            )
    if stop is not None:
        values["stop"] = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list) else stop
    params = replace(defaults, **{name: value for name, value in values.items() if value is not None})
    grammar = schema if schema is None or isinstance(schema, Grammar) else Grammar.json_schema(schema)
    return thinking, params, grammar


def resolve_device(device: str | torch.device) -> torch.device:
    """ "auto" is the first GPU, or the CPU where there is none. Raises: InputError for a device that this machine lacks."""
    has_gpu = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if has_gpu else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError(f"device is {str(device)[:40]!r}; it must be 'auto', 'cpu', 'cuda' or 'cuda:N'") from None
    if resolved.type not in ("cpu", "cuda"):
        raise InputError(f"device is {str(device)!r}; this package runs on 'cpu' and on NVIDIA GPUs ('cuda', 'cuda:N')")
    if resolved.type == "cuda" and not has_gpu:
        raise InputError(f"device is {str(device)!r}, but torch {torch.__version__} sees no NVIDIA GPU here; `kimi-vl doctor` says more")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device is {str(device)!r}, but the last GPU here is 'cuda:{torch.cuda.device_count() - 1}'")
    return resolved


def recommended_params(folder: Path, name: str | Path | None = None) -> SamplingParams:
    """A checkpoint's own generation_config.json where it has one, else what its makers recommend for the variant of that name.

    Raises: ConfigError for a generation_config.json that cannot be read or holds values out of range.
    """
    by_name = _recommended_for_variant(folder if name is None else Path(name))
    path = folder / "generation_config.json"
    if not path.is_file():
        return by_name
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        given = {GENERATION_KEYS[key]: value for key, value in values.items() if key in GENERATION_KEYS}
        if values.get("do_sample") is False:
            given["temperature"] = 0.0
        return replace(by_name, **given)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a usable generation config: {error}") from None


def _recommended_for_variant(name: Path) -> SamplingParams:
    for part in reversed(name.parts):
        for variant, params in VARIANTS.items():
            if variant in part.lower():
                return params
    return DEFAULT_PARAMS

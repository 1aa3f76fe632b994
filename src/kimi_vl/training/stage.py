"""One stage of training as one readable TOML file; unknown keys are errors."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Self, get_args

from kimi_vl.errors import ConfigError
from kimi_vl.training.loader import SceneMix
from kimi_vl.training.optim import OptimizerName
from kimi_vl.training.packing import Budget


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What is learned from, for how long, and how fast."""

    name: str
    steps: int
    lr: float
    warmup_steps: int
    cooldown_share: float  # last part of the stage over which the learning rate falls linearly to zero
    weight_decay: float
    clip_norm: float
    glyph_weight: float  # weight of the dense-glyph loss
    balance_rate: float  # step of the router's correction bias
    mix: SceneMix
    budget: Budget
    optimizer: OptimizerName = "muon"  # "muon" leaves embeddings, norms and biases to AdamW all the same
    ema_decay: float = 0.0  # the exported weights are the exponential moving average; 0 exports the weights themselves
    rope_theta: float | None = None  # base of the rotary embedding from this stage on; None keeps the checkpoint's
    recompute: bool = False  # keep only the blocks' inputs and compute the rest again in the backward pass

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a stage. Raises: ConfigError naming the file and the key or the value."""
        path = Path(path)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} is not a readable stage file: {error}") from None
        mix = exactly(SceneMix, values.pop("mix", {}), f"{path} [mix]")
        budget = exactly(Budget, values.pop("budget", {}), f"{path} [budget]")
        stage = exactly(cls, {"name": path.stem, **values, "mix": mix, "budget": budget}, str(path))
        if stage.optimizer not in get_args(OptimizerName):
            raise ConfigError(f"{path}: optimizer is {stage.optimizer!r}; it must be one of {', '.join(get_args(OptimizerName))}")
        if not 0 <= stage.ema_decay < 1:
            raise ConfigError(f"{path}: ema_decay is {stage.ema_decay}; it must be from 0 to below 1")
        return stage

    def lr_at(self, step: int, total_steps: int) -> float:
        """Warm-up, stable, decay: linear up over `warmup_steps`, constant, linear to zero over the last `cooldown_share`."""
        warmup = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cooldown = min(1.0, (total_steps - step) / max(1.0, self.cooldown_share * total_steps))
        return self.lr * min(warmup, max(0.0, cooldown))


def exactly(cls: type, values: dict[str, Any], where: str) -> Any:
    names = {f.name for f in fields(cls)}
    needed = {f.name for f in fields(cls) if f.default is MISSING}
    if not needed <= set(values) <= names:
        raise ConfigError(f"{where}: missing {sorted(needed - set(values))}, unknown {sorted(set(values) - names)}")
    return cls(**values)

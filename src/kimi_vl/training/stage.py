"""One stage of training as one readable TOML file; unknown keys are errors."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from kimi_vl.errors import ConfigError
from kimi_vl.training.loader import SceneMix
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

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a stage. Raises: ConfigError naming the file and the key."""
        path = Path(path)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} is not a readable stage file: {error}") from None
        mix = _exactly(SceneMix, values.pop("mix", {}), f"{path} [mix]")
        budget = _exactly(Budget, values.pop("budget", {}), f"{path} [budget]")
        return _exactly(cls, {"name": path.stem, **values, "mix": mix, "budget": budget}, str(path))

    def lr_at(self, step: int, total_steps: int) -> float:
        """Warm-up, stable, decay: linear up over `warmup_steps`, constant, linear to zero over the last `cooldown_share`."""
        warmup = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cooldown = min(1.0, (total_steps - step) / max(1.0, self.cooldown_share * total_steps))
        return self.lr * min(warmup, max(0.0, cooldown))


def _exactly(cls: type, values: dict[str, Any], where: str) -> Any:
    names = {f.name for f in fields(cls)}
    if set(values) != names:
        raise ConfigError(f"{where}: missing {sorted(names - set(values))}, unknown {sorted(set(values) - names)}")
    return cls(**values)

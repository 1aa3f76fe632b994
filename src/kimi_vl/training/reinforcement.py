"""The settings of reinforcement learning as one readable TOML file; unknown keys are errors."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from kimi_vl.errors import ConfigError
from kimi_vl.training.loader import SceneMix
from kimi_vl.training.objectives import Algorithm
from kimi_vl.training.packing import Budget
from kimi_vl.training.problems import ProblemMix
from kimi_vl.training.stage import exactly


@dataclass(frozen=True, kw_only=True)
class Reinforcement:
    """The settings of a run, one readable TOML file."""

    name: str
    iterations: int
    prompts: int  # problems of an iteration, per rank
    samples: int  # replies to each
    temperature: float
    max_tokens: int  # of a reply; one that is longer is wrong
    needs_thinking: bool  # an answer without thinking is worth nothing
    algorithm: Algorithm
    tau: float  # of mirror_descent: how strongly the policy is held to where the iteration began
    clip_ratio: float  # of grpo
    length_weight: float  # of the length reward, once it is on
    length_from: int  # the iteration from which it is
    passes: int  # over the replies of an iteration
    minibatches: int  # optimiser steps of a pass
    lr: float
    kl_limit: float  # per token and iteration; beyond it the learning rate is halved, and recovers by a tenth an iteration; 0 for none
    clip_norm: float
    resets_optimizer: bool  # at the start of every iteration, as in the paper
    trains_vision: bool
    replay_weight: float  # of the supervised loss beside
    validate_every: int
    validation_problems: int
    validation_seed: int  # of the held-out problems: runs on other problems are measured on the same
    problems: ProblemMix
    replay: SceneMix
    budget: Budget

    @classmethod
    def from_file(cls, path: str | Path, changes: Iterable[str] = ()) -> Self:
        """Read settings, with `changes` such as "tau = 0.5" or "problems.severity=0" on top.

        Raises: ConfigError naming the file and the key or the value.
        """
        path = Path(path)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
            for change in changes:
                _merge(values, tomllib.loads(change))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} with {list(changes)} is not readable: {error}") from None
        for key, kind in (("problems", ProblemMix), ("replay", SceneMix), ("budget", Budget)):
            values[key] = exactly(kind, values.get(key, {}), f"{path} [{key}]")
        settings = exactly(cls, {"name": path.stem, **values}, str(path))
        settings.check(path)
        return settings

    def check(self, path: Path) -> None:
        """Raises: ConfigError for values that cannot work together."""
        longest, budget = self.problems.max_prompt + self.max_tokens, self.budget
        wrong = [
            (self.algorithm not in get_args(Algorithm), f"algorithm is {self.algorithm!r}; it must be one of {get_args(Algorithm)}"),
            (self.samples < 2, f"samples is {self.samples}; a reply is compared with the others, so it must be at least 2"),
            (longest > budget.max_tokens, f"max_prompt and max_tokens make {longest}; budget.max_tokens must be at least that"),
            (longest * self.samples > budget.tokens, f"the replies to one problem may take {longest * self.samples} of budget.tokens"),
            (self.max_tokens * self.samples > budget.supervised, f"budget.supervised must be {self.max_tokens * self.samples} or more"),
            (self.problems.max_patches > budget.max_patches, "problems.max_patches is above budget.max_patches"),
            (self.temperature <= 0, "temperature must be above 0: greedy replies to one question are all the same"),
        ]
        for is_wrong, message in wrong:
            if is_wrong:
                raise ConfigError(f"{path}: {message}")

    def length_weight_at(self, iteration: int) -> float:
        """Plain reinforcement learning first; then the length reward at full weight."""
        return self.length_weight if iteration >= self.length_from else 0.0


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value

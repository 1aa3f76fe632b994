"""Does it fit, on what, with which context, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from kimi_vl.bench.roofline import expected_experts
from kimi_vl.checkpoint.memory import loading_peak
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine.plan import LEAST_STEP, VALUE, longest_context, pictures_bytes, placed, plain_bytes, vision_bytes
from kimi_vl.errors import CapacityError, InputError
from kimi_vl.ops.quantised import Kind
from kimi_vl.planner.checkpoints import Facts, facts_of
from kimi_vl.planner.forecast import Speed, forecast
from kimi_vl.planner.formats import Precision, weight_bytes
from kimi_vl.planner.hardware import Machine, machines
from kimi_vl.planner.parts import activated, parameters
from kimi_vl.planner.workload import Seen, Workload, seen_by

ANSWER = 256  # tokens of an answer where nothing is said
# Of a process on a CPU beside weights and tensors: Python, torch and its threads, the tokenizer (measured with nano, torch 2.13).
PROCESS_BYTES = 275_000_000

Cache = Literal["bf16", "fp8"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes. `workspace` is the larger of what a step of `step_tokens` and what looking at pictures (`vision`) takes; `graphs` are
    recorded steps, `process` what a program takes that computes nothing (on a CPU)."""

    weights: Mapping[str, int]
    cache: int
    workspace: int
    vision: int
    graphs: int
    process: int
    step_tokens: int

    @property
    def total(self) -> int:
        return sum(self.weights.values()) + self.cache + self.workspace + self.graphs + self.process


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One machine: `memory` is None where it does not fit, and `why` says what would take more than there is. `longest` is the largest
    context of as many answers, 0 where not even the weights leave room."""

    machine: Machine
    memory: Memory | None
    why: str
    longest: int
    speed: Speed | None

    @property
    def fits(self) -> bool:
        return self.memory is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What a checkpoint takes and where it runs. `memory` is the least that would do: steps of 1,024 tokens."""

    model: str
    parameters: Mapping[str, int]
    activated: Mapping[str, int]
    experts_read: float
    precision: Precision
    cache: str
    cache_per_token: int
    context: int
    answer: int
    batch: int
    seen: Seen
    memory: Memory
    verdicts: tuple[Verdict, ...]

    @property
    def cheapest(self) -> Machine | None:
        """By the price at launch, of those that have one, run this package's kernels, and fit."""
        priced = [v.machine for v in self.verdicts if v.fits and v.machine.kind == "cuda" and v.machine.launch_usd is not None]
        return min(priced, key=lambda machine: machine.launch_usd or 0, default=None)

    @property
    def smallest(self) -> Machine | None:
        """By memory, of all GPUs that run this package's kernels and fit."""
        found = [v.machine for v in self.verdicts if v.fits and v.machine.kind == "cuda"]
        return min(found, key=lambda machine: (machine.memory, machine.name), default=None)


def plan(
    model: str | Path | Facts | None = None,
    *,
    precision: Precision | str | None = None,
    cache: Cache = "bf16",
    workload: Workload | None = None,
    on: tuple[Machine, ...] | None = None,
) -> Outlook:
    """What `model` (as `facts_of` takes it; None: Thinking-2506) takes for a workload, and which of the machines `on` hold it.

    precision: a name of `formats.PRECISIONS`, by default as the checkpoint is computed with: bf16, and float32 for int8 files. `on` None is
    the whole list. Pure but for the files of a folder, or a hub's two. Raises: InputError, CheckpointError, ConfigError.
    """
    facts = model if isinstance(model, Facts) else facts_of(model)
    config, workload = facts.config, workload or Workload()
    if cache not in ("bf16", "fp8"):
        raise InputError(f"cache is {str(cache)[:40]!r}; it must be 'bf16' or 'fp8'")
    if not isinstance(precision, Precision):
        precision = Precision(precision or ("fp32" if config.quantization else "bf16"))
    longest = config.text_config.max_position_embeddings
    context = workload.context or longest
    if context > longest:
        raise InputError(f"context is {context:,}; this model takes {longest:,} tokens")
    answer = workload.answer or min(ANSWER, max(1, context // 4))
    if answer >= context:
        raise InputError(f"answer is {answer:,}; it must be shorter than the context, {context:,}")
    seen = seen_by(workload, config, facts.pictures, context)
    if seen.tokens + answer >= context:
        raise InputError(f"pictures take {seen.tokens:,} tokens, the answer {answer:,}; together they must be less than {context:,}")
    counted = _Counted(config, precision, cache, workload.batch, answer, seen)
    verdicts = tuple(counted.verdict(machine, context) for machine in (machines().values() if on is None else on))
    return Outlook(
        model=facts.name,
        parameters=parameters(config),
        activated=activated(config),
        experts_read=expected_experts(config.text_config, workload.batch),
        precision=precision,
        cache="fp32" if precision.name == "fp32" and cache == "bf16" else cache,  # as the model computes
        cache_per_token=counted.cache_per_token,
        context=context,
        answer=answer,
        batch=workload.batch,
        seen=seen,
        memory=counted.least(context),
        verdicts=verdicts,
    )


class _Counted:
    """One checkpoint in one precision, counted on machine after machine."""

    def __init__(self, config: KimiVLConfig, precision: Precision, cache: Cache, batch: int, answer: int, seen: Seen) -> None:
        self.config, self.precision, self.batch, self.answer, self.seen = config, precision, batch, answer, seen
        self.cache: Literal["fp8"] | None = "fp8" if cache == "fp8" else None
        self.kind: Kind | None = precision.kind  # type: ignore[assignment]  # `Precision` knows the names
        self.parts = weight_bytes(config, precision)
        self.weights = sum(self.parts.values())
        self.value = 4 if precision.name == "fp32" else VALUE
        self.cache_per_token = config.text_config.num_hidden_layers * config.text_config.latent_dim * (1 if self.cache else self.value)
        dtype = torch.float32 if precision.name == "fp32" else torch.bfloat16
        self.loading = loading_peak(config, dtype, self.kind) if precision.is_own or precision.name == "fp32" else self.weights

    def least(self, context: int) -> Memory:
        """With the smallest steps, whatever there is room for."""
        return self._on_gpu(1 << 50, context, most=LEAST_STEP)

    def verdict(self, machine: Machine, context: int) -> Verdict:
        try:
            memory, why = self._memory(machine, context), ""
        except CapacityError as error:
            memory, why = None, str(error)
        speed = None if memory is None else self._speed(machine, memory, context)
        longest = longest_context(self.config.text_config.max_position_embeddings, partial(self._fits, machine))
        return Verdict(machine=machine, memory=memory, why=why, longest=longest, speed=speed)

    def _fits(self, machine: Machine, context: int) -> bool:
        try:
            self._memory(machine, context)
        except CapacityError:
            return False
        return True

    def _memory(self, machine: Machine, context: int) -> Memory:
        """Raises: CapacityError."""
        if self.loading > machine.usable:
            raise CapacityError(f"loading takes {self.loading / 1e9:.2f} GB of {machine.usable / 1e9:.2f}")
        if machine.kind in ("cuda", "other"):
            return self._on_gpu(machine.usable, context)
        return self._on_host(machine.usable, context)

    def _on_gpu(self, usable: int, context: int, most: int | None = None) -> Memory:
        found = placed(
            self.config,
            usable=usable,
            weights=self.weights,
            context=context,
            together=self.batch * context,
            patches=(self.batch * self.seen.patches, self.seen.largest),
            max_running=self.batch,
            kind=self.kind,
            cache=self.cache,
            most=most,
        )
        return Memory(
            weights=self.parts,
            cache=found.cache * self.value // VALUE,
            workspace=found.workspace * self.value // VALUE,
            vision=pictures_bytes(self.config, found.limits.step_tokens, self.batch * self.seen.patches, self.seen.largest),
            graphs=found.graphs,
            process=0,
            step_tokens=found.limits.step_tokens,
        )

    def _on_host(self, usable: int, context: int) -> Memory:
        """By the plain path, which computes a prompt at once; other programs take steps as an engine does."""
        prompt = context - min(self.answer, context // 2)
        if not self.precision.is_own and self.precision.name != "fp32":
            prompt = min(prompt, LEAST_STEP)
        vision = vision_bytes(self.config, self.seen.patches) * self.value // VALUE
        memory = Memory(
            weights=self.parts,
            cache=self.batch * context * self.cache_per_token,
            workspace=max(plain_bytes(self.config, prompt, self.value), vision),
            vision=vision,
            graphs=0,
            process=PROCESS_BYTES,
            step_tokens=prompt,
        )
        if memory.total > usable:
            raise CapacityError(f"{context:,} tokens take {memory.total / 1e9:.2f} GB of {usable / 1e9:.2f}")
        return memory

    def _speed(self, machine: Machine, memory: Memory, context: int) -> Speed:
        return forecast(
            self.config,
            machine,
            self.precision,
            self.parts,
            cache_per_token=self.cache_per_token,
            cache=self.cache or "bf16",
            batch=self.batch,
            context=context,
            answer=self.answer,
            step_tokens=memory.step_tokens,
            pictures=(self.seen.pictures, self.seen.patches),
        )

"""The engine with random weights of the true sizes: decode, first token, throughput and images, beside their limits and a peer.

The protocol is the peer's: prompts of random tokens, one warm-up at each shape, nothing shared between prompts, no token ends an answer.
A time to the first token is what a caller sees, from handing over ids or a picture to the first id. Pictures are prepared as in a server,
by a few threads beside the engine's, which steps as soon as it has been given the first of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from kimi_vl.bench.roofline import MACHINES, Machine, decode_bytes, prefill_flops, vision_flops
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Engine, Pictures, Request, SamplingParams
from kimi_vl.engine.memory import memory_limit
from kimi_vl.engine.plan import Plan
from kimi_vl.engine.prompts import SIZES
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.quantise import quantiser
from kimi_vl.ops.quantised import Kind
from kimi_vl.processor.image import ImageProcessor, ImageProcessorConfig

HERE = Path(__file__).parent
ANSWER = 129  # tokens of a decode measurement, as the peer was measured
OUTPUT = 256  # tokens of a throughput measurement
PROMPT = 1024
TEXT = 33  # tokens around a picture
PREPARING = min(4, os.cpu_count() or 1)  # threads that make patches of pictures
PICTURES = ImageProcessorConfig(  # those of Kimi-VL-A3B-Thinking-2506 (MODEL_SPEC §1.5)
    in_token_limit=16_384,
    patch_size=14,
    merge_kernel_size=(2, 2),
    image_mean=(0.5, 0.5, 0.5),
    image_std=(0.5, 0.5, 0.5),
    pad_input=True,
)


@dataclass(frozen=True)
class Shapes:
    """What is measured."""

    decode: Sequence[tuple[int, int]]  # requests, context
    first_token: Sequence[int]
    throughput: Sequence[int]
    images: Sequence[tuple[int, int, int]]  # how many, width, height
    answer: int = ANSWER
    output: int = OUTPUT
    prompt: int = PROMPT


FULL = Shapes(
    decode=((1, 1024), (8, 1024), (32, 1024), (1, 16_384), (1, 65_536), (1, 120_000)),
    first_token=(1024, 16_384, 65_536, 120_000),
    throughput=(256, 128, 32, 8, 1),
    images=((1, 1792, 1792), (1, 1024, 768), (4, 1792, 1792)),
)
QUICK = Shapes(
    decode=((1, 64), (4, 64)),
    first_token=(64, 200),
    throughput=(8, 1),
    images=((1, 224, 168), (2, 224, 168)),
    answer=17,
    output=16,
    prompt=64,
)


@dataclass(frozen=True)
class Measurement:
    """One number: `share` is how much of the machine's limit was reached; peer and goal are None where there is none for this shape."""

    what: str
    value: float
    unit: str
    limit: float | None
    share: float | None
    peer: float | None
    goal: float | None


def official_config() -> KimiVLConfig:
    return KimiVLConfig.from_file(HERE / "kimi_vl_a3b.json")


@torch.no_grad()
def random_model(
    config: KimiVLConfig, device: torch.device, dtype: torch.dtype, kind: Kind | None = None
) -> KimiVLForConditionalGeneration:
    """Weights from N(0, 0.02), norms 1, biases 0: tokens spread over all experts, as trained ones do.

    Made module by module, each quantised to `kind` before the next one is there. Raises: CapacityError.
    """
    model = KimiVLForConditionalGeneration(config, device="meta", dtype=dtype).requires_grad_(False)
    quantised = None if kind is None else quantiser(kind)
    with memory_limit(f"making random weights on {device}", "quantise them, or take a smaller config"):
        for name in [name for name, _ in model.named_modules()]:  # names alone: a module that is quantised must not be kept
            module = model.get_submodule(name)
            for own, parameter in list(module.named_parameters(recurse=False)):
                values = torch.empty_like(parameter, device=device)
                if parameter.ndim == 1:
                    values.fill_(1.0 if "norm" in f"{name}.{own}" and own == "weight" else 0.0)
                else:
                    values.normal_(0.0, 0.02)
                setattr(module, own, nn.Parameter(values, requires_grad=False))
            if quantised is not None:
                quantised(model, name)
    model.choose_implementations()
    return model


class EngineBench:
    """Measures one engine. `processor` turns pictures into patches, as a caller's would be."""

    def __init__(self, engine: Engine, processor: ImageProcessor, shapes: Shapes, *, kind: Kind | None = None, seed: int = 0) -> None:
        """`kind`: what the decoder's weights are quantised to."""
        self.kind = kind
        self.engine, self.processor, self.shapes = engine, processor, shapes
        self.config = engine.model.config
        self.rng = np.random.default_rng(seed)
        self.machine = _machine(engine.model.device)
        self.anchors = json.loads((HERE / "anchors.json").read_text(encoding="utf-8")) if self.is_official else {}

    @property
    def is_official(self) -> bool:
        return self.config == official_config()

    def measurements(self) -> Iterator[Measurement]:
        for batch, context in self.shapes.decode:
            yield self.decode(batch, context)
        for context in self.shapes.first_token:
            yield self.first_token(context)
        for count, width, height in self.shapes.images:
            yield self.images(count, width, height)
        for batch in self.shapes.throughput:
            yield self.throughput(batch)

    def decode(self, batch: int, context: int) -> Measurement:
        """Milliseconds of a step while `batch` answers are written behind `context` tokens."""
        steps = self.shapes.answer - 1

        def run() -> float:
            seen = self.answered([self.prompt(context) for _ in range(batch)], self.shapes.answer)
            return (max(times[-1] for times in seen) - max(times[0] for times in seen)) / steps * 1e3

        limit = self.step_bytes(batch, context) / self.machine.read_bytes_s * 1e3 if self.machine else None
        return self._lower(f"decode {batch} x {context:,}", _best(run), "ms a step", limit)

    def first_token(self, context: int) -> Measurement:
        def run() -> float:
            prompt, began = self.prompt(context), time.perf_counter()
            return (self.answered([prompt], 2)[0][0] - began) * 1e3

        limit = prefill_flops(self.config, context) / self.machine.flops_s * 1e3 if self.machine else None
        return self._lower(f"first token {context:,}", _best(run, 3), "ms", limit)

    def throughput(self, batch: int) -> Measurement:
        """Answered tokens a second, all requests at once, prompts included in the time."""

        def run() -> float:
            prompts, began = [self.prompt(self.shapes.prompt) for _ in range(batch)], time.perf_counter()
            seen = self.answered(prompts, self.shapes.output)
            return batch * self.shapes.output / (max(times[-1] for times in seen) - began)

        limit = None
        if self.machine:
            contexts = range(self.shapes.prompt, self.shapes.prompt + self.shapes.output)
            reading = sum(self.step_bytes(batch, context) for context in contexts) / self.machine.read_bytes_s
            limit = batch * self.shapes.output / (batch * prefill_flops(self.config, self.shapes.prompt) / self.machine.flops_s + reading)
        value = max(run() for _ in range(3))  # the first is the warm-up
        name = f"throughput {batch}"
        return Measurement(name, value, "tokens a second", limit, limit and value / limit, *self._anchor(name))

    def images(self, count: int, width: int, height: int) -> Measurement:
        """Milliseconds from pictures in memory until every request that shows one has its first token."""
        tokens = self.processor.token_count(width, height)

        def run() -> float:
            pictures = [Image.fromarray(self.rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(count)]
            began = time.perf_counter()
            return (max(times[0] for times in self.shown(pictures, tokens, pool)) - began) * 1e3

        with ThreadPoolExecutor(PREPARING) as pool:
            value = _best(run, 3)
        limit = None
        if self.machine:
            flops = vision_flops(self.config, 4 * tokens) + prefill_flops(self.config, tokens + TEXT)
            limit = count * flops / self.machine.flops_s * 1e3
        name = f"image {width}x{height}" if count == 1 else f"{count} images {width}x{height}"
        return self._lower(name, value, "ms", limit)

    # How -------------------------------------------------------------------------------------------------------------

    def prompt(self, length: int) -> list[int]:
        """Random tokens of text."""
        return self.rng.integers(10, self.config.text_config.vocab_size * 97 // 100, length).tolist()

    def answered(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[list[float]]:
        """For each prompt the times at which its tokens came."""
        return self.watch({self.engine.submit(prompt, _params(tokens), end_ids=())[0]: [] for prompt in prompts})

    def shown(self, pictures: Sequence[Image.Image], tokens: int, pool: ThreadPoolExecutor) -> list[list[float]]:
        """The same for prompts that show one picture each, of so many tokens; each is submitted as soon as its picture is prepared."""
        waiting: set[Future[Pictures]] = {pool.submit(self.prepared, picture) for picture in pictures}
        times: dict[Request, list[float]] = {}
        while waiting:
            done, waiting = wait(waiting, timeout=None if self.engine.is_idle else 0, return_when=FIRST_COMPLETED)
            for future in done:
                image = [self.config.media_placeholder_token_id] * tokens
                ids = [*self.prompt(TEXT // 2), *image, *self.prompt(TEXT - TEXT // 2)]
                [request] = self.engine.submit(ids, _params(2), end_ids=(), images=future.result())
                times[request] = []
            self.step(times)
        return self.watch(times)

    def prepared(self, picture: Image.Image) -> Pictures:
        """In a thread that is not the engine's."""
        return Pictures.uncut(self.processor.pictures([picture], pinned=self.engine.model.device.type == "cuda"))

    def watch(self, times: dict[Request, list[float]]) -> list[list[float]]:
        while not self.engine.is_idle:
            self.step(times)
        return list(times.values())

    def step(self, times: dict[Request, list[float]]) -> None:
        """One step of the engine; the tokens that come of it are noted."""
        for event in self.engine.step():
            if event.error is not None:
                raise event.error
            times[event.request] += [time.perf_counter()] * len(event.token_ids)

    def _lower(self, what: str, value: float, unit: str, limit: float | None) -> Measurement:
        return Measurement(what, value, unit, limit, limit and limit / value, *self._anchor(what))

    def step_bytes(self, batch: int, context: int) -> float:
        """What a step must read; what is in eight bits is one byte each, without its scales."""
        value, kept = 1.0 if self.kind else 2.0, 1.0 if self.engine.limits.cache else 2.0
        routed = 0.5 if self.kind == "int4" else value
        return decode_bytes(self.config, batch, context, value_bytes=value, routed_bytes=routed, kept_bytes=kept)

    def _anchor(self, what: str) -> tuple[float | None, float | None]:
        found = self.anchors.get(f"{self.kind} {what}" if self.kind else what, {})
        return found.get("peer"), found.get("goal")


def planned_shapes(context: int) -> Shapes:
    """What an engine that was planned for one long request has to do: a prompt that is recorded, the long one, and an answer behind it that
    ends with the context."""
    prompt = context - ANSWER
    return Shapes(decode=((1, prompt),), first_token=sorted({min(SIZES[-1], prompt), prompt}), throughput=(), images=())


def report(bench: EngineBench, measured: Sequence[Measurement]) -> dict[str, Any]:
    """Everything that says what the numbers are worth."""
    device, limits = bench.engine.model.device, bench.engine.limits
    return {
        "what": "kimi-vl bench engine",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "dtype": str(bench.engine.model.dtype).removeprefix("torch."),
        "quantised": bench.kind,
        "weights": "random, of the official sizes" if bench.is_official else "random, of another configuration",
        "limits": asdict(limits),
        "memory": memory_of(device),
        "roofline": asdict(bench.machine) if bench.machine else None,
        "peer": bench.anchors.get("peer"),
        "peer_machine": bench.anchors.get("machine"),
        "measured": [asdict(m) for m in measured],
    }


def _best(run: Callable[[], float], times: int = 2) -> float:
    """The least of several runs behind a warm-up."""
    run()
    return min(run() for _ in range(times))


def plan_report(plan: Plan, budget: int, loading: dict[str, int] | None, serving: dict[str, int] | None) -> dict[str, Any]:
    """Planned bytes by part, what was held at most while weights were made and afterwards, and the latter as a share of the plan."""
    parts = {name: getattr(plan, name) for name in ("weights", "cache", "workspace", "graphs", "total")}
    shares = {name: serving[name] / plan.total for name in ("most_in_use", "most_held")} if serving else None
    return {"budget": budget, "planned": parts, "loading": loading, "serving": serving, "serving_to_planned": shares}


def memory_of(device: torch.device) -> dict[str, int] | None:
    """Bytes on a GPU: what torch holds now, and the most that was in use and held."""
    if device.type != "cuda":
        return None
    in_use, held = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    return {"held": torch.cuda.memory_reserved(device), "most_in_use": in_use, "most_held": held}


def _params(tokens: int) -> SamplingParams:
    return SamplingParams(temperature=1.0, max_tokens=tokens)


def _machine(device: torch.device) -> Machine | None:
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((machine for part, machine in MACHINES.items() if part in name), None)

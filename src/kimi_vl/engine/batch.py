"""Many answers at once, for reinforcement learning and evaluation: prompts prefilled together, rows that decode together.

A row of the batched latent cache holds one sequence. Every step gives each row one token, and the host only looks every few steps which
rows have ended, to put waiting sequences into them. On a GPU a step is one CUDA graph: its kernels take microseconds, and launching
them one by one would cost several times as much. The model's weights are read where they lie, so a trainer may update them in place
between calls.

Letters: B rows, Q sequences being admitted, S positions of a row, T packed tokens, W vocabulary.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, Literal

import numpy as np
import torch

from kimi_vl.engine.generation import FinishReason
from kimi_vl.engine.memory import memory_limit
from kimi_vl.engine.recording import record
from kimi_vl.engine.sampling import SamplingParams
from kimi_vl.errors import CheckpointError, InputError, PromptTooLong
from kimi_vl.model import KimiVLForConditionalGeneration, LatentCache
from kimi_vl.model.cache import BatchLatentCache
from kimi_vl.model.kimi_vl import GridHWs
from kimi_vl.ops import Operations, select
from kimi_vl.ops.sampling import draw_tokens, greedy_tokens

LOOK_EVERY = 16  # steps between two looks at which rows have ended; a look waits for the device, about 50 us
PREFILL_TOKENS = 32_768  # packed into one forward at most, unless one prompt alone has more
PREFILL_PATCHES = 65_536

Mode = Literal["greedy", "all", "nucleus"]  # the likeliest token, a draw from all, a draw within top_p
Step = Callable[[Mode], None]


@dataclass(frozen=True)
class BatchPrompt:
    """Token ids, image tokens expanded; pixel_values [P, 3, patch, patch] normalised, (rows, columns) of each image.

    Pixels may be of any float dtype and on any device. Copying fp32 from the CPU takes a GPU longer than looking at them, so many
    prompts had better come in the model's dtype, which the vision tower rounds to anyway.
    """

    input_ids: Sequence[int]
    pixel_values: torch.Tensor | None = None
    image_grid_hws: GridHWs | None = None


@dataclass(frozen=True)
class Sampled:
    """One answer. The end token is its last one if `finish_reason` is "stop".

    `logprobs` are those of each token under the distribution it was drawn from, temperature and top_p applied; greedy: at temperature 1.
    """

    token_ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason


@dataclass(frozen=True)
class _Prefilled:
    """Prompts that were run together: their latents packed, and the logits behind each, fp32 [prompts, W]."""

    packed: LatentCache
    logits: torch.Tensor
    starts: list[int]


@dataclass(frozen=True)
class _Waiting:
    """A sequence that is prefilled, as the `slot`-th of its group, and has no row yet."""

    prompt: int
    sample: int
    slot: int
    length: int
    budget: int


@dataclass
class _Running:
    """What the host knows of a row: at most `length` tokens are in the cache, and it ends when all but the last of `stop` are."""

    prompt: int
    sample: int
    length: int
    stop: int


class BatchEngine:
    """A fixed number of rows over one model."""

    def __init__(
        self,
        model: KimiVLForConditionalGeneration,
        *,
        rows: int,
        capacity: int,
        end_ids: Iterable[int],
        graphs: bool | None = None,
        compiled: bool = False,
    ) -> None:
        """Room for `rows` sequences that decode together, of `capacity` tokens each, prompt and answer.

        `graphs` None: on CUDA. `compiled` fuses the hundreds of small kernels of a step, which takes a minute or so at the first call with
        each way of drawing; it pays for long work, with an attention that stops at a row's end ("triton"), since it always covers the
        whole capacity.
        Raises: InputError without room for a row of two tokens, CapacityError if the rows do not fit into memory.
        """
        if rows < 1 or capacity < 2:
            raise InputError(f"a batch of {rows} rows of {capacity} tokens; it needs at least one row, of at least two tokens")
        self._model = model
        self._end_ids = frozenset(end_ids)
        self._graphs = _Graphs() if (model.device.type == "cuda" if graphs is None else graphs) else None
        self._limit = min(capacity, model.config.text_config.max_position_embeddings)
        with torch.inference_mode(), memory_limit("making room for a batch", "take fewer rows or a smaller capacity"):
            self._rows = _Rows(model, rows, self._limit, sorted(self._end_ids))
        self._compiled = compiled
        self._step: Step = torch.compile(self._rows.step, fullgraph=True, dynamic=False) if compiled else self._rows.step
        self._running: dict[int, _Running] = {}

    def generate(
        self,
        prompts: Sequence[BatchPrompt],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        seed: int = 0,
    ) -> list[list[Sampled]]:
        """`samples` answers to each prompt, in order. An answer ends with an end token, after max_tokens, or where its row is full.

        What is drawn for sample s of prompt p depends on (seed, p, s) and the logits alone, not on rows or on the other prompts.
        Raises: InputError for parameters out of range or an empty prompt, PromptTooLong unless every prompt leaves room for one token,
        all before any work; CapacityError when memory runs out; CheckpointError for logits that are not finite.
        """
        params = SamplingParams(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
        self._check(prompts, samples)
        answers: list[list[Sampled | None]] = [[None] * samples for _ in prompts]
        # The longest first: rows that decode together are then of similar lengths, and the last to end are not the last to start.
        queue = deque(sorted(range(len(prompts)), key=lambda i: -len(prompts[i].input_ids)))
        ready: deque[_Waiting] = deque()
        self._begin(params)
        # The trainer compiles blocks for its own constant shapes; ours would make it compile them again and again.
        stance, fewer = torch.compiler.set_stance("force_eager"), memory_limit("generating", "take fewer rows")
        with torch.inference_mode(), stance, fewer, _current(self._model.device):
            while queue or ready or self._running:
                if self._worth_admitting():
                    while self._free and (ready or queue):
                        if not ready:
                            prefilled, ready = self._prefill(prompts, queue, samples, max_tokens)
                        self._admit(prefilled, [ready.popleft() for _ in range(min(len(self._free), len(ready)))])
                self._decode()
                for running, sampled in self._harvest():
                    answers[running.prompt][running.sample] = sampled
        return [[sampled for sampled in row if sampled is not None] for row in answers]

    def _check(self, prompts: Sequence[BatchPrompt], samples: int) -> None:
        if samples < 1:
            raise InputError(f"samples is {samples}; it must be at least 1")
        for index, prompt in enumerate(prompts):
            if not len(prompt.input_ids):
                raise InputError(f"prompt {index} is empty; it must hold at least one token")
            if len(prompt.input_ids) >= self._limit:
                raise PromptTooLong(len(prompt.input_ids), self._limit - 1)
            if (prompt.pixel_values is None) != (prompt.image_grid_hws is None):
                raise InputError(f"prompt {index} has pixel_values or image_grid_hws without the other; pass both, or neither")

    def _begin(self, params: SamplingParams) -> None:
        """Forget whatever an interrupted call left behind."""
        self._params = params
        self._mode: Mode = "greedy" if params.temperature == 0 else "all" if params.top_p == 1 else "nucleus"
        self._running.clear()
        self._free = list(range(self._rows.count))
        self._rows.reset(params)
        # A graph may hold only operations that never ask the host; the loop over experts asks it which were chosen.
        model, ops = self._model, self._model.ops
        if self._graphs is not None:
            dense = select(model.device, model.dtype, {"routed_experts": "dense"})
            ops = dataclasses.replace(ops, routed_experts=dense.routed_experts, mixture=dense.mixture)
            self._graphs.forget_unless(tuple(parameter.data_ptr() for parameter in model.parameters()))
        if ops != self._rows.ops:  # an equal one in its place could make a compiled step be compiled again
            self._rows.ops = ops

    def _worth_admitting(self) -> bool:
        """Prefilling for one free row at a time would launch as much as prefilling for many."""
        return not self._running or len(self._free) >= max(1, self._rows.count // 8)

    def _prefill(
        self, prompts: Sequence[BatchPrompt], queue: deque[int], samples: int, max_tokens: int
    ) -> tuple[_Prefilled, deque[_Waiting]]:
        """Run the next prompts of the queue, as many as there are free rows for and one forward may hold."""
        group: list[int] = []
        tokens = patches = 0
        while queue and len(group) * samples < len(self._free):
            prompt = prompts[queue[0]]
            tokens += len(prompt.input_ids)
            patches += 0 if prompt.pixel_values is None else prompt.pixel_values.shape[0]
            if group and (tokens > PREFILL_TOKENS or patches > PREFILL_PATCHES):
                break
            group.append(queue.popleft())
        lengths = [len(prompts[i].input_ids) for i in group]
        pixels = [p.to(self._model.device) for i in group if (p := prompts[i].pixel_values) is not None]
        grids = [torch.as_tensor(g) for i in group if (g := prompts[i].image_grid_hws) is not None]
        features_MD = self._model.image_features(torch.cat(pixels), torch.cat(grids)) if pixels else None
        ids_T = torch.tensor(list(chain.from_iterable(prompts[i].input_ids for i in group)), device=self._model.device)
        logits, packed = self._model.prefill(ids_T, lengths, features_MD)
        waiting = [
            _Waiting(prompt, sample, slot, length, min(max_tokens, self._limit - length))
            for slot, (prompt, length) in enumerate(zip(group, lengths, strict=True))
            for sample in range(samples)
        ]
        return _Prefilled(packed, logits, [0, *accumulate(lengths)][:-1]), deque(waiting)

    def _admit(self, prefilled: _Prefilled, waiting: list[_Waiting]) -> None:
        """Give each of these sequences a free row and its first token."""
        rows = [self._free.pop() for _ in waiting]
        uniforms_QS = None
        if self._mode != "greedy":
            longest = max(w.budget for w in waiting)
            uniforms_QS = np.stack([_uniforms(self._params.seed or 0, w, longest) for w in waiting])
        self._rows.admit(prefilled, rows, waiting, uniforms_QS, self._mode)
        for row, w in zip(rows, waiting, strict=True):
            self._running[row] = _Running(w.prompt, w.sample, w.length, w.length + w.budget)

    def _decode(self) -> None:
        """Run steps until it is time to look again. Attention covers the longest row and not the whole capacity."""
        steps = min(LOOK_EVERY, max(row.stop - 1 - row.length for row in self._running.values()))
        if steps < 1:
            return
        for row in self._running.values():
            row.length = min(row.length + steps, row.stop - 1)
        longest = max(row.length for row in self._running.values())
        self._rows.cache.window = self._limit if self._compiled else _window(longest, self._limit)
        with torch.compiler.set_stance("default") if self._compiled else nullcontext():
            for _ in range(steps):
                if self._graphs is None:
                    self._step(self._mode)
                else:
                    self._graphs.run(self._step, self._rows.cache, self._mode)

    def _harvest(self) -> list[tuple[_Running, Sampled]]:
        """The answers of the rows that have ended; their rows are free again."""
        grows = self._rows.cache.grows_B.tolist()  # host sync
        ended = [row for row in self._running if not grows[row]]
        if not ended:
            return []
        found = []
        for row, (token_ids, logprobs) in zip(ended, self._rows.release(ended), strict=True):
            reason: FinishReason = "stop" if token_ids[-1] in self._end_ids else "length"
            found.append((self._running.pop(row), Sampled(token_ids, logprobs, reason)))
        self._free.extend(ended)
        return found


def _current(device: torch.device) -> AbstractContextManager[Any]:
    """Streams, graphs and Triton kernels go to the current GPU, which need not be the model's."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


class _Rows:
    """What the device keeps of every row from step to step. Every tensor keeps its address, so that a graph may hold it.

    `ids_B` is the newest token of a row, not yet in the cache; it stands at position `lengths_B`, being answer token number
    `lengths_B - starts_B`. A row without a sequence, or one that has ended, repeats its last step, which changes nothing.
    """

    def __init__(self, model: KimiVLForConditionalGeneration, rows: int, capacity: int, end_ids: list[int]) -> None:
        device = model.device
        self.count = rows
        self.ops: Operations = model.ops
        self.cache = model.new_batch_cache(rows, capacity)
        self._model = model
        self._end_ids_E = torch.tensor(end_ids, dtype=torch.int64, device=device)
        self._placeholder = model.config.media_placeholder_token_id
        self._ids_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self._logprobs_B = torch.zeros(rows, dtype=torch.float32, device=device)
        self._starts_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self._stops_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self._tokens_BS = torch.zeros(rows, capacity, dtype=torch.int64, device=device)
        self._logprobs_BS = torch.zeros(rows, capacity, dtype=torch.float32, device=device)
        self._uniforms_BS = torch.zeros(rows, capacity, dtype=torch.float64, device=device)
        self._temperature = torch.ones((), dtype=torch.float32, device=device)
        self._top_p = torch.ones((), dtype=torch.float64, device=device)

    @torch.inference_mode()
    def reset(self, params: SamplingParams) -> None:
        """Empty every row and take over temperature and top_p."""
        for tensor in (self.cache.lengths_B, self.cache.grows_B, self._starts_B, self._stops_B):
            tensor.zero_()
        self._temperature.fill_(params.temperature)
        self._top_p.fill_(params.top_p)

    def step(self, mode: Mode) -> None:
        """One token more for every row that grows. Asks the host nothing and draws on no generator, so a graph may hold it."""
        cache = self.cache
        grew_B = cache.grows_B > 0
        logits_BW = self._model.decode(self._ids_B, cache, self.ops)
        number_B1 = (cache.lengths_B - self._starts_B)[:, None]
        tokens_B, logprobs_B = self._draw(logits_BW, self._uniforms_BS.gather(1, number_B1)[:, 0], mode)
        self._ids_B.copy_(tokens_B.where(grew_B, self._ids_B))
        self._logprobs_B.copy_(logprobs_B.where(grew_B, self._logprobs_B))
        self._tokens_BS.scatter_(1, number_B1, self._ids_B[:, None])
        self._logprobs_BS.scatter_(1, number_B1, self._logprobs_B[:, None])
        cache.grows_B.mul_(self._goes_on(self._ids_B, cache.lengths_B, self._stops_B))

    def admit(self, prefilled: _Prefilled, rows: list[int], waiting: list[_Waiting], uniforms_QS: np.ndarray | None, mode: Mode) -> None:
        """Start sequences in free rows: latents of their prompts, limits, numbers to draw with, and the first token."""
        device = self._ids_B.device
        places = [(r, prefilled.starts[w.slot], w.length, w.slot, w.length + w.budget) for r, w in zip(rows, waiting, strict=True)]
        rows_Q, starts_Q, lengths_Q, slots_Q, stops_Q = torch.tensor(places, device=device).unbind(1)
        self.cache.fill(prefilled.packed, starts_Q, lengths_Q, rows_Q)
        self._starts_B[rows_Q], self._stops_B[rows_Q] = lengths_Q, stops_Q
        if uniforms_QS is not None:
            self._uniforms_BS[rows_Q, : uniforms_QS.shape[1]] = torch.from_numpy(uniforms_QS).to(device)
        tokens_Q, logprobs_Q = self._draw(prefilled.logits[slots_Q], self._uniforms_BS[rows_Q, 0], mode)
        self._ids_B[rows_Q], self._logprobs_B[rows_Q] = tokens_Q, logprobs_Q
        self._tokens_BS[rows_Q, 0], self._logprobs_BS[rows_Q, 0] = tokens_Q, logprobs_Q
        self.cache.grows_B[rows_Q] = self._goes_on(tokens_Q, lengths_Q, stops_Q).long()

    def release(self, rows: list[int]) -> list[tuple[list[int], list[float]]]:
        """Tokens and log-probabilities of rows that have ended (host sync), whose places are emptied. Raises: CheckpointError."""
        rows_Q = torch.tensor(rows, device=self._ids_B.device)
        counts = (self.cache.lengths_B[rows_Q] - self._starts_B[rows_Q] + 1).tolist()
        tokens, logprobs = (values_BS[rows_Q, : max(counts)].cpu() for values_BS in (self._tokens_BS, self._logprobs_BS))
        found = [(tokens[i, :count].tolist(), logprobs[i, :count].tolist()) for i, count in enumerate(counts)]
        if any(not np.isfinite(values).all() for _, values in found):
            for rows_BSZ in self.cache.layers_BSZ:
                rows_BSZ.zero_()  # a NaN behind a later row's length would spread into it
            raise CheckpointError("the model's logits are not finite; the weights are damaged, or overflow in their dtype: try float32")
        for tensor in (self.cache.lengths_B, self._starts_B, self._stops_B):
            tensor[rows_Q] = 0
        return found

    def _draw(self, logits_QW: torch.Tensor, uniforms_Q: torch.Tensor, mode: Mode) -> tuple[torch.Tensor, torch.Tensor]:
        logits_QW[:, self._placeholder] = -math.inf  # fed back, it would stand for an image that no one gave
        if mode == "greedy":
            return greedy_tokens(logits_QW)
        return draw_tokens(logits_QW, uniforms_Q, self._temperature, self._top_p if mode == "nucleus" else None)

    def _goes_on(self, ids_Q: torch.Tensor, positions_Q: torch.Tensor, stops_Q: torch.Tensor) -> torch.Tensor:
        """Whether another token follows these, which stand at the given positions."""
        return ~(ids_Q[:, None] == self._end_ids_E).any(1) & (positions_Q + 1 < stops_Q)


class _Graphs:
    """Steps recorded as CUDA graphs, one for each attention window and way of drawing; they share one memory pool."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[int, Mode], torch.cuda.CUDAGraph] = {}
        self._pool: Any = None  # an opaque handle
        self._addresses: tuple[int, ...] = ()

    def forget_unless(self, addresses: tuple[int, ...]) -> None:
        """Graphs read the weights by address: they outlive an update in place, and not a weight that has moved."""
        if addresses != self._addresses:
            self._graphs.clear()
            self._pool = None  # it went with the last of them
            self._addresses = addresses

    def run(self, step: Step, cache: BatchLatentCache, mode: Mode) -> None:
        """One step over this cache, recorded first if need be."""
        key = (cache.window, mode)
        if key not in self._graphs:
            self._graphs[key], _ = record(lambda: step(mode), cache.grows_B, self._pool)
            self._pool = self._graphs[key].pool()
        self._graphs[key].replay()


def _uniforms(seed: int, waiting: _Waiting, count: int) -> np.ndarray:
    """The numbers in [0, 1) that one answer is drawn with: a stream of their own for each (seed, prompt, sample), fp64 [count]."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, waiting.sample, waiting.prompt])).random(count)


def _window(length: int, capacity: int) -> int:
    """Positions to attend over for rows of up to `length` tokens: four sizes for each doubling, multiples of 128, so at most a fifth more
    than needed from 640 tokens on, and few graphs."""
    size = 1 << max(7, length.bit_length() - 3)
    return min(-(-length // size) * size, capacity)

"""Computes the steps that the scheduler decides: chunks of requests in, the logits behind those that sample out.

Letters: T tokens of the step, B sequences, J pages of a sequence, M image tokens, D decoder width, W vocabulary.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch

from kimi_vl.engine.features import FeatureCache
from kimi_vl.engine.memory import memory_limit
from kimi_vl.engine.pictures import ENCODED_PATCHES, Image, encoded_together
from kimi_vl.engine.request import Request
from kimi_vl.engine.sampling import Logprobs
from kimi_vl.engine.scheduler import Chunk, Limits
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.cache import Continued, Ends, PagedLatentCache, PagedStep
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops.sampling import tell_rows
from kimi_vl.ops.transfer import sent

# From so many new tokens behind kept ones on, keys and values of every kept row are worth expanding: that costs 4.2 MFLOP a row and layer,
# and saves 25 kFLOP of the remaining 35 for every new token and row, which run at more than twice the rate. With fewer, attention has only
# 16 heads x 1 tile of 128 tokens for the 132 processors of an H100; the absorbed form shares a sequence's rows out over all of them.
EXPANDED_TOKENS = 256
FRESH, CONTINUED, ABSORBED = range(3)
Normalise = Callable[[torch.Tensor], torch.Tensor]  # of uint8 patches, on their device


class OnTheWay:
    """Numbers that a device is still computing. They start for the host as soon as they are there, ahead of what is launched later."""

    def __init__(self, numbers: torch.Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        if numbers.is_cuda:
            self._numbers = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._numbers.copy_(numbers, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()
        else:
            self._numbers = numbers

    def wait(self) -> list[Any]:
        """As nested lists."""
        if self._arrived is not None:
            self._arrived.synchronize()  # host sync
        return self._numbers.tolist()


@dataclass(frozen=True)
class Launched:
    """A step that is being computed: what was in it, and the tokens of `requests` on their way, -1 for logits that are not finite; or the
    `logits` [W] from which the host is to draw. `told` is on its way for those of the requests that ask for log-probabilities."""

    chunks: list[Chunk]
    requests: list[Request]
    tokens: OnTheWay | None
    logits: dict[Request, torch.Tensor]
    told: OnTheWay | None = None  # [Q, X] as of `ops.sampling.tell_rows`
    prompts: Sequence[ToldPrompt] = ()


@dataclass(frozen=True)
class ToldPrompt:
    """What is told of a request's prompt behind its tokens from `start` on, [K, X] as of `ops.sampling.tell_rows`."""

    request: Request
    start: int
    told: OnTheWay

    def take_in(self) -> None:
        """Wait for it, and let the request have it; what it had of these tokens, before it lost its pages, was the same."""
        request, rows = self.request, self.told.wait()
        count, tokens = request.params.prompt_logprobs or 0, request.token_ids[self.start + 1 :]
        told = [Logprobs.of(token, row, count) for token, row in zip(tokens, rows, strict=False)]
        request.prompt_logprobs[self.start : self.start + len(told)] = told


@dataclass(frozen=True)
class Computed:
    """What a forward gives: the logits [W] behind the requests that sample, and what is told of prompts."""

    logits: dict[Request, torch.Tensor] = field(default_factory=dict)
    prompts: list[ToldPrompt] = field(default_factory=list)


class Encoding:
    """How many pictures were encoded, how many were there already, and how long encoding took: on a GPU by its clock, of what is over."""

    def __init__(self) -> None:
        self.encoded = self.reused = 0
        self._seconds = 0.0
        self._under_way: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    @property
    def seconds(self) -> float:
        """Until now."""
        return self._seconds

    @contextmanager
    def timed(self, on_gpu: bool) -> Iterator[None]:
        """Around what is launched."""
        began = time.perf_counter()
        if not on_gpu:
            yield
            self._seconds += time.perf_counter() - began
            return
        while self._under_way and self._under_way[0][1].query():
            first, last = self._under_way.popleft()
            self._seconds += first.elapsed_time(last) / 1000
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        yield
        last.record()
        self._under_way.append((first, last))


class Runner:
    """Holds the model's latent cache in pages, and the features of images that may be asked about again."""

    is_warm = True  # whether a step costs what it computes; not while kernels are compiled or loaded for the first time

    def __init__(
        self,
        model: KimiVLForConditionalGeneration,
        limits: Limits,
        *,
        feature_tokens: int,
        ahead_tokens: int = 0,
        spare_pages: int = 0,
        normalise: Normalise | None = None,
    ) -> None:
        """`spare_pages` lie behind those that the scheduler knows of. Raises: CapacityError if the pages do not fit into memory."""
        self.model, self.limits = model, limits
        config = model.config.text_config
        with memory_limit("making room for the latent cache", "take fewer pages"):
            pages = limits.num_pages + spare_pages, limits.page_size
            self.cache = PagedLatentCache(config, *pages, dtype=model.dtype, device=model.device, kind=limits.cache)
        self.features, self.encoding = FeatureCache(max(feature_tokens, ahead_tokens), feature_tokens), Encoding()
        self.expanded_tokens = EXPANDED_TOKENS
        self._normalise = normalise

    @torch.inference_mode()
    def launch(self, chunks: Sequence[Chunk], images: Mapping[Request, Sequence[Image]]) -> Launched:
        """Compute one step; the host draws. Raises: CapacityError when memory runs out."""
        groups = [[chunk] for chunk in chunks] if self.limits.invariant else [chunks]
        computed = [self._forward(group, images) for group in groups]
        logits = {request: logits_W for one in computed for request, logits_W in one.logits.items()}
        return Launched(list(chunks), [], None, logits, prompts=[prompt for one in computed for prompt in one.prompts])

    @torch.inference_mode()
    def encode(self, images: Sequence[Image]) -> None:
        """Compute the features of these, and keep them, unless they are kept already. Raises: CapacityError when memory runs out."""
        self.encoding.reused += sum(self.features.get(image.digest) is not None for image in images)
        with memory_limit("encoding pictures", "lower step_tokens"):
            self._encoded({image.digest: image for image in images})

    def _forward(self, chunks: Sequence[Chunk], images: Mapping[Request, Sequence[Image]]) -> Computed:
        model = self.model
        chunks = sorted(chunks, key=self._order)
        with memory_limit("computing a step", "lower step_tokens or max_running"):
            embeddings_TD = self._embedded(chunks, images)
            self.cache.begin(self._placed(chunks))
            hidden_BD, _ = model.language_model.model(embeddings_TD, self._layout(chunks), model.ops, self.cache, self._ends(chunks))
            ends = [*zip(chunks, accumulate(_num_ends(chunk) for chunk in chunks), strict=True)]  # and where each one's rows stop
            prompts = [self._told(chunk, hidden_BD[stop - chunk.count : stop]) for chunk, stop in ends if num_told(chunk)]
            sampling = [(chunk.request, stop - 1) for chunk, stop in ends if chunk.samples]
            if not sampling:
                return Computed(prompts=prompts)
            if prompts:
                hidden_BD = hidden_BD[self._sent(np.array([last for _, last in sampling]))]
            logits_BW = model.language_model.lm_head(hidden_BD).float()
            return Computed({request: logits_W for (request, _), logits_W in zip(sampling, logits_BW, strict=True)}, prompts)

    def _told(self, chunk: Chunk, hidden_TD: torch.Tensor) -> ToldPrompt:
        """What is told of the tokens behind those of a chunk, as far as they are the prompt's. As many rows at once have logits as those of
        all requests have that write."""
        count, next_one = num_told(chunk), chunk.start + 1
        tokens = self._sent(np.array(chunk.request.token_ids[next_one : next_one + count]))
        parts = zip(hidden_TD[:count].split(self.limits.max_running), tokens.split(self.limits.max_running), strict=True)
        likeliest = chunk.request.params.prompt_logprobs or 0
        told = [tell_rows(self.model.language_model.lm_head(part_QD), tokens_Q, likeliest) for part_QD, tokens_Q in parts]
        return ToldPrompt(chunk.request, chunk.start, OnTheWay(torch.cat(told)))

    def _embedded(self, chunks: Sequence[Chunk], images: Mapping[Request, Sequence[Image]]) -> torch.Tensor:
        """The tokens of these chunks with the features of their images, [T, D]."""
        ids = np.fromiter(chain.from_iterable(_ids(chunk) for chunk in chunks), np.int64)
        placeholders_M = self._sent(np.flatnonzero(ids == self.model.config.media_placeholder_token_id))
        return self.model.embed(self._sent(ids), self._features_of(chunks, images), placeholders_M)

    def _slots(self, chunk: Chunk) -> np.ndarray:
        """Where in the cache a chunk's tokens go."""
        places, page_size = _places(chunk), self.limits.page_size
        return np.array(chunk.request.pages)[places // page_size] * page_size + places % page_size

    def _placed(self, chunks: Sequence[Chunk]) -> PagedStep:
        continued = [chunk for chunk in chunks if self._form(chunk) == CONTINUED]
        later = [chunk for chunk in chunks if self._form(chunk) == ABSORBED]
        table_BJ, lengths_B = self._sequences(later)
        return PagedStep(
            slots_T=self._sent(np.concatenate([self._slots(chunk) for chunk in chunks])),
            num_fresh=sum(chunk.count for chunk in chunks if not chunk.start),
            page_table_BJ=table_BJ,
            cu_seqlens=self._sent(_boundaries(later)),
            lengths_B=lengths_B,
            continued=tuple(self._continued(chunk) for chunk in continued),
        )

    def _ends(self, chunks: Sequence[Chunk]) -> Ends:
        stops = accumulate(chunk.count for chunk in chunks)
        ends = [(chunk, stop, count) for chunk, stop in zip(chunks, stops, strict=True) if (count := _num_ends(chunk))]
        table_BJ, lengths_B = self._sequences([chunk for chunk, _, _ in ends])
        tokens_B = self._sent(np.array([token for _, stop, count in ends for token in range(stop - count, stop)], np.int64))
        boundaries = np.array([0, *accumulate(count for _, _, count in ends)], np.int32)
        return Ends(tokens_B, table_BJ, self._sent(boundaries), lengths_B)

    def _sequences(self, chunks: Sequence[Chunk]) -> tuple[torch.Tensor, torch.Tensor]:
        """The pages of these chunks' sequences, int32 [B, J], and their lengths behind this step, int32 [B]."""
        table = np.zeros((len(chunks), max((len(chunk.request.pages) for chunk in chunks), default=0)), np.int32)
        for row, chunk in zip(table, chunks, strict=True):
            row[: len(chunk.request.pages)] = chunk.request.pages
        return self._sent(table), self._sent(np.array([chunk.start + chunk.count for chunk in chunks], np.int32))

    def _continued(self, chunk: Chunk) -> Continued:
        length = chunk.start + chunk.count
        pages = np.array(chunk.request.pages[: -(-length // self.limits.page_size)])
        return Continued(chunk.count, length, self._sent(pages))

    def _form(self, chunk: Chunk) -> int:
        """How a chunk attends, in the order in which a step's tokens lie."""
        if not chunk.start:
            return FRESH
        return CONTINUED if chunk.count >= self.expanded_tokens else ABSORBED

    def _order(self, chunk: Chunk) -> tuple[int, int]:
        """Of those that begin, equal lengths beside each other: attention takes them together."""
        form = self._form(chunk)
        return form, chunk.count if form == FRESH else 0

    def _layout(self, chunks: Sequence[Chunk]) -> TokenLayout:
        """Positions of all tokens, and the boundaries of the sequences that begin here."""
        fresh = [chunk for chunk in chunks if not chunk.start]
        lengths = tuple(chunk.count for chunk in fresh)
        positions = np.concatenate([_places(chunk) for chunk in chunks])
        return TokenLayout(self._sent(positions), self._sent(_boundaries(fresh)), max(lengths, default=0), lengths)

    def _sent(self, numbers: np.ndarray) -> torch.Tensor:
        return sent(torch.from_numpy(numbers), self.model.device)

    def _features_of(self, chunks: Sequence[Chunk], images: Mapping[Request, Sequence[Image]]) -> torch.Tensor | None:
        """The features of the image tokens in these chunks, in order, [M, D]."""
        needed = [
            (chunk, span, images[chunk.request][k])
            for chunk in chunks
            for k, span in enumerate(chunk.request.spans)
            if span.start < chunk.start + chunk.count and chunk.start < span.start + span.count
        ]
        encoded = self._encoded({image.digest: image for _, _, image in needed})
        parts = []
        for chunk, span, image in needed:
            start, stop = max(0, chunk.start - span.start), min(span.count, chunk.start + chunk.count - span.start)
            parts.append(encoded[image.digest][start:stop])
        return torch.cat(parts) if parts else None

    def _normalised(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Patches [P, 3, patch, patch] on the device; pictures are cut and bytes normalised there, which takes a GPU no time and a CPU a
        quarter of a second for a large one."""
        patches = sent(pixel_values, self.model.device)
        if patches.ndim == 5:
            patches = patches.flatten(0, 1)
        if patches.dtype != torch.uint8:
            return patches
        assert self._normalise is not None, "the engine refuses bytes that it cannot normalise"
        return self._normalise(patches)

    def _encoded(self, images: Mapping[bytes, Image]) -> dict[bytes, torch.Tensor]:
        found = {digest: features_MD for digest in images if (features_MD := self.features.get(digest)) is not None}
        self.encoding.reused += sum(not self.features.is_held(digest) for digest in found)  # the others were counted by `encode`
        missing = sorted((image for digest, image in images.items() if digest not in found), key=lambda image: image.grid_hw)
        for group in encoded_together(missing, 0 if self.limits.invariant else ENCODED_PATCHES):
            grids = [image.grid_hw for image in group]
            with self.encoding.timed(self.model.device.type == "cuda"):
                pixels = torch.cat([self._normalised(image.pixel_values) for image in group])
                parts = self.model.image_features(pixels, grids).split([h * w // 4 for h, w in grids])
            self.encoding.encoded += len(group)
            for image, features_MD in zip(group, parts, strict=True):
                found[image.digest] = features_MD
                self.features.put(image.digest, features_MD.clone())  # a part would keep the whole alive
        return found


def num_told(chunk: Chunk) -> int:
    """Behind how many of a chunk's tokens comes one of the prompt that is to be told of."""
    request = chunk.request
    return 0 if request.params.prompt_logprobs is None else max(0, min(chunk.count, request.num_prompt - 1 - chunk.start))


def _num_ends(chunk: Chunk) -> int:
    """How many of a chunk's last tokens need the last layer's output."""
    return chunk.count if num_told(chunk) else int(chunk.samples)


def _ids(chunk: Chunk) -> list[int]:
    return chunk.request.token_ids[chunk.start : chunk.start + chunk.count]


def _places(chunk: Chunk) -> np.ndarray:
    return np.arange(chunk.start, chunk.start + chunk.count)


def _boundaries(chunks: Sequence[Chunk]) -> np.ndarray:
    return np.array([0, *accumulate(chunk.count for chunk in chunks)], np.int32)

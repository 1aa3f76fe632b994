"""Many requests on one machine: submit, step, cancel. One thread; who wants to wait for answers does so outside.

Knows token ids and patches. Every request ends exactly once, with a reason; what goes wrong with one is its own end and nobody else's.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from kimi_vl.engine.lookup import Lookup, num_right
from kimi_vl.engine.pictures import Ahead, Image, Pictures
from kimi_vl.engine.prefix import ImageSpan
from kimi_vl.engine.request import Request, Status
from kimi_vl.engine.rows import RowRunner
from kimi_vl.engine.runner import Launched, Normalise, Runner
from kimi_vl.engine.sampling import Constraint, Logprobs, Sampler, SamplingParams
from kimi_vl.engine.scheduler import DRAFT_ROWS, Chunk, Limits, Scheduler
from kimi_vl.errors import CheckpointError, InputError, KimiVLError, PromptTooLong, RequestFailed, ShapeError
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.kimi_vl import GridHWs

FEATURE_TOKENS = 65_536  # image features kept: 268 MB in bf16 at the official width


@dataclass(frozen=True)
class Event:
    """Something that happened to a request in a step: tokens that it gave, the end token included, and its end, if it ended.

    `error` is why it ended without an answer of its own; `request.finish_reason` is then "error". `logprobs` are those of the token, where
    they were asked for and it was drawn.
    """

    request: Request
    token_ids: tuple[int, ...]
    ended: bool
    error: KimiVLError | None = None
    logprobs: Logprobs | None = None


@dataclass(frozen=True)
class _Round:
    """What is taken in at once: a token of each of these chunks that samples, and what is told of it."""

    chunks: list[Chunk]
    tokens: dict[Request, int]
    told: dict[Request, Logprobs]


@dataclass
class _Given:
    """What a request gave in a step, or why it gave nothing."""

    tokens: list[int] = field(default_factory=list)
    told: list[Logprobs] = field(default_factory=list)  # of each token, if it was asked for
    error: KimiVLError | None = None


class Engine:
    """Continuous batching over a paged latent cache."""

    def __init__(
        self,
        model: KimiVLForConditionalGeneration,
        limits: Limits,
        *,
        feature_tokens: int = FEATURE_TOKENS,
        ahead_tokens: int = 0,
        normalise: Normalise | None = None,
        rows: bool | None = None,
        graphs: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        """`normalise`: what is done on the device to images that are submitted as bytes (`ImageProcessor.normalised`). `rows`: draw on the
        device and launch a step before the tokens of the one before are known; None: on CUDA, unless the engine is to be invariant.
        `feature_tokens`: of pictures that are kept; in their place, or up to `ahead_tokens`, those of prompts to come (`encode`).
        `graphs`: record the steps of rows; `fused`: compute them by `RowDecoder`; None for both: on CUDA in half precision.

        Raises: CapacityError if the pages do not fit, InputError for limits that cannot work together, ImplementationUnavailable for steps
        that cannot be recorded here.
        """
        rows = model.device.type == "cuda" and not limits.invariant if rows is None else rows
        _check(limits, rows)
        self.model, self.limits = model, limits
        self.scheduler = Scheduler(limits)
        self.runner: Runner
        features: dict[str, Any] = {"feature_tokens": feature_tokens, "ahead_tokens": ahead_tokens, "normalise": normalise}
        if rows:
            context = min(model.config.text_config.max_position_embeddings, limits.num_pages * limits.page_size)
            self.runner = RowRunner(model, limits, context=context, graphs=graphs, fused=fused, **features)
        else:
            self.runner = Runner(model, limits, **features)
        self._takes_bytes = normalise is not None
        self._ahead = 1 if rows else 0  # steps that may be launched before the tokens of one are looked at
        # Whoever has drafts is not run ahead of, so it is all of those who write or none.
        self._most_drafting = min(DRAFT_ROWS, limits.max_running) // (1 + limits.draft_tokens)
        self._launched: deque[Launched] = deque()
        self._rounds: deque[_Round] = deque()  # of the step that was waited for last
        self._lookups: dict[Request, Lookup] = {}
        self._arrivals = itertools.count()
        self._samplers: dict[Request, Sampler] = {}
        self._images: dict[Request, Sequence[Image]] = {}
        self.arrived: deque[tuple[Ahead, Image]] = deque()  # pictures of prompts to come, to be encoded
        self._aheads: dict[Request, Ahead] = {}

    def submit(
        self,
        input_ids: Sequence[int],
        params: SamplingParams,
        *,
        end_ids: Iterable[int],
        images: Pictures | tuple[torch.Tensor, GridHWs] | None = None,
        n: int = 1,
        priority: int = 0,
        tenant: str = "",
        constraint: Callable[[], Constraint] | None = None,
    ) -> list[Request]:
        """Queue a prompt for `n` answers. Nothing is computed yet. input_ids [T]; images as `Pictures` of this tenant, or as pixel_values
        [P, 3, patch, patch] and image_grid_hws [I, 2], of which they are made here. A lower `priority` goes first. Prompts of different
        tenants share nothing. `constraint` makes what each answer must look like, and is called once for each.

        Raises, nothing being queued: PromptTooLong, InputError for an empty prompt, a bias of a token that there is not, or placeholders
        that do not match the images, CapacityError for one that would not fit if it were alone.
        """
        limit = self.model.config.text_config.max_position_embeddings
        if not input_ids:
            raise InputError("the prompt is empty; it must hold at least one token")
        if len(input_ids) >= limit:
            raise PromptTooLong(len(input_ids), limit - 1)
        if n < 1:
            raise InputError(f"n is {n}; it must be at least 1")
        pictures = _images(images, tenant)
        if any(picture.pixel_values.dtype == torch.uint8 for picture in pictures) and not self._takes_bytes:
            raise ShapeError("pixel_values are uint8, and this engine was made without `normalise`; pass it, or normalised patches")
        params.check_bias(self.model.config.text_config.vocab_size)
        spans = self._spans(input_ids, pictures)
        ahead = images.ahead if isinstance(images, Pictures) else None
        budget = min(params.max_tokens, limit - len(input_ids))
        constraints = [None if constraint is None else constraint() for _ in range(n)]
        requests: list[Request] = []
        for sample in range(n):
            own = replace(params, prompt_logprobs=None) if sample else params  # they are alike for all samples
            request = Request(list(input_ids), own, frozenset(end_ids), budget, (priority, next(self._arrivals)), tenant, sample, spans)
            request.leader = requests[0] if requests else None
            self.scheduler.add(request)  # the first raises or none does: they are alike
            seed = None if params.seed is None else (params.seed + sample) % 2**64
            never = [self.model.config.media_placeholder_token_id]
            sampler = Sampler(replace(params, seed=seed), never=never, prompt_ids=input_ids, constraint=constraints[sample])
            request.seed, request.draws_on_host = sampler.seed, sampler.constraint is not None
            self._samplers[request] = sampler
            self._images[request] = pictures
            if ahead is not None:
                self._aheads[request] = ahead
            if self.limits.draft_tokens and not request.draws_on_host and not params.penalises:
                self._lookups[request] = Lookup()
            requests.append(request)
        return requests

    def encode(self, ahead: Ahead, image: Image) -> None:
        """Queue a picture of a prompt that is not known yet. Between two steps as many are encoded as a step has tokens; one for which
        there is no room among the features that are kept is left to its prompt."""
        if not ahead.is_over:
            self.arrived.append((ahead, image))

    def let_go(self, ahead: Ahead) -> None:
        """The features need not stay any more; what is not encoded yet will not be. Once more this changes nothing."""
        ahead.is_over = True
        while ahead.digests:
            self.runner.features.release(ahead.digests.pop())
        self.arrived = deque(pair for pair in self.arrived if pair[0] is not ahead)

    def step(self) -> list[Event]:
        """Run one step of everything; what happened in it, or in the one before. An empty list when nothing has, or is left to do.

        A request gives one token at a time, so that whoever reads it can force others behind it, or stop; of a step that verified several
        the next come without computing.
        """
        self._encode_arrived()
        if self._rounds:
            return self._take_in()
        if self._launched and not self.runner.is_warm:
            return self._finish(self._launched.popleft())  # the first tokens do not wait for what launching the second ones takes for once
        if self._launched and any(request.proposal for request in self.scheduler.running):
            return self._finish(self._launched.popleft())  # what is proposed goes on from a token that is known
        chunks = self.scheduler.schedule()
        events = self._launch(chunks) if chunks else []
        waits = any(request.draws_on_host or request.num_drafted for request in self.scheduler.running)
        while self._launched and not self._rounds and (len(self._launched) > (0 if waits else self._ahead) or not chunks):
            events += self._finish(self._launched.popleft())
        return events

    def _finish(self, launched: Launched) -> list[Event]:
        """Wait for the tokens of a step, and take in the first of each request."""
        for prompt in launched.prompts:
            prompt.take_in()
        given = self._given(launched)
        events = [self._end(request, one.error) for request, one in given.items() if one.error is not None]
        alive = [chunk for chunk in launched.chunks if chunk.request.status is not Status.FINISHED]
        for chunk in alive:
            if chunk.draft:
                self.scheduler.settle(chunk, len(given[chunk.request].tokens))
        found = {chunk.request: given[chunk.request] for chunk in alive if chunk.samples}
        for k in range(max([1, *(len(one.tokens) for one in found.values())])):
            now = {request: one for request, one in found.items() if len(one.tokens) > k}
            tokens = {request: one.tokens[k] for request, one in now.items()}
            told = {request: one.told[k] for request, one in now.items() if one.told}
            self._rounds.append(_Round([chunk for chunk in alive if not k or chunk.request in now], tokens, told))
        return events + self._take_in()

    def _take_in(self) -> list[Event]:
        now, events = self._rounds.popleft(), list[Event]()
        for request in self.scheduler.commit(now.chunks, now.tokens):
            ended = request.status is Status.FINISHED
            if request in self._aheads:  # its prompt is computed
                self.let_go(self._aheads.pop(request))
            events.append(Event(request, (now.tokens[request],), ended, logprobs=now.told.get(request)))
            if ended:
                self._forget(request)
            elif request in self._lookups and len(self.scheduler.running) <= self._most_drafting:
                self.scheduler.propose(request, self._lookups[request].proposal(request.token_ids, self.limits.draft_tokens))
        return events

    def _given(self, launched: Launched) -> dict[Request, _Given]:
        """What a step gave of every request that sampled: of one with a draft the tokens that count."""
        given: dict[Request, _Given] = {}
        for request, logits_W in launched.logits.items():
            if request.status is not Status.FINISHED:
                one, sampler = given.setdefault(request, _Given()), self._samplers[request]
                try:
                    one.tokens.append(sampler.draw(logits_W, len(request.token_ids) - request.num_prompt))
                    one.told += [] if sampler.logprobs is None else [sampler.logprobs]
                except (CheckpointError, InputError) as error:
                    one.error = error
        told = iter([] if launched.told is None else launched.told.wait())
        for request, token in zip(launched.requests, [] if launched.tokens is None else launched.tokens.wait(), strict=True):
            one = given.setdefault(request, _Given())
            one.tokens.append(token)
            if request.params.logprobs is not None:
                one.told.append(Logprobs.of(token, next(told), request.params.logprobs))
        for chunk in launched.chunks:
            if chunk.draft:
                one = given[chunk.request]
                del one.tokens[num_right(chunk.draft, one.tokens) :]
        for request, one in given.items():
            if min(one.tokens, default=0) < 0 and request.status is not Status.FINISHED:
                one.error = CheckpointError("the model's logits are not finite; the weights are damaged, or overflow in their dtype")
        return given

    def force(self, request: Request, token_ids: Iterable[int]) -> Event:
        """Put tokens into the answer's mouth, as many as its budget allows; it goes on from them. Those that its constraint forbids
        end it."""
        given = () if request.status is Status.FINISHED else tuple(token_ids)[: request.budget - len(request.answer_ids)]
        try:
            for token in given:
                self._samplers[request].take(token)
        except InputError as error:
            return self._end(request, error)
        self.scheduler.force(request, given)
        ended = request.status is Status.FINISHED
        if ended:
            self._forget(request)
        return Event(request, given, ended)

    def stop(self, request: Request) -> None:
        """End a request whose answer is complete, such as at a stop string. After its end this changes nothing."""
        self.scheduler.finish(request, "stop")
        self._forget(request)

    def cancel(self, request: Request) -> None:
        """End a request now; it gives no more tokens, and its pages are free. Once more, or after its end, this changes nothing."""
        self.scheduler.finish(request, "cancelled")
        self._forget(request)

    @property
    def is_idle(self) -> bool:
        return self.scheduler.is_idle and not self._launched and not self._rounds and not self.arrived

    def check_integrity(self) -> None:
        """Raises: AssertionError naming what is wrong; for tests and idle moments."""
        self.scheduler.check_integrity()
        alive = {*self.scheduler.waiting, *self.scheduler.running}
        assert self._samplers.keys() == alive == self._images.keys(), "something is kept of requests that are gone"
        assert self._lookups.keys() <= alive >= self._aheads.keys(), "something is kept of requests that are gone"

    def _encode_arrived(self) -> None:
        """Some of the pictures that have arrived. What fails is left to the prompt, which then says why."""
        features, group, left = self.runner.features, list[tuple[Ahead, Image]](), self.limits.step_tokens
        while self.arrived and (not group or self.arrived[0][1].tokens <= left):
            ahead, image = self.arrived.popleft()
            if features.num_held + image.tokens <= features.capacity - sum(other.tokens for _, other in group):
                group.append((ahead, image))
                left -= image.tokens
                features.hold(image.digest)
                ahead.digests.append(image.digest)
        if not group:
            return
        try:
            self.runner.encode([image for _, image in group])
        except torch.AcceleratorError:
            raise
        except Exception:  # noqa: BLE001 - one request must not end the others
            return

    def _launch(self, chunks: Sequence[Chunk]) -> list[Event]:
        """Begin a step. If it does not fit into memory, or fails otherwise, its chunks are run one by one, and those that fail alone are to
        blame; running a chunk again writes what it wrote before. Raises: what a device says that is lost to everybody."""
        try:
            self._launched.append(self.runner.launch(chunks, self._images))
            return []
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            if len(chunks) == 1:
                return [self._end(chunks[0].request, _as_ours(error))]
        return [event for chunk in chunks for event in self._launch([chunk])]

    def _end(self, request: Request, error: KimiVLError) -> Event:
        self.scheduler.finish(request, "error")
        self._forget(request)
        return Event(request, (), True, error)

    def _forget(self, request: Request) -> None:
        self._samplers.pop(request, None)
        self._lookups.pop(request, None)
        self._images.pop(request, None)
        if (ahead := self._aheads.pop(request, None)) is not None:
            self.let_go(ahead)

    def _spans(self, input_ids: Sequence[int], pictures: Sequence[Image]) -> tuple[ImageSpan, ...]:
        """Where the placeholders of each image stand: one after another, in order."""
        placeholder = self.model.config.media_placeholder_token_id
        # Counting is four times as fast as looking at each: 1 ms for 120,000 tokens of text.
        places = [k for k, token in enumerate(input_ids) if token == placeholder] if input_ids.count(placeholder) else []
        counts = [h * w // 4 for h, w in (picture.grid_hw for picture in pictures)]
        if len(places) != sum(counts):
            raise ShapeError(f"the prompt holds {len(places)} image placeholder tokens and its images have {sum(counts)}; they must match")
        spans, first = [], 0
        for picture, count in zip(pictures, counts, strict=True):
            own = places[first : first + count]
            if own[-1] - own[0] != count - 1:
                raise InputError(f"the {count} placeholders of an image stand apart, between {own[0]} and {own[-1]}; they must be in a row")
            spans.append(ImageSpan(own[0], count, picture.digest))
            first += count
        return tuple(spans)


def _as_ours(error: Exception) -> KimiVLError:
    if isinstance(error, KimiVLError):
        return error
    failed = RequestFailed(f"the request could not be computed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed


def _images(images: Pictures | tuple[torch.Tensor, GridHWs] | None, tenant: str) -> tuple[Image, ...]:
    if images is None:
        return ()
    pictures = images if isinstance(images, Pictures) else Pictures.of(*images, tenant)
    if pictures.tenant != tenant:
        raise InputError(f"the pictures were named for tenant {pictures.tenant!r} and the prompt is of {tenant!r}; name them for the same")
    return pictures.images


def _check(limits: Limits, rows: bool) -> None:
    for name in ("num_pages", "page_size", "max_running", "step_tokens"):
        if (value := getattr(limits, name)) < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    most = min(DRAFT_ROWS, limits.max_running) - 1
    if not 0 <= limits.draft_tokens <= most:
        raise InputError(
            f"draft_tokens is {limits.draft_tokens}; it must be from 0 to {most}, for a token and its draft are rows of a step"
        )
    if limits.draft_tokens and not rows:
        raise InputError(f"draft_tokens is {limits.draft_tokens}, and drafts are verified in rows; pass rows=True, or take draft_tokens=0")
    if limits.cache not in (None, "fp8"):
        raise InputError(f"cache is {limits.cache!r}; it must be None or 'fp8'")
    if limits.invariant and rows:
        raise InputError("an invariant engine computes request by request; it has no rows")
    if limits.invariant and limits.step_tokens % limits.page_size:
        raise InputError(f"step_tokens is {limits.step_tokens}; an invariant engine needs a multiple of the page size, {limits.page_size}")

"""The runner for a GPU: answers are written in rows that live on the device, one step of all rows without a word to the host.

A row is a request that writes. Its newest token, its length, its pages and how it is sampled lie on the device, so a step needs nothing
from the host but the pages that rows have newly taken; on CUDA it is one graph for each size of the batch. Prompts, and all of which more
than one token is computed, go through the packed forward of `Runner`, and their requests then get a row.

Letters: B rows, J pages of a row, O tokens of a page, W vocabulary.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch

from kimi_vl.engine.memory import memory_limit
from kimi_vl.engine.penalties import Penalties
from kimi_vl.engine.pictures import Image
from kimi_vl.engine.prompts import RecordedPrompts
from kimi_vl.engine.recording import Recordings
from kimi_vl.engine.request import Request, Status
from kimi_vl.engine.runner import Computed, Launched, Normalise, OnTheWay, Runner
from kimi_vl.engine.sampling import MAX_LOGPROBS
from kimi_vl.engine.scheduler import Chunk, Limits
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.cache import PagedLatentCache, PagedStep
from kimi_vl.model.row_decoder import RowDecoder
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops import rotary_frequencies, select
from kimi_vl.ops.sampling import tell_rows, uniform_numbers
from kimi_vl.ops.transfer import sent
from kimi_vl.ops.triton import rows as kernels

# What must be able to run where steps are recorded: the kernels that the row decoder is made of.
RECORDABLE = {"paged_latent_attention": "triton", "routed_experts": "triton"}
BUCKETS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # rows of a recorded step


class Draw(NamedTuple):
    """What drawing has to do for some of the rows; without it, a step does less."""

    filters: bool
    weighs: bool
    tells: bool

    @classmethod
    def of(cls, requests: Sequence[Request]) -> Self:
        asked = [request.params for request in requests]
        return cls(any(p.filters for p in asked), any(p.weighs for p in asked), any(p.logprobs is not None for p in asked))


@dataclass(frozen=True)
class Place:
    """Where a row stands: `token` is at position `length`, and token number `number` of the answer comes next."""

    row: int
    request: Request
    token: int
    length: int
    number: int


@dataclass
class _Row:
    """What the host knows of a row: whose it is, and how much of its page list the device has. With another list, or after tokens were
    forced, it is the row of something that is no more."""

    request: Request
    pages: list[int]
    num_forced: int
    num_sent: int = 0
    is_behind: bool = False  # the device does not know how much of the last draft was right


@dataclass(frozen=True)
class _Drawn:
    """Tokens int64 [Q] and whose they are, and `told_QX` as of `tell_rows`, of those that asked for it."""

    requests: list[Request]
    tokens_Q: torch.Tensor
    told_QX: torch.Tensor | None


class Rows:
    """The tensors of all rows. Every one keeps its address, so that a graph may hold it.

    `ids_B` is the newest token of a row, not yet in the cache; it stands at position `lengths_B`. `numbers_B` is the number of the token
    that is drawn next, `drawn_B` what the last step drew, -1 where that was not possible, `told_BX` what `tell_rows` says of it. Rows that
    are not `active_B` compute a step like the others and change nothing: they write into the page behind the pool's last.
    """

    def __init__(
        self,
        model: KimiVLForConditionalGeneration,
        limits: Limits,
        cache: PagedLatentCache,
        table_width: int,
        decoder: RowDecoder | None,
    ) -> None:
        device, count = model.device, limits.max_running
        self.model, self.cache, self.decoder = model, cache, decoder
        self.page_size, self.spare_page = limits.page_size, limits.num_pages
        self.ids_B = torch.zeros(count, dtype=torch.int64, device=device)
        self.drawn_B = torch.zeros(count, dtype=torch.int64, device=device)
        self.lengths_B = torch.zeros(count, dtype=torch.int64, device=device)
        self.active_B = torch.zeros(count, dtype=torch.int64, device=device)
        self.numbers_B = torch.zeros(count, dtype=torch.int64, device=device)
        self.seeds_B = torch.zeros(count, dtype=torch.int64, device=device)
        self.top_k_B = torch.zeros(count, dtype=torch.int64, device=device)
        self.temperature_B = torch.zeros(count, dtype=torch.float32, device=device)
        self.top_p_B = torch.ones(count, dtype=torch.float32, device=device)
        self.min_p_B = torch.zeros(count, dtype=torch.float32, device=device)
        self.page_table_BJ = torch.zeros(count, table_width, dtype=torch.int32, device=device)
        self.penalties: Penalties | None = None
        self.placeholder = model.config.media_placeholder_token_id
        self._cu_seqlens = torch.arange(count + 1, dtype=torch.int32, device=device)
        self._nothing = torch.zeros(1, dtype=torch.int32, device=device)
        text = model.config.text_config
        self.num_likeliest = min(MAX_LOGPROBS, text.vocab_size)
        self.told_BX = torch.zeros(count, 1 + 2 * self.num_likeliest, dtype=torch.float32, device=device)
        self._frequencies = rotary_frequencies(text.qk_rope_head_dim, text.rope_theta, device)

    def step(self, count: int, draw: Draw) -> None:
        """One token more for each active one of the first `count` rows. Asks the host nothing."""
        if self.decoder is not None:
            return self._fused_step(self.decoder, count, draw)
        active_B, lengths_B, table_BJ = self.active_B[:count], self.lengths_B[:count], self.page_table_BJ[:count]
        own_B = table_BJ.gather(1, (lengths_B // self.page_size)[:, None])[:, 0].long()
        pages_B = own_B.where(active_B > 0, self.spare_page)
        slots_B = pages_B * self.page_size + lengths_B % self.page_size
        self.cache.begin(PagedStep(slots_B, 0, table_BJ, self._cu_seqlens[: count + 1], (lengths_B + 1).int()))
        decoder = self.model.language_model.model
        tokens = TokenLayout(lengths_B, self._nothing, 0)
        hidden_BD, _ = decoder(decoder.embed_tokens(self.ids_B[:count]), tokens, self.model.ops, self.cache)
        drawn_B = self.draw(self.model.language_model.lm_head(hidden_BD), slice(count), draw)
        self.drawn_B[:count] = drawn_B
        # -1 is no token; a request that has it ends, and until the host knows, its row goes on from any other.
        self.ids_B[:count] = drawn_B.clamp(min=0).where(active_B > 0, self.ids_B[:count])
        lengths_B += active_B
        self.numbers_B[:count] += active_B
        if self.penalties is not None and draw.weighs:
            self.penalties.count(torch.arange(count, device=drawn_B.device), drawn_B, active_B)

    def _fused_step(self, decoder: RowDecoder, count: int, draw: Draw) -> None:
        """The same in kernels that do what belongs together."""
        ids_B, active_B, lengths_B, numbers_B = (x[:count] for x in (self.ids_B, self.active_B, self.lengths_B, self.numbers_B))
        table_BJ, embedding = self.page_table_BJ[:count], self.model.language_model.model.embed_tokens.weight
        x_BD, slots_B, seen_B, cos_BP, sin_BP, uniforms_B = kernels.enter(
            ids_B,
            lengths_B,
            active_B,
            self.seeds_B[:count],
            numbers_B,
            table_BJ,
            embedding,
            self._frequencies,
            spare_page=self.spare_page,
            page_size=self.page_size,
        )
        self.cache.begin(PagedStep(slots_B, 0, table_BJ, self._cu_seqlens[: count + 1], seen_B))
        drawn_B = self.draw(decoder(x_BD, cos_BP, sin_BP, self.cache), slice(count), draw, uniforms_B)
        met_BW = self.penalties.met_BW[:count] if self.penalties is not None and draw.weighs else None
        kernels.leave(drawn_B, active_B, self.drawn_B[:count], ids_B, lengths_B, numbers_B, met_BW)

    def draw(self, logits_QW: torch.Tensor, rows: slice | torch.Tensor, draw: Draw, uniforms_Q: torch.Tensor | None = None) -> torch.Tensor:
        """The next token of these rows, int64 [Q]; -1 where the logits are not finite. What is told of them is written into `told_BX`."""
        if uniforms_Q is None:
            uniforms_Q = uniform_numbers(self.seeds_B[rows], self.numbers_B[rows])
        chosen = (self.top_k_B[rows], self.top_p_B[rows], self.min_p_B[rows]) if draw.filters else ()
        weighed_QW = logits_QW
        if self.penalties is not None and draw.weighs:
            weighed_QW = self.penalties.weighed(logits_QW, rows, self.model.ops)
        drawn_Q = self.model.ops.draw_rows(weighed_QW, uniforms_Q, self.temperature_B[rows], *chosen, excluded=self.placeholder)
        if draw.tells:
            self.told_BX[rows] = tell_rows(logits_QW, drawn_Q, self.num_likeliest)
        return drawn_Q

    def penalise(self) -> Penalties:
        """From now on rows may have penalties and biases. Raises: CapacityError."""
        if self.penalties is None:
            with memory_limit("counting tokens for penalties", "lower max_running"):
                self.penalties = Penalties(len(self.ids_B), self.model.config.text_config.vocab_size, self.ids_B.device)
        return self.penalties

    def admit(self, places: Sequence[Place]) -> torch.Tensor:
        """Set where these rows stand and how they are sampled; the rows, int64 [Q] on the device."""
        whole = [(p.row, p.token, p.length, p.number, _signed(p.request.seed), p.request.params.top_k) for p in places]
        parts = [(p.request.params.temperature, p.request.params.top_p, p.request.params.min_p) for p in places]
        rows_Q, ids_Q, lengths_Q, numbers_Q, seeds_Q, top_k_Q = sent(torch.tensor(whole), self.ids_B.device).unbind(1)
        temperature_Q, top_p_Q, min_p_Q = sent(torch.tensor(parts, dtype=torch.float32), self.ids_B.device).unbind(1)
        for target, values in (
            (self.ids_B, ids_Q),
            (self.lengths_B, lengths_Q),
            (self.numbers_B, numbers_Q),
            (self.seeds_B, seeds_Q),
            (self.top_k_B, top_k_Q),
            (self.temperature_B, temperature_Q),
            (self.top_p_B, top_p_Q),
            (self.min_p_B, min_p_Q),
        ):
            target[rows_Q] = values
        if self.penalties is not None:
            self.penalties.admit([place.row for place in places], [place.request for place in places])
        return rows_Q


class RowRunner(Runner):
    """A runner that draws on the device. What it returns of a step are tokens that may still be on their way."""

    def __init__(
        self,
        model: KimiVLForConditionalGeneration,
        limits: Limits,
        *,
        feature_tokens: int,
        ahead_tokens: int = 0,
        context: int,
        normalise: Normalise | None = None,
        graphs: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        """`context` is the most tokens that a request may have; `graphs` None: on CUDA with weights in half precision; `fused`: rows are
        computed by `RowDecoder` instead of by the modules, which cannot be recorded; None: where they are recorded.

        Raises: CapacityError if the pages do not fit, ImplementationUnavailable if a step is to be recorded and has no kernels for it.
        """
        super().__init__(model, limits, feature_tokens=feature_tokens, ahead_tokens=ahead_tokens, spare_pages=1, normalise=normalise)
        records = model.device.type == "cuda" and model.dtype != torch.float32 if graphs is None else graphs
        if records:
            select(model.device, model.dtype, RECORDABLE)
        # One memory for all graphs, which run one after another: what a recorded prompt leaves is read before anything else runs.
        self._recordings = Recordings(torch.cuda.graph_pool_handle()) if records else None
        self.is_warm = False  # until rows have written
        fused = records if fused is None else fused
        with memory_limit("making room for rows", "lower max_running"):
            decoder = RowDecoder(model.language_model) if fused else None
            self.rows = Rows(model, limits, self.cache, -(-context // limits.page_size), decoder)
            spare_slot = limits.num_pages * limits.page_size
            self._prompts = RecordedPrompts(model, self.cache, spare_slot, self._recordings) if self._recordings else None
        self._row_of: dict[Request, int] = {}
        self._rows: dict[int, _Row] = {}
        self._free = list(range(limits.max_running))
        self._active: list[int] = []  # rows that the device knows as active, and the same as a tensor there
        self._active_Q = torch.zeros(0, dtype=torch.int64, device=model.device)

    @torch.inference_mode()
    def launch(self, chunks: Sequence[Chunk], images: Mapping[Request, Sequence[Image]]) -> Launched:
        """Compute a step: prompts, then rows; the prompts that sample get rows for the steps to come.

        Raises: CapacityError when memory runs out, which happens before anything in the rows has changed.
        """
        self._drop()
        if any(chunk.request.params.weighs for chunk in chunks):
            self.rows.penalise()
        writing, reading = list[Chunk](), list[Chunk]()
        for chunk in chunks:
            (writing if self._writes(chunk) else reading).append(chunk)
        computed = self._forward(reading, images) if reading else Computed()
        logits = computed.logits
        on_host = {request: logits_W for request, logits_W in logits.items() if request.draws_on_host}
        begun = [request for request in logits if request not in on_host]
        found = [self._write(writing)] if writing else []
        if begun:
            found.append(self._begin(begun, torch.stack([logits[request] for request in begun])))
        requests = [request for part in found for request in part.requests]
        tokens = OnTheWay(torch.cat([part.tokens_Q for part in found])) if found else None
        told = [part.told_QX for part in found if part.told_QX is not None]
        return Launched(list(chunks), requests, tokens, on_host, OnTheWay(torch.cat(told)) if told else None, computed.prompts)

    def _forward(self, chunks: Sequence[Chunk], images: Mapping[Request, Sequence[Image]]) -> Computed:
        if self._prompts is None or not self._prompts.fits(chunks):
            return super()._forward(chunks, images)
        with memory_limit("computing a prompt", "lower step_tokens or max_running"):
            logits_1W = self._prompts.run(self._embedded(chunks, images), self._slots(chunks[0]), chunks[0].request.pages)
        return Computed({chunks[0].request: logits_1W[0]})

    def _begin(self, requests: Sequence[Request], logits_QW: torch.Tensor) -> _Drawn:
        """Give requests their rows and their first tokens there."""
        rows, draw = self._take_rows(requests), Draw.of(requests)
        # The newest token is drawn now, and the one behind it comes next.
        answered = [len(request.token_ids) - request.num_prompt for request in requests]
        places = [Place(row, request, 0, request.num_computed, n) for row, request, n in zip(rows, requests, answered, strict=True)]
        rows_Q = self.rows.admit(places)
        drawn_Q = self.rows.draw(logits_QW, rows_Q, draw)
        self.rows.ids_B[rows_Q] = drawn_Q.clamp(min=0)
        self.rows.numbers_B[rows_Q] += 1
        if self.rows.penalties is not None and draw.weighs:
            self.rows.penalties.count(rows_Q, drawn_Q, torch.ones_like(rows_Q))
        return self._drawn(rows, requests, drawn_Q)

    def _write(self, chunks: Sequence[Chunk]) -> _Drawn:
        """One step of the rows of these requests. A draft's tokens are rows like its request's own, with the same pages: each is written
        before anything is read, and sees as far as its own position."""
        self._send_pages([self._row_of[chunk.request] for chunk in chunks])
        rows, requests, borrowed, placed = list[int](), list[Request](), list[int](), list[Place]()
        for chunk in chunks:
            request, row = chunk.request, self._row_of[chunk.request]
            own = [row, *(heapq.heappop(self._free) for _ in chunk.draft)]
            if chunk.draft or self._rows[row].is_behind:
                tokens, number = (request.token_ids[-1], *chunk.draft), len(request.answer_ids)
                placed += [Place(other, request, tokens[k], chunk.start + k, number + k) for k, other in enumerate(own)]
                # Of the pages behind the newest token's the request may lose some, and get others.
                self._rows[row].num_sent = min(self._rows[row].num_sent, chunk.start // self.limits.page_size + 1)
            self._rows[row].is_behind = bool(chunk.draft)
            rows += own
            requests += [request] * len(own)
            borrowed += own[1:]
        for other in borrowed:
            heapq.heappush(self._free, other)  # for whoever comes after the step
        if placed:
            rows_Q = self.rows.admit(placed)
            owners = sent(torch.tensor([self._row_of[place.request] for place in placed]), self.model.device)
            self.rows.page_table_BJ[rows_Q] = self.rows.page_table_BJ[owners]
        if rows != self._active:
            self._active, self._active_Q = rows, sent(torch.tensor(rows), self.model.device)
            self.rows.active_B.zero_()
            self.rows.active_B[self._active_Q] = 1
        count = min(self.limits.max_running, next((size for size in BUCKETS if size > max(rows)), self.limits.max_running))
        self._step(count, Draw.of(requests))
        self.is_warm = True
        return self._drawn(rows, requests, self.rows.drawn_B[self._active_Q])

    def _drawn(self, rows: Sequence[int], requests: Sequence[Request], tokens_Q: torch.Tensor) -> _Drawn:
        """The tokens of these rows, and what those of the requests hear of theirs that want to."""
        telling = [row for row, request in zip(rows, requests, strict=True) if request.params.logprobs is not None]
        told_QX = self.rows.told_BX[sent(torch.tensor(telling), self.model.device)] if telling else None
        return _Drawn(list(requests), tokens_Q, told_QX)

    def _step(self, count: int, draw: Draw) -> None:
        if self._recordings is None:
            return self.rows.step(count, draw)
        self._recordings.run((count, draw), lambda: self.rows.step(count, draw), self.rows.active_B)

    # Rows ------------------------------------------------------------------------------------------------------------

    def _has_row(self, request: Request) -> bool:
        """Whether the device has the request as it is now."""
        row = self._rows.get(self._row_of.get(request, -1))
        return row is not None and row.pages is request.pages and row.num_forced == request.num_forced

    def _writes(self, chunk: Chunk) -> bool:
        """Whether a chunk is the newest token of a row, with or without a draft behind it."""
        return chunk.count == 1 + len(chunk.draft) and self._has_row(chunk.request)

    def _drop(self) -> None:
        """Free the rows of requests that ended or lost their pages."""
        gone = [request for request in self._row_of if request.status is not Status.RUNNING or not self._has_row(request)]
        for request in gone:
            row = self._row_of.pop(request)
            del self._rows[row]
            heapq.heappush(self._free, row)

    def _take_rows(self, requests: Sequence[Request]) -> list[int]:
        for request in requests:
            if request not in self._row_of:
                self._row_of[request] = heapq.heappop(self._free)
            self._rows[self._row_of[request]] = _Row(request, request.pages, request.num_forced)
        return [self._row_of[request] for request in requests]

    def _send_pages(self, rows: Sequence[int]) -> None:
        """Tell the device which pages the rows have taken since they last wrote."""
        news = []
        for number in rows:
            row = self._rows[number]
            news += [(number, k, row.pages[k]) for k in range(row.num_sent, len(row.pages))]
            row.num_sent = len(row.pages)
        if news:
            rows_X, columns_X, pages_X = sent(torch.tensor(news), self.model.device).unbind(1)
            self.rows.page_table_BJ[rows_X, columns_X] = pages_X.int()


def _signed(seed: int) -> int:
    return seed - 2**64 if seed >= 2**63 else seed

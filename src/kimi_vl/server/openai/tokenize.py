"""`/v1/tokenize`: how many tokens a conversation takes, and what would be seen of each of its media. Nothing is answered."""

from __future__ import annotations

import msgspec

from kimi_vl.processor.views import View
from kimi_vl.server.openai.content import Seen, kind_of, turns_of
from kimi_vl.server.openai.requests import TokenizeRequest
from kimi_vl.server.openai.tools import Toolbox
from kimi_vl.server.service import Service


class SeenView(msgspec.Struct):
    width: int
    height: int
    seen_width: int
    seen_height: int
    tokens: int
    page: int | None
    time_s: float | None
    note: str | None


class SeenMedium(msgspec.Struct):
    index: int
    kind: str
    name: str
    tokens: int
    views: list[SeenView]
    left_out: str | None


class Counted(msgspec.Struct):
    count: int
    context_length: int
    media: list[SeenMedium]
    tokens: list[int] | msgspec.UnsetType = msgspec.UNSET


def count(service: Service, request: TokenizeRequest, tenant: str) -> Counted:
    """Blocking. Raises: ApiError, KimiVLError."""
    if request.prompt is not None:
        ids = service.model.processor.tokenizer.encode(request.prompt)
        counted = Counted(len(ids), service.model.context, [])
    else:
        toolbox = Toolbox.of(request.tools, request.tool_choice, request.parallel_tool_calls)
        thinking = request.thinking or "auto"
        seen = service.seeing.see(turns_of(request.messages or [], toolbox, service.options), tenant, request.media, thinking)
        try:
            ids = service.model.question(seen.messages, thinking=thinking, tenant=tenant).input_ids
            counted = Counted(len(ids), service.model.context, _media(seen))
        finally:
            seen.close()
    if request.return_tokens:
        counted.tokens = ids
    return counted


def _media(seen: Seen) -> list[SeenMedium]:
    media = []
    for k, medium in enumerate(seen.sight.media if seen.sight else ()):
        assert seen.sight is not None
        views = [view for view in seen.sight.views if view.medium == k]
        notes = "; ".join(seen.sight.looked[k].notes) or None
        media.append(SeenMedium(k, kind_of(medium), seen.names[k], sum(v.cut.tokens for v in views), [_view(v) for v in views], notes))
    return media


def _view(view: View) -> SeenView:
    """Sizes in pixels, of a page before in points."""
    before, after = view.size_before, view.size
    return SeenView(*before, *after, view.cut.tokens, view.page, view.seconds, view.shrunk or None)

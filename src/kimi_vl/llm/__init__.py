"""What a Python user holds, and what everything above depends on: `KimiVL`, its options, its answers."""

from kimi_vl.llm.answers import Answer, AnswerStream, Piece, Usage
from kimi_vl.llm.async_kimi_vl import AsyncKimiVL, ChatModel
from kimi_vl.llm.conversation import Access, Cost, Seen, content_of, see_messages
from kimi_vl.llm.kimi_vl import KimiVL
from kimi_vl.llm.options import DEFAULT_PARAMS, PREFIXES, Thinking, recommended_params, resolve_device, resolve_options
from kimi_vl.llm.seeing import look_at, open_media

__all__ = [
    "DEFAULT_PARAMS",
    "PREFIXES",
    "Access",
    "Answer",
    "AnswerStream",
    "AsyncKimiVL",
    "ChatModel",
    "Cost",
    "KimiVL",
    "Piece",
    "Seen",
    "Thinking",
    "Usage",
    "content_of",
    "look_at",
    "open_media",
    "recommended_params",
    "resolve_device",
    "resolve_options",
    "see_messages",
]

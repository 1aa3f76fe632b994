"""Reading answers while they are written: a reader turns tokens into pieces, and may force tokens or stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from kimi_vl.engine.engine import Engine, Event
from kimi_vl.engine.sampling import Logprobs
from kimi_vl.errors import KimiVLError, RequestFailed

PieceOut = TypeVar("PieceOut", covariant=True)


@dataclass(frozen=True)
class Reaction(Generic[PieceOut]):
    """What the reader of an answer makes of its newest tokens: pieces for the caller, tokens to force, or that it has seen enough."""

    pieces: Sequence[PieceOut] = ()
    forced: Iterable[int] = ()
    stops: bool = False


class Reader(Protocol[PieceOut]):
    """Reads one answer, in the engine's thread, between two steps of everybody: it must be quick."""

    def read(self, token_ids: Sequence[int], ended: bool) -> Reaction[PieceOut]:
        """The next tokens of the answer, forced ones among them, and whether they are the last."""


@runtime_checkable
class Told(Protocol):
    """A reader that wants the log-probabilities of tokens as well."""

    def tell(self, logprobs: Logprobs) -> None:
        """Those of the token that `read` will be given next, where they were asked for and it was drawn."""


class Tokens:
    """A reader that hands the tokens on as they are."""

    def read(self, token_ids: Sequence[int], ended: bool) -> Reaction[int]:
        return Reaction(token_ids)


@dataclass(frozen=True)
class Heard:
    """What a caller gets of an event: pieces, whether the answer is over, and the error that ended it."""

    pieces: list[Any]
    over: bool
    error: Exception | None


def hear(engine: Engine, event: Event, reader: Reader[Any]) -> Heard:
    """Have an event read, and do with its request what the reader wants."""
    error: Exception | None = event.error
    pieces: list[Any] = []
    ended = event.ended
    while error is None:
        try:
            if event.logprobs is not None and isinstance(reader, Told):
                reader.tell(event.logprobs)
            reaction = reader.read(event.token_ids, event.ended)
        except Exception as caught:  # noqa: BLE001 - a fault of this answer's reader, and of no other
            error = caught if isinstance(caught, KimiVLError) else RequestFailed(f"the answer could not be read: {caught!r}")
            break
        pieces += reaction.pieces
        if ended:
            break
        if reaction.stops:
            engine.stop(event.request)
            ended = True
            break
        if not (forced := list(reaction.forced)):
            break
        event = engine.force(event.request, forced)
        ended = event.ended
        error = event.error
    if error is not None and not ended:
        engine.cancel(event.request)
    return Heard(pieces, ended or error is not None, error)

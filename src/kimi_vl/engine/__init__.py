"""Requests on one machine: one at a time, the plain path and the reference; a batch of rows that decode together; or an engine of many."""

from kimi_vl.engine.async_engine import AnswerStream, AsyncEngine
from kimi_vl.engine.batch import BatchEngine, BatchPrompt, Sampled
from kimi_vl.engine.desk import Desk, Pieces
from kimi_vl.engine.engine import Engine, Event
from kimi_vl.engine.generation import FinishReason, Generation
from kimi_vl.engine.pictures import Ahead, Pictures
from kimi_vl.engine.reading import Reaction, Reader, Tokens
from kimi_vl.engine.request import Request
from kimi_vl.engine.sampling import Constraint, Logprobs, Sampler, SamplingParams
from kimi_vl.engine.scheduler import Limits

__all__ = [
    "Ahead",
    "AnswerStream",
    "AsyncEngine",
    "BatchEngine",
    "BatchPrompt",
    "Constraint",
    "Desk",
    "Engine",
    "Event",
    "FinishReason",
    "Generation",
    "Limits",
    "Logprobs",
    "Pictures",
    "Pieces",
    "Reaction",
    "Reader",
    "Request",
    "Sampled",
    "Sampler",
    "SamplingParams",
    "Tokens",
]

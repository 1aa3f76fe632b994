"""Requests on one machine. Today the plain path, one request at a time; it stays as the reference of the batched engine."""

from kimi_vl.engine.generation import FinishReason, Generation
from kimi_vl.engine.sampling import Sampler, SamplingParams

__all__ = ["FinishReason", "Generation", "Sampler", "SamplingParams"]

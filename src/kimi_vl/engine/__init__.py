"""Requests on one machine: one at a time, the plain path and the reference, or a batch of rows that decode together."""

from kimi_vl.engine.batch import BatchEngine, BatchPrompt, Sampled
from kimi_vl.engine.generation import FinishReason, Generation
from kimi_vl.engine.sampling import Sampler, SamplingParams

__all__ = ["BatchEngine", "BatchPrompt", "FinishReason", "Generation", "Sampled", "Sampler", "SamplingParams"]

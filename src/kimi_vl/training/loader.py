"""Endless, reproducible batches: worker processes render, tokenise and pack while the device trains.

Batch b of a rank is a pure function of (seed, rank, b): workers share nothing, and resuming is knowing one number.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import InputError
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.noise import Noise
from kimi_vl.training.packing import Batch, Budget, Sample, SampleEncoder, pack
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.scene import Scene
from kimi_vl.training.synth.world import render

MAX_FAILURES = 20  # scenes a worker process may leave out; more are no accident
SAMPLES_PER_BATCH = 1 << 20  # index space of one batch; far more than any batch holds


@dataclass(frozen=True, kw_only=True)
class SceneMix:
    """What the samples are drawn from: shares of scene families, the data split, and how hard the pictures are spoilt."""

    families: Mapping[str, float]
    split: str
    severity: float
    seed: int
    noise: float = 0.0  # share of wrong tokens in what readings go on from


class BatchStream(IterableDataset):
    def __init__(
        self,
        mix: SceneMix,
        config: KimiVLConfig,
        budget: Budget,
        checkpoint: Path,
        data: Path | None,
        *,
        rank: int = 0,
        first_batch: int = 0,
    ) -> None:
        self.mix, self.config, self.budget = mix, config, budget
        self.checkpoint, self.data = checkpoint, data
        self.rank, self.first_batch = rank, first_batch
        self.noise: Noise | None = None
        self.failures = 0  # scenes that this process could not draw

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        step, offset = (worker.num_workers, worker.id) if worker else (1, 0)
        pack_of_data = DataPack.load(self.data) if self.data else DataPack.builtin()
        tokenizer = Tokenizer.from_files(self.checkpoint / "tiktoken.model", self.checkpoint / "tokenizer_config.json")
        encoder = SampleEncoder(tokenizer)
        self.noise = Noise(tokenizer, self.mix.noise) if self.mix.noise else None
        number = self.first_batch + offset
        while True:
            yield pack(self._samples(number, encoder, pack_of_data), self.config, self.budget)[0]
            number += step

    def _samples(self, batch: int, encoder: SampleEncoder, data: DataPack) -> Iterator[Sample]:
        names = list(self.mix.families)
        shares = np.array([self.mix.families[name] for name in names], dtype=np.float64)
        # The families of a batch are drawn by share of samples, from a generator of the batch's own.
        rng = np.random.default_rng([self.mix.seed, self.rank, batch])
        first_index = (self.rank << 48) + batch * SAMPLES_PER_BATCH
        index = first_index
        while True:
            family = names[rng.choice(len(names), p=shares / shares.sum())]
            scene = self._scene(family, index, data)
            index += 1
            if scene is None:
                continue
            sample = encoder.encode(scene, self.budget.max_tokens)
            if sample is not None and max((h * w for h, w in sample.grid_hws), default=0) <= self.budget.max_patches:
                yield sample if self.noise is None else self.noise(sample, rng)

    def _scene(self, family: str, index: int, data: DataPack) -> Scene | None:
        """None for one that could not be drawn: a mistake of the renderer, met once in millions of scenes, must not end a long run."""
        try:
            return render(family, self.mix.split, self.mix.seed, index, data, severity=self.mix.severity)
        except InputError:
            raise  # an unknown family or split
        except Exception as error:
            self.failures += 1
            if self.failures > MAX_FAILURES:
                raise
            where = f"scene {index} of {family}, split {self.mix.split}, seed {self.mix.seed}"
            warnings.warn(f"{where} is left out: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)
            return None


def _quiet_worker(_: int) -> None:
    torch.set_num_threads(1)


def batches(stream: BatchStream, *, workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Iterate a stream through worker processes, in order; with workers=0 in this process."""
    if workers == 0:
        return iter(stream)
    loader = DataLoader(
        stream, batch_size=None, num_workers=workers, prefetch_factor=2, pin_memory=pin_memory, worker_init_fn=_quiet_worker
    )
    return iter(loader)


class HeldOut(Dataset[Batch]):
    """The first batch of each of several streams, rendered by one process of its own while training has begun: with twenty families that
    takes a GPU machine's core a minute."""

    def __init__(self, streams: Mapping[str, BatchStream], *, workers: int) -> None:
        self.streams = streams
        self._ready: dict[str, Batch] = {}
        prefetch = len(streams) if workers else None
        loader = DataLoader(self, batch_size=None, num_workers=min(1, workers), prefetch_factor=prefetch, worker_init_fn=_quiet_worker)
        self._coming = iter(loader)

    def __len__(self) -> int:
        return len(self.streams)

    def __getitem__(self, number: int) -> Batch:
        return next(iter(list(self.streams.values())[number]))

    def batches(self) -> Mapping[str, Batch]:
        """By family; waits for what is not there yet."""
        for family in list(self.streams)[len(self._ready) :]:
            self._ready[family] = next(self._coming)
        return self._ready

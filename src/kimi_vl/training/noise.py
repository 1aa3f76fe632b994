"""Wrong tokens in what a reading goes on from, while what is to be said next stays right.

Training reads with everything before it right; alone, one mistake is followed by others, and a line that begins like another is read for
ever. So some tokens are replaced by others of the same reading, and now and then a whole line by the line before it: the picture has to say
where to go on.
"""

from dataclasses import replace

import numpy as np

from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.packing import TASKS, Sample

READ = TASKS.index("read")
REPEATED = 0.25  # of the readings of several lines have a line that is the one before it


class Noise:
    """Spoils `share` of a reading's tokens."""

    def __init__(self, tokenizer: Tokenizer, share: float) -> None:
        self.share = share
        self._ends_line_W = np.array([b"\n" in tokenizer.decode_bytes([token]) for token in range(tokenizer.vocab_size)])

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample with other `ids` where it reads; its targets are the right ones, and a line that is overwritten is not learned."""
        ids, weights = sample.ids.copy(), sample.weights.copy()
        for part in self._readings(sample):
            places = sample.predict_at[part] + 1
            said = places[:-1]  # the end token is right
            if len(said) < 2:
                continue
            wrong = said[rng.random(len(said)) < self.share]
            ids[wrong] = sample.ids[rng.choice(said, len(wrong))]
            if rng.random() < REPEATED:
                weights[part] *= self._repeat(ids, sample.ids, said, rng, len(places))
        return replace(sample, ids=ids, weights=weights)

    def _readings(self, sample: Sample) -> list[np.ndarray]:
        """For each turn that reads, which of the supervised tokens are its own: predictions of one turn follow one another."""
        turns = np.split(np.arange(len(sample.predict_at)), np.flatnonzero(np.diff(sample.predict_at) > 1) + 1)
        return [turn for turn in turns if sample.tasks[turn[0]] == READ]

    def _repeat(self, ids: np.ndarray, right: np.ndarray, said: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
        """Write the line before over a line, as far as it goes. Returns what the weights of the reading are multiplied with."""
        kept = np.ones(count, dtype=np.float32)
        lines = np.split(said, np.flatnonzero(self._ends_line_W[right[said]]) + 1)
        lines = [line for line in lines if len(line)]
        if len(lines) < 3:
            return kept
        k = int(rng.integers(1, len(lines) - 1))  # another line follows, which the picture has to tell
        before, line = lines[k - 1][:-1], lines[k][:-1]
        length = min(len(before), len(line))
        ids[line[:length]] = right[before[:length]]
        kept[np.searchsorted(said, line)] = 0.0
        return kept

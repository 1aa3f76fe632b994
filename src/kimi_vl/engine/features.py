"""Features of pictures that may be asked about again, or are going to be."""

from __future__ import annotations

from collections import Counter, OrderedDict

import torch


class FeatureCache:
    """Image features [M, D] by digest: at most `capacity` tokens of them, and of those that nobody holds `kept`, the longest unused leaving
    first."""

    def __init__(self, capacity: int, kept: int | None = None) -> None:
        self.capacity, self.kept = capacity, capacity if kept is None else kept
        self.num_tokens = 0
        self.num_held = 0  # tokens of those that are held
        self._features: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        self._holds: Counter[bytes] = Counter()

    def get(self, digest: bytes) -> torch.Tensor | None:
        if digest in self._features:
            self._features.move_to_end(digest)
        return self._features.get(digest)

    def put(self, digest: bytes, features_MD: torch.Tensor) -> None:
        """Keep these, at the cost of others that nobody holds; if these are too many, they are not kept."""
        count, room = features_MD.shape[0], self.capacity - self.num_held
        if digest in self._features or count > (room if digest in self._holds else min(room, self.kept)):
            return
        self._features[digest] = features_MD
        self.num_tokens += count
        self.num_held += count if digest in self._holds else 0
        self._make_room()

    def hold(self, digest: bytes) -> None:
        """Let these stay, once they are here, until they are released as often as they were held."""
        self._holds[digest] += 1
        if self._holds[digest] == 1:
            self.num_held += self._count(digest)

    def is_held(self, digest: bytes) -> bool:
        return digest in self._holds

    def release(self, digest: bytes) -> None:
        """Take back one `hold`."""
        self._holds[digest] -= 1
        if not self._holds[digest]:
            del self._holds[digest]
            self.num_held -= self._count(digest)
            self._make_room()

    def _count(self, digest: bytes) -> int:
        return self._features[digest].shape[0] if digest in self._features else 0

    def _make_room(self) -> None:
        while self.num_tokens > self.capacity or self.num_tokens - self.num_held > self.kept:
            longest_unused = next(digest for digest in self._features if digest not in self._holds)
            self.num_tokens -= self._features.pop(longest_unused).shape[0]

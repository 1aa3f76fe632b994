"""What a training run needs to go on after it was stopped: tensors and progress, whole or absent, never pickled.

A state is two files. The tensors come first, synced and renamed; then a small JSON with their SHA-256, which makes the state exist. The
newest two are kept, so a damaged one leaves the one before.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import safetensors.torch
import torch

from kimi_vl.errors import CheckpointError, ConfigError

KEPT = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: stages that are over, the one in progress and its steps done, and what it is made of."""

    finished: tuple[str, ...] = ()
    stage: str = ""
    stage_step: int = 0
    stage_settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    world_size: int = 1

    def check_unchanged(self, settings: dict[str, Any], world_size: int) -> None:
        """Refuse to go on with a stage under other settings. Raises: ConfigError listing what differs."""
        old, new = {**self.stage_settings, "world_size": self.world_size}, {**settings, "world_size": world_size}
        changed = [f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in sorted(old | new) if old.get(key) != new.get(key)]
        if changed:
            raise ConfigError(f"stage {self.stage} was begun with other settings ({'; '.join(changed)}); restore them, or pass --force")


class StateFolder:
    """The states of one run. As a context manager it holds a lock, so that two runs cannot write one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        """Raises: ConfigError if another process trains into this folder."""
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ConfigError(f"{self.folder} is in use by another training run; give this one a folder of its own") from None
        for leftover in self.folder.glob("*.part"):
            leftover.unlink()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.close()

    def save(self, step: int, tensors: dict[str, torch.Tensor], progress: Progress) -> None:
        """Write a state that exists once the last rename is done; then drop all but the newest two.

        Raises: OSError where it cannot be written; the states before stay as they are.
        """
        data, record = self._paths(step)
        content = safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
        _write_whole(data, content)
        digest = hashlib.sha256(content).hexdigest()
        _write_whole(record, json.dumps({"step": step, "sha256": digest, **dataclasses.asdict(progress)}).encode())
        for old in self._steps()[:-KEPT]:
            for path in reversed(self._paths(old)):
                path.unlink()

    def newest(self) -> tuple[dict[str, torch.Tensor], Progress] | None:
        """The newest state whose checksum holds, or None where there has never been one.

        Raises: CheckpointError where every state is damaged: starting over silently would throw a run away.
        """
        steps = self._steps()
        for step in reversed(steps):
            data, record = self._paths(step)
            values = json.loads(record.read_text(encoding="utf-8"))
            content = data.read_bytes() if data.exists() else b""
            if hashlib.sha256(content).hexdigest() == values["sha256"]:
                values["finished"] = tuple(values["finished"])
                fields = {f.name: values[f.name] for f in dataclasses.fields(Progress)}
                return safetensors.torch.load(content), Progress(**fields)
            logger.warning("event=state_damaged step=%d path=%s", step, data)
        if steps:
            raise CheckpointError(f"{self.folder} holds {len(steps)} states and all are damaged; remove them to start over")
        return None

    def _steps(self) -> list[int]:
        return sorted(int(path.stem.removeprefix("state-")) for path in self.folder.glob("state-*.json"))

    def _paths(self, step: int) -> tuple[Path, Path]:
        return self.folder / f"state-{step:09d}.safetensors", self.folder / f"state-{step:09d}.json"


def _write_whole(path: Path, content: bytes) -> None:
    """Raises: OSError, with nothing left behind, e.g. when the disk is full."""
    part = path.with_suffix(path.suffix + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

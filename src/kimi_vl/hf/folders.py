"""From what transformers' `from_pretrained` is given to a folder on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kimi_vl.checkpoint.locate import DOWNLOADED, locate_checkpoint

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")


def folder_of(name: str | os.PathLike, hub: Mapping[str, Any]) -> Path:
    """A folder as it is, whatever it holds, or that of a hub id. Raises: CheckpointError, and huggingface_hub's errors."""
    if Path(name).is_dir():
        return Path(name) / (hub.get("subfolder") or "")
    options = {key: value for key, value in hub.items() if value and key != "subfolder" and (key, value) != ("revision", "main")}
    if not options:
        return locate_checkpoint(str(name)) / (hub.get("subfolder") or "")
    import huggingface_hub  # costs 0.3 s that a folder need not pay

    return Path(huggingface_hub.snapshot_download(str(name), allow_patterns=DOWNLOADED, **options)) / (hub.get("subfolder") or "")

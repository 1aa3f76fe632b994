"""From what transformers' `from_pretrained` is given to a folder on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kimi_vl.checkpoint.locate import DOWNLOADED, locate_checkpoint

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")


def folder_of(name: str | os.PathLike, hub: Mapping[str, Any]) -> Path:
    """The folder of a path, or of a hub id with these options. Raises: CheckpointError, and huggingface_hub's own errors."""
    options = {key: value for key, value in hub.items() if value and key != "subfolder" and (key, value) != ("revision", "main")}
    subfolder = hub.get("subfolder") or ""
    if options and not Path(name).exists():
        import huggingface_hub  # costs 0.3 s that a folder need not pay

        return Path(huggingface_hub.snapshot_download(str(name), allow_patterns=DOWNLOADED, **options)) / subfolder
    return locate_checkpoint(Path(name) / subfolder if Path(name).exists() else str(name))

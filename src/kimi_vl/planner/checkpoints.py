"""Which checkpoint is planned for: its configuration, without its weights."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from kimi_vl.bench.engine import PICTURES, official_config
from kimi_vl.checkpoint import CheckpointReader, locate_checkpoint
from kimi_vl.checkpoint.load import check_tensors
from kimi_vl.checkpoint.locate import NANO, locate_facts
from kimi_vl.checkpoint.reader import INDEX_FILE
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import InputError
from kimi_vl.processor.image import ImageProcessor, ImageProcessorConfig

# The official variants differ in their weights and in how large a picture they see (MODEL_SPEC §1.5): patches before the merge.
OFFICIAL = "moonshotai/Kimi-VL-A3B-"
VARIANTS = {"instruct": 4096, "thinking": 4096, "2506": 16_384}
NAMES = {"instruct": "Instruct", "thinking": "Thinking", "2506": "Thinking-2506"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is planned for. `folder` has its files, where there are any."""

    name: str
    config: KimiVLConfig
    pictures: ImageProcessor
    folder: Path | None = None


def facts_of(model: str | Path | None) -> Facts:
    """Of a variant ("instruct", "thinking", "2506", "nano"), an official hub id (neither needs the network), a folder, or another hub id.

    A folder needs a config.json and a preprocessor_config.json; weights that lie there must be whole, those of this configuration.
    Raises: InputError, CheckpointError, ConfigError.
    """
    name = "2506" if model is None else str(model)
    if not name.strip():
        raise InputError(f"the model's name is empty; variants are {', '.join([NANO, *VARIANTS])}, and a folder or a hub id is one too")
    spellings = {text.lower(): v for v in VARIANTS for text in (v, NAMES[v], (OFFICIAL + NAMES[v]).split("/")[1], OFFICIAL + NAMES[v])}
    variant = spellings.get(name.lower())
    if variant is not None and not Path(name).exists():
        return Facts(OFFICIAL + NAMES[variant], official_config(), ImageProcessor(replace(PICTURES, in_token_limit=VARIANTS[variant])))
    if name != NANO and "/" not in name and not Path(name).expanduser().exists():
        known = [NANO, *VARIANTS]
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"variants are {', '.join(known)}"
        raise InputError(f"{name[:60]!r} is neither a variant nor a folder; {hint}")
    is_here = name == NANO or Path(name).expanduser().exists()
    folder = locate_checkpoint(name) if is_here else locate_facts(name)
    config = KimiVLConfig.from_file(folder / "config.json")
    if is_here and ((folder / INDEX_FILE).exists() or any(folder.glob("*.safetensors*"))):
        with CheckpointReader(folder) as reader:
            check_tensors(config, reader)
    processor = ImageProcessor(ImageProcessorConfig.from_file(folder / "preprocessor_config.json"))
    return Facts(name, config, processor, folder)

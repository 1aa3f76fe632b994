"""Find, stream, verify, quantise and save weights. Knows files and official tensor names; runs no model and no code from a checkpoint."""

from kimi_vl.checkpoint.layout import TensorSpec, checkpoint_layout
from kimi_vl.checkpoint.load import load_model, load_weights
from kimi_vl.checkpoint.locate import locate_checkpoint
from kimi_vl.checkpoint.memory import available_memory, check_memory, estimate_bytes
from kimi_vl.checkpoint.reader import CheckpointReader
from kimi_vl.checkpoint.save import save_checkpoint

__all__ = [
    "CheckpointReader",
    "TensorSpec",
    "available_memory",
    "check_memory",
    "checkpoint_layout",
    "estimate_bytes",
    "load_model",
    "load_weights",
    "locate_checkpoint",
    "save_checkpoint",
]

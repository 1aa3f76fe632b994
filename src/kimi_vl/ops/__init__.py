"""What each operation means: a contract and a plain PyTorch reference, and beside it the faster ways to compute the same thing.

Operations take tensors and numbers; they know no modules, no configuration and no requests. Which implementation runs is decided
once, when a model is loaded (`select`), and passed down as an `Operations` value; nothing dispatches in the middle of a forward.
"""

from kimi_vl.ops.norm import rms_norm
from kimi_vl.ops.registry import Operations, explain, select
from kimi_vl.ops.rotary import rotary_angles, rotary_frequencies, rotate_pairs

__all__ = ["Operations", "explain", "rms_norm", "rotary_angles", "rotary_frequencies", "rotate_pairs", "select"]

"""What a reader of one kind of file gives, piece by piece: facts, and pixels where it is a picture.

Readers are plain generators over an open binary file. They run in a confined child process (`media/sandbox`), so what they give must be
small facts that JSON can hold, and pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Part:
    """`facts` are JSON values under short names; `pixels_HWC` is uint8 [H, W, 3] RGB, contiguous, or None where there is no picture."""

    facts: dict[str, Any] = field(default_factory=dict)
    pixels_HWC: np.ndarray | None = None

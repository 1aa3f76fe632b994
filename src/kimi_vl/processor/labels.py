"""What a prompt says before a picture that comes from somewhere: the frame's time or the page's number.

The family's papers publish no convention (MODEL_SPEC §5.7), so this package has one, the same in training, at the command line and in
the server. Answers name times and pages the same way without brackets.
"""

from __future__ import annotations


def format_time(seconds: float) -> str:
    """Tenths of a second: "0:03.5", with hours only where there are any: "1:02:03.5"."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{clock}:{rest // 10:02d}.{rest % 10}"


def time_label(seconds: float) -> str:
    """Before a frame: "[0:03.5]"."""
    return f"[{format_time(seconds)}]"


def speech_line(seconds: float, text: str) -> str:
    """What is said from a moment on, a line of its own between the frames: "[0:03.5] Mind the step.\\n"."""
    return f"{time_label(seconds)} {text}\n"


def page_label(number: int) -> str:
    """Before a page, counted from 1: "[page 3]"."""
    return f"[page {number}]"

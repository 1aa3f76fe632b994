"""Kimi-VL, written from scratch: ask documents and pictures questions. `from kimi_vl import KimiVL`."""

from importlib import import_module

TYPE_CHECKING = False  # what type checkers take for True; importing it from typing would double the time of importing this package
if TYPE_CHECKING:
    from kimi_vl.errors import KimiVLError
    from kimi_vl.llm import Answer, AsyncKimiVL, KimiVL, Piece, Usage
    from kimi_vl.processor.grammar import Grammar

__version__ = "0.1.0"

# Public names and the modules that define them, imported on first use: torch alone takes over a second.
_HOMES = {
    "Answer": "kimi_vl.llm",
    "AsyncKimiVL": "kimi_vl.llm",
    "Grammar": "kimi_vl.processor.grammar",
    "KimiVL": "kimi_vl.llm",
    "KimiVLError": "kimi_vl.errors",
    "Piece": "kimi_vl.llm",
    "Usage": "kimi_vl.llm",
}

__all__ = ["Answer", "AsyncKimiVL", "Grammar", "KimiVL", "KimiVLError", "Piece", "Usage", "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'kimi_vl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

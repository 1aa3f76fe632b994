"""`--draw`: what an answer points at, as pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_vl.cli.console import Console
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    from kimi_vl.processor.findings import Findings
    from kimi_vl.processor.views import Sight

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def check_drawing(path: str | None, files: list[str]) -> None:
    """Raises: InputError for a file that could not be written, or where there is no picture to draw on."""
    if path is None:
        return
    check_target(path)
    if not files:
        raise InputError("draw needs a picture or document that the question is about")


def check_target(path: str) -> None:
    """Raises: InputError for a file that could not be written, or is called as no picture is."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"draw is {path!r}; it must be the name of a picture, ending in {', '.join(SUFFIXES)}")
    folder = Path(path).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"draw is {path!r}; {folder} is no folder that can be written to")


def draw(path: str, sight: Sight | None, found: Findings, console: Console) -> None:
    """Write each picture that the answer points at, numbered from the second on. Raises: InputError where it points at nothing."""
    from kimi_vl.processor.findings import drawn

    first, count = Path(path), 0
    for view, picture in drawn(sight, found) if sight else ():
        count += 1
        target = first if count == 1 else first.with_stem(f"{first.stem}-{count}")
        try:
            picture.save(target)
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from None
        console.note(f"drawn: {target}, {view.name}{f', page {view.page}' if view.page else ''}")
    if not count:
        raise InputError(f'the answer points at nothing, so {path} was not written; ask for a box, e.g. "Give the box of the red circle."')

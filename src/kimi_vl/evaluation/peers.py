"""Other programs on the same pictures: optical character recognition, with a fixed parser where a question is asked.

They read; what they read answers "What is the total?" through the rules below, written once, knowing the labels that occur, and
published here. So the result is what such a pipeline can reach at best, and questions that need more are not put to it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from kimi_vl.errors import InputError
from kimi_vl.evaluation.metrics import AMOUNT, collapse
from kimi_vl.evaluation.reading import find_date, find_total, without_ornaments
from kimi_vl.evaluation.suite import Item, Response

PYTHON = ".venv-peers/bin/python"  # in a clone
TASKS = frozenset({"line", "paragraph", "receipt", "fields", "items"})

_MONEY = rf"(?:USD|EUR|GBP|[$€£])? ?{AMOUNT}(?: ?(?:USD|EUR|GBP|[$€£]))?"
_ARTICLE = re.compile(
    rf"(?:(?:\d{{1,3}} ?x? |- ))?(.*[^\W\d_].*?)(?: ?\(\d+\)| \d+ ?[@x] {_MONEY})?(?: {_MONEY})? ({_MONEY})", re.IGNORECASE
)
_NO_ARTICLE = re.compile(
    r"\b(total|subtotal|sub|net|tax|vat|gst|discount|savings|coupon|balance|amount|due|cash|card|visa|mastercard|debit|credit|change|"
    r"paid|payment|tendered|received|returned|given|owing|goods|sum|pay)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"\b(?:receipt|invoice|order|ticket|ref|document|bill|slip|no|nr|number|trans(?:action)?)\b[.:# ]*(?:(?:no|nr|number|id)\b[.:# ]*)?"
    r"([A-Z0-9][A-Z0-9/-]*\d[A-Z0-9/-]*)",
    re.IGNORECASE,
)


def find_number(text: str) -> str:
    """The first code behind a word such as "Receipt no.", "" without one."""
    match = _NUMBERED.search(text)
    return match[1] if match else ""


def find_items(text: str) -> str:
    """One "name price" a line: every row that ends in an amount and says nothing of totals, taxes or payment."""
    found = []
    for row in text.splitlines():
        match = _ARTICLE.fullmatch(collapse(without_ornaments(row)))
        if match and not _NO_ARTICLE.search(row):
            found.append(f"{match[1].strip()} {match[2].strip()}")
    return "\n".join(found)


FINDERS = {"total": find_total, "date": find_date, "number": find_number}


class Reader(ABC):
    """A peer as a backend: reads each picture once and parses what is asked for from the text."""

    chunk = 1
    tasks: frozenset[str] | None = TASKS
    version = ""

    def __init__(self) -> None:
        self._last: tuple[bytes, bool, str] | None = None

    @abstractmethod
    def read(self, png: Path, line: bool) -> str:
        """The text of a picture, or of one line of it."""

    def close(self) -> None:
        """Forget the last picture; a peer that started something ends it."""
        self._last = None

    def answers(self, items: Sequence[Item]) -> list[Response]:
        return [self._answer(item) for item in items]

    def _answer(self, item: Item) -> Response:
        started = time.perf_counter()
        text = self._text(item)
        if item.task == "items":
            text = find_items(text)
        elif item.task == "fields":
            text = FINDERS[item.tag](text)
        return Response(text, seconds=time.perf_counter() - started)

    def _text(self, item: Item) -> str:
        """What the item's picture says. Decoded by Pillow and handed over as PNG, so that no tool depends on its own decoders."""
        (page,) = item.pages
        pixels, line = page.image.tobytes(), item.family == "line"
        if self._last is None or self._last[:2] != (pixels, line):
            with tempfile.TemporaryDirectory(prefix="kimi-vl-") as folder:
                png = Path(folder) / "picture.png"
                Image.fromarray(page.image).save(png, compress_level=1)
                self._last = (pixels, line, self.read(png, line))
        return self._last[2]


class Tesseract(Reader):
    """`--psm 7` for lines and 6 (one block) for everything else. Raises: InputError where it is not installed."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        program = shutil.which("tesseract")
        if program is None:
            raise InputError("tesseract is not installed: apt-get install tesseract-ocr")
        self._program, self._limited = program, {"OMP_THREAD_LIMIT": str(threads), "PATH": os.defpath}
        about = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        self.version = about.stdout.split()[1]

    def read(self, png: Path, line: bool) -> str:
        command = [self._program, str(png), "-", "--psm", "7" if line else "6"]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=self._limited).stdout


class RapidOCR(Reader):
    """Its defaults, in a Python of its own, behind `benchmarks/peers.py` of the clone at `root`.

    Raises: InputError where that is not installed.
    """

    def __init__(self, root: Path, threads: int) -> None:
        super().__init__()
        python, worker = root / PYTHON, root / "benchmarks/peers.py"
        install = "python -m venv .venv-peers && .venv-peers/bin/pip install rapidocr onnxruntime"
        if not (python.exists() and worker.exists()):
            raise InputError(f"{python} does not exist; in a clone of the repository run: {install}")
        self._peer = subprocess.Popen([python, worker, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._peer.stdin is not None
        assert self._peer.stdout is not None
        self._asking, self._replies = self._peer.stdin, self._peer.stdout
        greeting = self._replies.readline()
        if not greeting:
            raise InputError(f"{python} cannot run RapidOCR; its complaint is above, and this installs it: {install}")
        self.version = json.loads(greeting)["versions"]["rapidocr"]

    def read(self, png: Path, line: bool) -> str:
        self._asking.write(json.dumps({"path": str(png), "line": line}) + "\n")
        self._asking.flush()
        return json.loads(self._replies.readline())["text"]

    def close(self) -> None:
        self._peer.__exit__(None, None, None)  # closes the pipes, at which the worker ends, and waits for it

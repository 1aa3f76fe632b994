"""Running `kimi-vl` inside the test process, with a model of the test's choice."""

from __future__ import annotations

import io
from dataclasses import dataclass

from kimi_vl.cli.console import printable
from kimi_vl.cli.main import main
from kimi_vl.llm import KimiVL


@dataclass
class Result:
    code: int
    out: str
    err: str


class Terminal:
    """`kimi-vl` with captured streams. `llm`, when set, is what KimiVL.load gives whatever it is asked for."""

    def __init__(self, monkeypatch, capsys) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("NO_COLOR", "1")

    def use(self, llm: KimiVL) -> KimiVL:
        self._monkeypatch.setattr(KimiVL, "load", lambda *args, **options: llm)
        return llm

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        if stdin is not None:
            self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(arguments)
        out, err = self._capsys.readouterr()
        return Result(code, out, err)


def printed(text: str) -> str:
    """How an answer looks on stdout."""
    return printable(text) + "\n"


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

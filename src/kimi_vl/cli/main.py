"""`kimi-vl`: finds the command, runs it, and turns whatever happens into one line and an exit code.

    0    done                      70   internal error: a bug of ours, worth a report
    2    a wrong argument, file or checkpoint, or a machine too small; stderr says what would be right
    130  stopped with Ctrl-C       141  the reader of stdout went away

A command is a module with `add_arguments(parser)` and `run(args, console) -> int`. Only the module of the command asked for is imported,
and heavy imports sit inside its functions, so that `--help` takes little longer than Python itself.
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from kimi_vl import __version__
from kimi_vl.cli.console import Console
from kimi_vl.errors import InputError, KimiVLError

COMMANDS = {
    "ask": "ask a question about pictures and documents",
    "chat": "talk about pictures and documents in the terminal",
    "serve": "answer over HTTP: OpenAI's interface, and a page for the browser",
    "eval": "measure how well a checkpoint reads, answers, points and refuses",
    "plan": "say what fits on which GPU, Mac or CPU, and how fast",
    "bench": "measure how fast this machine is, beside its limit",
    "doctor": "show what is installed, what this machine can run, and what is missing",
}


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument as every other error: one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; `{self.prog} --help` lists the arguments")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):  # a Latin-1 terminal shows \u20ac for €, and the answer goes on
            stream.reconfigure(errors=errors)
    if sys.platform == "linux":
        # What torch holds on a GPU between tensors of changing sizes was 0.8 to 1.4 GB beside 7 to 8 without it. Read when torch begins.
        os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    console = Console(sys.stdout, sys.stderr, color=not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")
    debug = "--debug" in arguments
    try:
        code = _run(arguments, console)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _abandon_stdout()
        return 141
    except (KimiVLError, MemoryError, OSError) as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError):
            _abandon_stdout()
        console.error(str(error) or "this machine has too little memory for that; pass fewer or smaller files, or lower --max-tokens")
        return 2
    except Exception as error:  # noqa: BLE001 - the outermost boundary: nobody above could handle it, and a user gets no traceback
        if debug:
            traceback.print_exc()
        hint = "please report it" if debug else "please report it with what the same command prints under --debug"
        console.error(f"internal error, {type(error).__name__}: {error}; {hint}")
        return 70


def _run(arguments: list[str], console: Console) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help", "help"):
        console.line(_overview())
        return 0
    if name == "--version":
        console.line(f"kimi-vl {__version__}")
        return 0
    if name not in COMMANDS:
        raise InputError(_unknown(name))
    command = import_module(f"kimi_vl.cli.{name}")
    parser = Parser(prog=f"kimi-vl {name}", description=COMMANDS[name].capitalize() + ".", allow_abbrev=False)
    command.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    try:
        args = parser.parse_intermixed_args(rest)
    except SystemExit:  # --help has printed
        return 0
    return command.run(args, console)


def _overview() -> str:
    commands = "\n".join(f"  {name:8} {text}" for name, text in COMMANDS.items())
    return (
        "usage: kimi-vl COMMAND ...\n\nAsk documents and pictures questions with Kimi-VL.\n\n"
        f"{commands}\n\n`kimi-vl COMMAND --help` lists a command's arguments; `kimi-vl --version` prints the version."
    )


def _unknown(name: str) -> str:
    if os.path.exists(name):
        return f'{name} is a file, not a command; write: kimi-vl ask {name} "your question"'
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `kimi-vl {near[0]}`?" if near else f"there are {', '.join(COMMANDS)}"
    return f"there is no command {name!r}; {hint}"


def _abandon_stdout() -> None:
    """Point stdout to nowhere, so that the interpreter's flush at exit does not complain a second time."""
    try:
        descriptor = sys.stdout.fileno()
    except io.UnsupportedOperation:  # a stream without a file behind it has nothing to flush to
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())

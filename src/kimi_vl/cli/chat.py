"""`kimi-vl chat [FILE...]`: a conversation in the terminal."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console
from kimi_vl.cli.options import (
    add_model_arguments,
    add_sampling_arguments,
    expect_pictures,
    explain_length,
    load_pictures,
    open_model,
    sampling_options,
)
from kimi_vl.errors import InputError, KimiVLError, PromptTooLong

if TYPE_CHECKING:
    from kimi_vl.llm import KimiVL
    from kimi_vl.media import Frames

HELP = """\
/image FILE   show the model a picture along with the next question
/clear        forget the conversation and its pictures
/help         this list
/quit         leave; so does Ctrl-D. Ctrl-C stops an answer"""

COMMANDS = ("/image", "/clear", "/help", "/quit")
HISTORY_LINES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"{parser.prog} [FILE ...] [options]"
    parser.add_argument("files", nargs="*", metavar="FILE", help="pictures that the first question is about")
    add_sampling_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Talk until the user leaves. Raises: KimiVLError for arguments, files and models; later errors end a turn, not the conversation.

    Returns 0; without a terminal, where nobody sees the errors go by, 2 if a turn has failed.
    """
    expect_pictures(args.files)
    options = sampling_options(args)
    pictures = load_pictures(args.files)
    chat = Chat(open_model(args, console), console, options, pictures)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        for line in sys.stdin:
            if not chat.take(line):
                break
        return 2 if chat.has_failed else 0
    history = History(history_path(), console)
    console.note("/help lists the commands, Ctrl-D leaves")
    interrupted = False
    while True:
        try:
            if interrupted:  # said in here, where another Ctrl-C is caught as well
                console.line()
                console.note("Ctrl-D leaves")
            interrupted = False
            if not chat.take(input("> ")):
                break
        except KeyboardInterrupt:
            interrupted = True
        except EOFError:
            console.line()
            break
    history.save()
    return 0


class Chat:
    """The conversation so far: finished turns, and the pictures that wait for the next question."""

    def __init__(self, llm: KimiVL, console: Console, options: dict[str, Any], pictures: list[Frames]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.pictures = pictures
        self.has_failed = False
        self._llm, self._console, self._options = llm, console, options

    def take(self, line: str) -> bool:
        """Do what a line says, a command or a question. False when it was the last one."""
        line = line.strip()
        try:
            if line.startswith("/"):
                return self._command(*line.split(maxsplit=1))
            if line:
                self._ask(line)
        except PromptTooLong as error:
            self._fail(f"the conversation is full: {error}, or start over with /clear")
        except KimiVLError as error:
            self._fail(str(error))
        return True

    def _fail(self, message: str) -> None:
        self.has_failed = True
        self._console.end_answer()
        self._console.error(message)

    def _command(self, name: str, argument: str = "") -> bool:
        if name == "/image":
            self._add_image(argument)
        elif name == "/clear":
            self.messages, self.pictures = [], []
            self._console.note("forgotten")
        elif name == "/help":
            self._console.line(HELP)
        elif name != "/quit":
            near = difflib.get_close_matches(name, COMMANDS, n=1) or ["/help"]
            raise InputError(f"there is no command {name}; did you mean {near[0]}?")
        return name != "/quit"

    def _add_image(self, argument: str) -> None:
        path = argument.strip("'\"")
        if not path:
            raise InputError("/image needs a file name, such as /image receipt.png")
        [frames] = load_pictures([os.path.expanduser(path)])
        self.pictures.append(frames)
        image, count = frames[0][1], f", {len(frames)} frames" if len(frames) > 1 else ""
        self._console.note(f"{path}, {image.width}×{image.height} pixels{count}, goes with the next question")

    def _ask(self, question: str) -> None:
        """One turn. It becomes part of the conversation once there is some answer, also one that Ctrl-C cut short."""
        from kimi_vl.llm import content_parts

        content = [*(part for frames in self.pictures for part in content_parts(frames)), {"type": "text", "text": question}]
        message = {"role": "user", "content": content}
        answer: list[str] = []
        try:
            stream = self._llm.stream_chat([*self.messages, message], **self._options)
            for piece in stream:
                self._console.piece(piece.kind, piece.text)
                if piece.kind == "text":
                    answer.append(piece.text)
            self._console.end_answer()
            explain_length(stream.answer, self._console)
        except KeyboardInterrupt:
            self._console.end_answer()
            self._console.note("stopped")
        if answer:
            self.messages += [message, {"role": "assistant", "content": "".join(answer)}]
            self.pictures = []


def history_path() -> Path:
    """Where earlier lines are kept, by the XDG rules for state."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state") / "kimi-vl" / "history"


class History:
    """The lines typed in earlier conversations, behind the arrow keys. Trouble with the file is told once and costs only the history."""

    def __init__(self, path: Path, console: Console) -> None:
        self._path, self._console = path, console
        self._is_usable = False
        try:
            import readline
        except ImportError:  # Python can be built without it
            return
        self._readline = readline
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            readline.read_history_file(path)
            readline.set_history_length(HISTORY_LINES)
            self._is_usable = True
        except OSError as error:
            console.note(f"lines are not remembered: {path}: {error.strerror}")

    def save(self) -> None:
        if not self._is_usable:
            return
        try:
            self._readline.write_history_file(self._path)
        except OSError as error:
            self._console.note(f"lines could not be saved: {self._path}: {error.strerror}")

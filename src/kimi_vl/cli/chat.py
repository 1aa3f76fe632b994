"""`kimi-vl chat [FILE...]`: a conversation in the terminal."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console
from kimi_vl.cli.options import (
    add_media_arguments,
    add_model_arguments,
    add_sampling_arguments,
    expect_files,
    explain_length,
    media_options,
    open_files,
    open_model,
    sampling_options,
    tell_citations,
    tell_looked,
)
from kimi_vl.errors import InputError, KimiVLError, PromptTooLong

if TYPE_CHECKING:
    from kimi_vl.llm import KimiVL
    from kimi_vl.media import Medium
    from kimi_vl.processor.findings import Findings
    from kimi_vl.processor.views import Sight

HELP = """\
/image FILE   show the model a picture, a clip or a PDF along with the next question
/draw FILE    draw what the last answer points at or cites, into this picture file
/clear        forget the conversation and its pictures
/help         this list
/quit         leave; so does Ctrl-D. Ctrl-C stops an answer"""

COMMANDS = ("/image", "/draw", "/clear", "/help", "/quit")
HISTORY_LINES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"{parser.prog} [FILE ...] [options]"
    parser.add_argument("files", nargs="*", metavar="FILE", help="pictures, clips and PDFs that the first question is about")
    add_media_arguments(parser)
    add_sampling_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Talk until the user leaves. Raises: KimiVLError for arguments, files and models; later errors end a turn, not the conversation.

    Returns 0; without a terminal, where nobody sees the errors go by, 2 if a turn has failed.
    """
    expect_files(args.files)
    looking, options = media_options(args), sampling_options(args)
    media = open_files(args.files, args, looking)
    try:
        chat = Chat(open_model(args, console), console, options, media, looking, args.pdf_password)
        with closing(chat):
            return talk(chat, console)
    finally:
        for medium in media:
            medium.close()


def talk(chat: Chat, console: Console) -> int:
    """Take lines until the user leaves, and say how it went, as `run`."""
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
    """The conversation so far: finished turns and what they have seen, and the media that wait for the next question. What has been seen
    stays open, for later answers may point at it too.

    `looking` says what is looked at of the media of the command line; those of /image come later and go by the rules.
    """

    def __init__(
        self,
        llm: KimiVL,
        console: Console,
        options: dict[str, Any],
        media: list[Medium],
        looking: dict[str, Any],
        password: str | None = None,
    ) -> None:
        self.messages: list[Any] = []
        self._sights: list[Sight] = []
        self._last: tuple[Sight, Findings] | None = None
        self.media = media
        self.has_failed = False
        self._llm, self._console, self._options, self._looking, self._password = llm, console, options, looking, password

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
        elif name == "/draw":
            self._draw(argument)
        elif name == "/clear":
            self.messages = []
            self._forget_media()
            self.close()
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
        from kimi_vl.llm import open_media

        [medium] = open_media(os.path.expanduser(path), self._password)
        self.media.append(medium)
        self._console.note(f"{path}, {describe(medium)}, goes with the next question")

    def _ask(self, question: str) -> None:
        """One turn. It becomes part of the conversation once there is some answer, also one that Ctrl-C cut short."""
        sight, message = self._seen(question)
        answer: list[str] = []
        try:
            stream = self._llm.stream_chat([*self.messages, message], **self._options)
            tell_looked(sight, self._console)
            for piece in stream:
                self._console.piece(piece.kind, piece.text)
                if piece.kind == "text":
                    answer.append(piece.text)
            self._console.end_answer()
            explain_length(stream.answer, self._console)
            self._look_up(question, "".join(answer), sight)
        except KeyboardInterrupt:
            self._console.end_answer()
            self._console.note("stopped")
        if answer:
            self.messages += [message, {"role": "assistant", "content": "".join(answer)}]
            if sight is not None:
                self._sights.append(sight)
                self.media.clear()  # the list of the caller, who closes what is left in the end
                self._looking = {}

    def _look_up(self, question: str, answer: str, sight: Sight | None) -> None:
        """Say where in all that this conversation has seen an answer stands, and keep what it points at for /draw."""
        sights = [*self._sights, *([sight] if sight else [])]
        if not sights:
            return
        from kimi_vl.processor.findings import find
        from kimi_vl.processor.views import joined

        seen = joined(sights)
        self._last = seen, find(seen, question, answer)
        tell_citations(self._last[1].citations, self._console)

    def _draw(self, argument: str) -> None:
        from kimi_vl.cli.drawing import check_target, draw

        path = os.path.expanduser(argument.strip("'\""))
        check_target(path)
        if self._last is None:
            raise InputError("/draw needs an answer about a picture, a clip or a PDF")
        draw(path, *self._last, self._console)

    def close(self) -> None:
        """Close what has been seen."""
        for sight in self._sights:
            sight.close()
        self._sights, self._last = [], None

    def _forget_media(self) -> None:
        for medium in self.media:
            medium.close()
        self.media.clear()
        self._looking = {}

    def _seen(self, question: str) -> tuple[Sight | None, Any]:
        """What the question sees of the media that wait for it, and the turn that it is."""
        if not self.media:
            return None, {"role": "user", "content": question}
        thinking = self._options.get("thinking", "auto")
        sight = self._llm.look(question, self.media, before=self.messages, thinking=thinking, **self._looking)
        return sight, sight.message(question)


def describe(medium: Medium) -> str:
    """What a file is, in a few words."""
    from kimi_vl.media.medium import Animation, Document, Scan, Still, Video
    from kimi_vl.processor.labels import format_time

    if isinstance(medium, (Document, Scan)):
        return f"{medium.count:,} pages" if medium.count > 1 else "1 page"
    width, height = medium.image.size if isinstance(medium, Still) else medium.size if isinstance(medium, (Animation, Video)) else (0, 0)
    length = f", {len(medium.moments())} frames" if isinstance(medium, Animation) else ""
    length = f", {format_time(medium.duration)} long" if isinstance(medium, Video) else length
    return f"{width}×{height} pixels{length}"


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

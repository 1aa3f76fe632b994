"""`kimi-vl chat`: with lines from a pipe inside the test process, and once in a real pseudo-terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from kimi_vl.cli import chat
from kimi_vl.cli.chat import History, history_path
from kimi_vl.cli.console import Console
from kimi_vl.cli.options import NOTICE
from tests.cli.terminal import FakeTerminal
from tests.media.clips import clip as video
from tests.media.pdfs import page, pdf, text
from tests.tiny_checkpoint import processor, scripted_llm, tokens_of, write_tiny_checkpoint


def prompt_ids(*messages):
    return processor().prompt([{"role": role, "content": text} for role, text in messages]).input_ids


def talk(terminal, *lines, arguments=()):
    return terminal.run("chat", *arguments, stdin="".join(line + "\n" for line in lines))


def test_each_question_is_answered_with_the_turns_before_it_in_the_prompt(terminal):
    llm = terminal.use(scripted_llm(tokens_of("◁think▷hm◁/think▷", "fine")))
    result = talk(terminal, "one?", "", "two?")
    assert (result.code, result.out) == (0, "fine\nfine\n")
    assert result.err == "thinking: hm\n\n" * 2
    assert llm.model.steps[0] == prompt_ids(("user", "one?"), ("assistant", "fine"), ("user", "two?"))


def test_clear_forgets_the_turns_and_the_pictures(terminal, picture):
    llm = terminal.use(scripted_llm(tokens_of("fine")))
    assert talk(terminal, "one?", f"/image {picture}", "/clear", "two?").code == 0
    assert llm.model.steps[0] == prompt_ids(("user", "two?"))


def test_pictures_of_the_command_line_and_of_image_go_with_the_next_question_and_stay(terminal, picture):
    llm = terminal.use(scripted_llm(tokens_of("fine")))
    pad = processor().tokenizer.special("<|media_pad|>")
    counts = []
    for lines in (["one?"], [f"/image {picture}", "one?"], [f"/image '{picture}'", "one?", "two?"]):
        assert talk(terminal, *lines, arguments=[picture]).code == 0
        counts.append(llm.model.steps[0].count(pad))
    # 90x60 pixels are 12 image tokens.
    assert counts == [12, 24, 24]


def test_image_says_what_it_took(terminal, picture, clip):
    terminal.use(scripted_llm(tokens_of("fine")))
    assert talk(terminal, f"/image {picture}").err == f"{picture}, 90×60 pixels, goes with the next question\n"
    assert talk(terminal, f"/image {clip}").err == f"{clip}, 56×28 pixels, 3 frames, goes with the next question\n"


def test_a_clip_goes_into_the_conversation_with_all_its_frames(terminal, clip):
    llm = terminal.use(scripted_llm(tokens_of("fine")))
    assert talk(terminal, "one?", arguments=[clip]).code == 0
    assert llm.model.steps[0].count(processor().tokenizer.special("<|media_pad|>")) == 3 * 2


def test_a_document_goes_into_the_conversation_with_the_pages_of_its_question_and_is_looked_up(terminal, tmp_path):
    llm = terminal.use(scripted_llm(tokens_of("Bridge Street"), context=3000))
    path = tmp_path / "letter.pdf"
    path.write_bytes(pdf(*(page(text(words, 20, 75, 10), size=(200, 150)) for words in ("Harbour Street", "Bridge Street"))))
    result = talk(terminal, "Where?", "And now?", arguments=[str(path), "--pages", "2"])
    assert (result.code, result.out) == (0, "Bridge Street\nBridge Street\n")
    assert result.err == f'{path}: looked at page 2 of 2: those that were named\n[page 2: "Bridge Street"]\n[page 2: "Bridge Street"]\n'
    picture = {"type": "image", "image": Image.new("RGB", (333, 250))}
    seen = {"role": "user", "content": [{"type": "text", "text": "[page 2]"}, picture, {"type": "text", "text": "Where?"}]}
    turns = [seen, {"role": "assistant", "content": "Bridge Street"}, {"role": "user", "content": "And now?"}]
    assert llm.model.steps[0] == processor().prompt(turns).input_ids
    result = talk(terminal, f"/image {path}", "/clear", f"/image {path}", "/quit")
    assert result.err.startswith(f"{path}, 2 pages, goes with the next question\n")


def test_draw_shows_what_the_last_answer_points_at_in_any_turns_medium(terminal, tmp_path):
    terminal.use(scripted_llm(tokens_of("Bridge Street"), context=3000))
    path, target = tmp_path / "letter.pdf", tmp_path / "out.png"
    path.write_bytes(pdf(page(text("Bridge Street", 20, 75, 10), size=(200, 150))))
    result = talk(terminal, f"/draw {target}", "Where?", "And now?", f"/draw {target}", "/clear", f"/draw {target}", arguments=[str(path)])
    assert result.err.count("/draw needs an answer about a picture, a clip or a PDF") == 2
    assert f"drawn: {target}, {path}, page 1\n" in result.err
    with Image.open(target) as drawn:
        assert drawn.size == (333, 250)
    assert "draw is 'x.txt'" in talk(terminal, "/draw x.txt").err


def test_a_video_waits_for_the_next_question_too(terminal, tmp_path):
    llm = terminal.use(scripted_llm(tokens_of("fine")))
    path = tmp_path / "film.mp4"
    path.write_bytes(video([k / 10 for k in range(20)], rate=10))
    result = talk(terminal, f"/image {path}", "When?", "Why?")
    assert result.err == f"{path}, 96×64 pixels, 0:02.0 long, goes with the next question\n"
    assert llm.model.steps[0].count(processor().tokenizer.special("<|media_pad|>")) == 4 * 12


def test_help_lists_the_commands_and_quit_leaves_without_reading_on(terminal):
    llm = terminal.use(scripted_llm(tokens_of("fine")))
    result = talk(terminal, "/help", "/quit", "never asked")
    assert (result.code, result.out) == (0, chat.HELP + "\n")
    assert all(command in chat.HELP for command in chat.COMMANDS)
    assert llm.model.steps == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/imgae a.png", "there is no command /imgae; did you mean /image?"),
        ("/xyzzy", "there is no command /xyzzy; did you mean /help?"),
        ("/image", "/image needs a file name"),
        ("/image nowhere.png", "nowhere.png does not exist"),
        ("word " * 400, "the conversation is full: the prompt has"),
    ],
)
def test_an_error_ends_the_turn_and_not_the_conversation(line, message, terminal):
    llm = terminal.use(scripted_llm(tokens_of("fine"), context=300))
    result = talk(terminal, line, "two?")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.out == "fine\n"
    assert result.code == 2
    assert llm.model.steps[0] == prompt_ids(("user", "two?"))


def test_a_full_conversation_suggests_clear_and_clear_helps(terminal):
    terminal.use(scripted_llm(tokens_of("fine"), context=60))
    result = talk(terminal, *["what is the total of this receipt?"] * 4, "/clear", "what is the total of this receipt?")
    assert "or start over with /clear" in result.err
    assert result.out.count("fine\n") >= 2
    assert result.out.endswith("fine\n")


def interrupting(after):
    """Says "one two three ..." and is stopped with Ctrl-C at the given token of the first answer only."""
    words = tokens_of("one", " two", " three")
    end = min(processor().tokenizer.end_ids)
    interrupts = iter([True])

    def answer(so_far):
        said = len(so_far) - llm.model.prompt_length
        if said == after and next(interrupts, False):
            raise KeyboardInterrupt
        return words[said] if said < len(words) else end

    llm = scripted_llm(answer)
    return llm


def test_ctrl_c_stops_an_answer_keeps_what_was_said_and_the_conversation_goes_on(terminal):
    llm = terminal.use(interrupting(after=2))
    result = talk(terminal, "count", "again")
    assert (result.code, result.out) == (0, "one two\none two three\n")
    assert result.err == "stopped\n"
    assert llm.model.steps[0] == prompt_ids(("user", "count"), ("assistant", "one two"), ("user", "again"))


def test_ctrl_c_before_the_first_word_drops_the_turn(terminal, picture):
    llm = terminal.use(interrupting(after=0))
    assert talk(terminal, "count", "again", arguments=[picture]).out == "one two three\n"
    tokens = llm.model.steps[0]
    # The picture was not answered about, so it goes with the next question.
    assert tokens.count(processor().tokenizer.special("<|media_pad|>")) == 12
    assert tokens.count(processor().tokenizer.special("<|im_user|>")) == 1


def test_nano_is_introduced_once(terminal):
    terminal.use(scripted_llm(tokens_of("fine"), name="nano"))
    assert talk(terminal, "one?", "two?").err == NOTICE + "\n"


def test_the_history_is_kept_under_the_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_path() == tmp_path / "kimi-vl" / "history"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(history_path()) == "/home/me/.local/state/kimi-vl/history"


def test_a_history_that_cannot_be_written_is_told_once_and_costs_nothing_else(tmp_path):
    (tmp_path / "kimi-vl").write_text("a file where a folder should be")
    err = FakeTerminal()
    history = History(tmp_path / "kimi-vl" / "history", Console(FakeTerminal(), err, color=False))
    history.save()
    assert err.getvalue().count("\n") == 1
    assert "lines are not remembered" in err.getvalue()


def test_the_history_is_private_from_the_start(tmp_path):
    path = tmp_path / "kimi-vl" / "history"
    History(path, Console(FakeTerminal(), FakeTerminal(), color=False))
    assert path.stat().st_mode & 0o077 == 0


class PseudoTerminal:
    """A program in a terminal of its own."""

    def __init__(self, arguments, environment) -> None:
        self.fd, slave = pty.openpty()
        self.process = subprocess.Popen(
            arguments, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True, preexec_fn=_own_terminal
        )
        os.close(slave)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, pattern: str, timeout: float = 40.0) -> None:
        """Read until the pattern has shown since the last wait."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.shown)):
            if not select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"no {pattern!r} in {self.shown!r}")
            self.shown += os.read(self.fd, 65536).decode(errors="replace")
        self.shown = self.shown[found.end() :]

    def press(self, key: str, pattern: str) -> None:
        """Press a key at the prompt until the pattern shows, as a person would.

        CPython's readline forgets a signal that comes after the prompt is printed and before it waits for input, until the next key.
        """
        for _ in range(20):
            self.type(key)
            try:
                return self.wait_for(pattern, timeout=2.0)
            except AssertionError:
                continue
        raise AssertionError(f"no {pattern!r} after twenty times {key!r}; shown: {self.shown!r}")

    def leave(self) -> int:
        """Press Ctrl-D until the program has ended; its exit code."""
        for _ in range(20):
            self.type("\x04")
            try:
                return self.process.wait(2.0)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError("Ctrl-D does not end the program")


def _own_terminal() -> None:
    import fcntl
    import termios

    # A shell without job control starts what goes into the background with SIGINT ignored, and whoever inherits that never hears Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_in_a_terminal_ctrl_c_stops_the_answer_ctrl_d_leaves_and_lines_are_remembered(tmp_path):
    folder = write_tiny_checkpoint(tmp_path / "model", context=100_000, endless=True)
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm", "OMP_NUM_THREADS": "1"}
    program = "import sys; from kimi_vl.cli.main import main; sys.exit(main())"
    flags = ["--model", str(folder), "--max-tokens", "90000", "--seed", "1", "--top-k", "1000"]
    terminal = PseudoTerminal([sys.executable, "-c", program, "chat", *flags], environment)
    try:
        terminal.wait_for("Ctrl-D leaves")
        terminal.wait_for("> ")
        terminal.type("tell me a long story\n")
        terminal.wait_for(r"story\s+\S{3}")
        terminal.type("\x03")
        terminal.wait_for("stopped")
        terminal.wait_for("> ")
        terminal.press("\x03", "Ctrl-D leaves")
        terminal.wait_for("> ")
        assert terminal.leave() == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.fd)
    history = tmp_path / "kimi-vl" / "history"
    assert "tell me a long story" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0

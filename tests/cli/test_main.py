"""The frame around every command: finding it, exit codes, and one line for whatever goes wrong."""

import os
import subprocess
import sys

import pytest

from kimi_vl import __version__
from kimi_vl.cli import main as main_module
from kimi_vl.errors import KimiVLError
from kimi_vl.llm import KimiVL
from tests.cli.terminal import FakeTerminal
from tests.tiny_checkpoint import scripted_llm, tokens_of

PROGRAM = [sys.executable, "-c", "import sys; from kimi_vl.cli.main import main; sys.exit(main())"]


def start(*arguments, **options):
    """Run `kimi-vl` as a process, buffered as a user's would be, and return its exit code and stderr."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**inherited, "OMP_NUM_THREADS": "1", **options.pop("environment", {})}
    done = subprocess.run([*PROGRAM, *arguments], stderr=subprocess.PIPE, text=True, env=environment, **options)
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_names_every_command(arguments, terminal):
    result = terminal.run(*arguments)
    assert result.code == 0
    assert all(f"\n  {name} " in result.out for name in main_module.COMMANDS)
    assert result.err == ""


def test_the_version_is_the_package_s(terminal):
    assert terminal.run("--version").out == f"kimi-vl {__version__}\n"


@pytest.mark.parametrize("command", sorted(main_module.COMMANDS))
def test_every_command_explains_itself(command, terminal):
    result = terminal.run(command, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: kimi-vl {command}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["aks"], "there is no command 'aks'; did you mean `kimi-vl ask`?"),
        (["xyzzy"], "there is no command 'xyzzy'; there are ask, chat, serve, eval, plan, bench, doctor"),
        (["--model"], "there is no command '--model'; there are"),
        ([__file__], "test_main.py is a file, not a command; write: kimi-vl ask"),
        (["ask", "--temprature", "1", "hi"], "unrecognized arguments: --temprature"),
        (["ask", "--temp", "1", "hi"], "unrecognized arguments: --temp"),
        (["ask", "--max-tokens", "many", "hi"], "argument --max-tokens: invalid int value: 'many'"),
        (["chat", "--json"], "unrecognized arguments: --json"),
    ],
)
def test_a_wrong_argument_ends_with_one_line_and_exit_code_2(arguments, message, terminal):
    result = terminal.run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def failing(monkeypatch, error):
    def load(*args, **options):
        raise error

    monkeypatch.setattr(KimiVL, "load", load)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KimiVLError("no such thing\n  a\n  b"), "kimi-vl: no such thing a; b\n"),
        (MemoryError(), "kimi-vl: this machine has too little memory"),
        (PermissionError(13, "Permission denied", "/secret"), "kimi-vl: [Errno 13] Permission denied: '/secret'\n"),
    ],
)
def test_an_expected_error_is_one_line_and_exit_code_2(error, message, terminal, monkeypatch):
    failing(monkeypatch, error)
    result = terminal.run("ask", "hi")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(message)
    assert result.err.count("\n") == 1


def test_an_unexpected_error_asks_for_a_report_and_debug_shows_where(terminal, monkeypatch):
    failing(monkeypatch, ZeroDivisionError("division by zero"))
    result = terminal.run("ask", "hi")
    assert (result.code, result.out) == (70, "")
    assert result.err == (
        "kimi-vl: internal error, ZeroDivisionError: division by zero; please report it with what the same command prints under --debug\n"
    )
    debugged = terminal.run("ask", "hi", "--debug")
    assert debugged.code == 70
    assert "Traceback" in debugged.err
    assert debugged.err.endswith("internal error, ZeroDivisionError: division by zero; please report it\n")


def test_debug_shows_where_an_expected_error_came_from(terminal):
    assert "Traceback" in terminal.run("ask", "nowhere.png", "what?", "--debug").err


def test_ctrl_c_ends_quietly_with_130(terminal, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    result = terminal.run("ask", "hi")
    assert (result.code, result.out, result.err) == (130, "", "")


@pytest.mark.parametrize(
    ("variables", "has_color"), [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_follows_no_color_and_term(variables, has_color, terminal, monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr", FakeTerminal())
    terminal.use(scripted_llm(tokens_of("◁think▷hm◁/think▷yes")))
    terminal.run("ask", "?")
    assert ("\x1b[" in sys.stderr.getvalue()) == has_color


def test_help_imports_nothing_heavy():
    heavy = "sorted({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules))"
    code = f"import sys; from kimi_vl.cli.main import main; main(['ask', '--help']); print({heavy})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("\n[]\n")


def test_a_reader_that_goes_away_ends_the_command_quietly(tiny_folder):
    read_end, write_end = os.pipe()
    os.close(read_end)
    arguments = ["ask", "hi", "--model", str(tiny_folder), "--max-tokens", "5"]
    for more in ([], ["--json"]):
        assert start(*arguments, *more, stdout=write_end) == (141, "")
    os.close(write_end)


def test_a_full_disk_under_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        assert start("--help", stdout=full) == (2, "kimi-vl: [Errno 28] No space left on device\n")


def test_a_terminal_that_is_not_unicode_gets_an_escape_and_not_a_crash():
    code, err = start("ask", "Ä.png", "?", environment={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert (code, err) == (2, "kimi-vl: \\xc4.png does not exist\n")

"""`kimi-vl ask`, from the command line to the last character."""

import json
import shutil

import pytest

from kimi_vl.checkpoint import memory
from kimi_vl.cli import ask
from kimi_vl.cli.main import Parser
from kimi_vl.cli.options import NOTICE
from tests.cli.terminal import printed
from tests.tiny_checkpoint import processor, scripted_llm, tokens_of

THOUGHT = ["◁think▷", "4 + 3 = 7", "◁/think▷", "The total is 7."]


def test_the_answer_goes_to_stdout_and_the_thinking_to_stderr(terminal, picture):
    llm = terminal.use(scripted_llm(tokens_of(*THOUGHT)))
    result = terminal.run("ask", picture, "What is the total?")
    assert (result.code, result.out, result.err) == (0, "The total is 7.\n", "thinking: 4 + 3 = 7\n\n")
    assert llm.model.features_seen == 1


def test_an_animation_is_asked_about_as_a_clip(terminal, clip, picture):
    llm = terminal.use(scripted_llm(tokens_of("Blue.")))
    result = terminal.run("ask", clip, picture, "What comes last?", "--json")
    # Three frames of 56x28 pixels are 2 image tokens each, the picture of 90x60 is 12.
    assert json.loads(result.out)["usage"]["image_tokens"] == 3 * 2 + 12
    assert llm.model.features_seen == 1


def test_json_is_one_document_and_nothing_else(terminal):
    llm = terminal.use(scripted_llm(tokens_of(*THOUGHT)))
    result = terminal.run("ask", "What is the total?", "--json")
    answer = llm.ask("What is the total?")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == {
        "text": "The total is 7.",
        "thinking": "4 + 3 = 7",
        "finish_reason": "stop",
        "usage": {
            "prompt_tokens": answer.usage.prompt_tokens,
            "image_tokens": 0,
            "thinking_tokens": answer.usage.thinking_tokens,
            "answer_tokens": answer.usage.answer_tokens,
            "completion_tokens": answer.usage.completion_tokens,
        },
        "model": "scripted",
        "looked_at": [],
        "citations": [],
        "boxes": [],
        "points": [],
    }


def test_options_may_stand_anywhere_among_files_and_question(terminal, picture):
    terminal.use(scripted_llm(tokens_of("a b c")))
    for arguments in (
        ["--stop", " c", picture, "?"],
        [picture, "--stop", " c", "?"],
        [picture, "?", "--stop", " c"],
        [picture, "--stop= c", "--", "-what?"],
    ):
        assert terminal.run("ask", *arguments).out == "a b\n"


def test_every_sampling_option_reaches_the_model(terminal, monkeypatch):
    llm = terminal.use(scripted_llm(tokens_of("fine")))
    seen = {}
    stream = llm.stream
    monkeypatch.setattr(llm, "stream", lambda question, media, **options: seen.update(options) or stream(question, media, **options))
    flags = "--thinking on --max-thinking-tokens 9 --max-tokens 90 --temperature 0.5 --top-p 0.9 --top-k 40 --min-p 0.1"
    assert terminal.run("ask", "?", *flags.split(), "--seed", "7", "--stop", "x", "--stop", "y").code == 0
    assert seen == {
        "thinking": "on",
        "max_thinking_tokens": 9,
        "max_tokens": 90,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "seed": 7,
        "stop": ["x", "y"],
    }


def test_a_schema_makes_the_answer_a_json_document(terminal, tmp_path):
    terminal.use(scripted_llm(tokens_of("◁think▷4 + 3 = 7◁/think▷", '{"total": 7}')))
    (tmp_path / "s.json").write_text('{"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}')
    result = terminal.run("ask", "What is the total?", "--schema", str(tmp_path / "s.json"))
    assert (result.code, result.out, result.err) == (0, '{"total": 7}\n', "thinking: 4 + 3 = 7\n\n")
    document = json.loads(terminal.run("ask", "What is the total?", "--json", "--schema", str(tmp_path / "s.json")).out)
    assert (json.loads(document["text"]), document["finish_reason"]) == ({"total": 7}, "stop")


def test_the_question_can_come_from_standard_input(terminal, picture):
    llm = terminal.use(scripted_llm(tokens_of("fine")))
    assert terminal.run("ask", "-", stdin="What is\nthe total?\n").code == 0
    assert llm.model.steps[0] == processor().prompt([{"role": "user", "content": "What is\nthe total?"}]).input_ids


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: FILE ... question"),
        (["receipt.png"], "the question is missing: the last argument, receipt.png, is a file"),
        (["a.png", "b.JPG"], "the question is missing: the last argument, b.JPG, is a file"),
        (["notes.cfg"], "the question is missing: the last argument, notes.cfg, is a file"),
        (["folder"], "the question is missing: the last argument, folder, is a file"),
        ([""], "the question is empty"),
        (["-"], "standard input holds no question"),
        (["nowhere.png", "?"], "nowhere.png does not exist"),
        (["folder", "?"], "folder is a directory; pass the picture files in it"),
        (["notes.cfg", "?"], "notes.cfg is a text file, not a picture"),
        (["evil\x1b[31m\nname.png", "?"], "evil[31m name.png does not exist"),
        (["http://127.0.0.1/a.png", "?"], "'http://127.0.0.1/a.png' is not fetched: its host is not on the public internet"),
        (["?", "--schema", "nowhere.json"], "the schema nowhere.json cannot be read: No such file or directory"),
        (["?", "--schema", "folder"], "the schema folder cannot be read: Is a directory"),
        (["?", "--schema", "nu\0l"], "cannot be read"),
        (["?", "--schema", "latin.json"], "the schema latin.json cannot be read: it is no UTF-8 text"),
        (["?", "--schema", "notes.cfg"], "notes.cfg: the schema is no JSON"),
        (["?", "--schema", "typo.json"], "typo.json: the schema has 'requried' at #, which is not supported; did you mean 'required'"),
        (["?", "--schema", "huge.json"], "huge.json: the schema has 131,073 characters; at most 131,072 bytes"),
        (["?", "--quantize", "int4"], "quantize is 'int4'; it must be 'int8' or 'fp8'"),
        (["?", "--temperature", "nan"], "temperature is nan; it must be a number from 0 to 2"),
        (["?", "--top-p", "0"], "top_p is 0, which leaves no token"),
        (["?", "--max-tokens", "0"], "max_tokens is 0; it must be a whole number from 1"),
        (["?", "--seed", "-1"], "seed is -1; it must be a whole number from 0"),
        (["?", "--thinking", "maybe"], "invalid choice: 'maybe'"),
        (["?", "--device", "tpu"], "device is 'tpu'; it must be 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        (["?", "--dtype", "int3", "--model", "TINY"], "dtype is int3; it must be 'auto'"),
        (["?", "--model", "no such thing"], "'no such thing' is neither a folder nor a hub id"),
        (["?", "--model", "folder"], "folder has no config.json, so it is not a checkpoint folder"),
        (["?", "--model", "notes.cfg"], "notes.cfg is a file; pass the folder"),
    ],
)
def test_a_wrong_argument_ends_with_one_line_and_exit_code_2(arguments, message, terminal, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.cfg").write_text("a = 1\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.json").write_bytes(b'{"title": "\xe9"}')
    (tmp_path / "typo.json").write_text('{"requried": ["a"]}')
    (tmp_path / "huge.json").write_text(" " * 10_000_000)
    arguments = [str(tiny_folder) if argument == "TINY" else argument for argument in arguments]
    result = terminal.run("ask", *arguments, stdin="")
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_wrong_files_and_options_are_found_before_the_model_is_loaded(terminal):
    for arguments in (["nowhere.png", "?"], ["?", "--temperature", "9"], ["?", "--schema", "nowhere.json"]):
        result = terminal.run("ask", *arguments, "--model", "no such model")
        assert "no such model" not in result.err
        assert result.code == 2


def test_a_question_may_be_longer_than_any_file_name_or_hold_a_nul(terminal):
    terminal.use(scripted_llm(tokens_of("fine"), context=10_000))
    assert terminal.run("ask", "x" * 5000).out == "fine\n"
    assert terminal.run("ask", "x\0y").out == "fine\n"


def test_control_characters_that_a_model_says_do_not_reach_the_terminal(terminal):
    terminal.use(scripted_llm(tokens_of("◁think▷\x1b[2Jhm◁/think▷", "a\x1b]0;owned\x07b\x9bc")))
    result = terminal.run("ask", "?")
    assert result.out == "a]0;ownedbc\n"
    assert result.err == "thinking: [2Jhm\n\n"


def test_nano_is_introduced_once_and_other_models_are_not(terminal):
    for name, err in (("nano", NOTICE + "\n"), ("other", "")):
        terminal.use(scripted_llm(tokens_of("fine"), name=name))
        result = terminal.run("ask", "?")
        assert (result.out, result.err) == ("fine\n", err)
    assert "--model moonshotai/Kimi-VL-A3B-Thinking-2506" in NOTICE


def test_an_answer_that_was_cut_short_says_so_and_what_would_help(terminal):
    terminal.use(scripted_llm(tokens_of("one two three four five six seven")))
    result = terminal.run("ask", "?", "--max-tokens", "3")
    assert (result.code, result.err) == (0, "the answer was cut after 3 tokens; raise --max-tokens, if the context has room\n")
    result = terminal.run("ask", "?", "--max-tokens", "3", "--thinking", "on")
    assert result.err.endswith("all tokens went into thinking; raise --max-tokens, or set --max-thinking-tokens or --thinking off\n")


def test_a_prompt_beyond_the_context_is_one_line(terminal):
    terminal.use(scripted_llm(tokens_of("fine"), context=50))
    result = terminal.run("ask", "word " * 200)
    assert result.code == 2
    assert "tokens and this model takes 49; shorten the text" in result.err


def test_a_real_checkpoint_answers_the_same_twice_and_with_json(terminal, tiny_folder, picture):
    arguments = ["ask", picture, "What is it?", "--model", str(tiny_folder), "--seed", "3", "--max-tokens", "12"]
    plain, again, document = (terminal.run(*arguments, *more) for more in ([], [], ["--json"]))
    assert plain.code == 0
    assert plain.out.strip()
    assert plain.out == again.out
    assert printed(json.loads(document.out)["text"]) == plain.out


def broken(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "broken")


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def misshape(folder):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["text_config"]["moe_intermediate_size"] *= 2
    path.write_text(json.dumps(values))


def index(weight_map):
    def write(folder):
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return write


def only_pickle(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def unknown_key(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"hidden_size"', '"hiden_size"', 1))


def no_tokenizer(folder):
    (folder / "tiktoken.model").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "model.safetensors"),
        (misshape, "does not match its config.json"),
        (index({"x": "missing-00001.safetensors"}), "missing-00001.safetensors"),
        (index({"x": "../../outside.safetensors"}), "../../outside.safetensors"),
        (only_pickle, "pytorch_model.bin"),
        (unknown_key, "did you mean 'hidden_size'"),
        (no_tokenizer, "tiktoken.model"),
    ],
)
def test_a_broken_checkpoint_ends_with_one_line_and_exit_code_2(damage, message, terminal, tiny_folder, tmp_path):
    folder = broken(tiny_folder, tmp_path)
    damage(folder)
    result = terminal.run("ask", "?", "--model", str(folder))
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_too_little_memory_says_how_much_is_needed_and_what_would_fit(terminal, tiny_folder, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 1000)
    result = terminal.run("ask", "?", "--model", str(tiny_folder))
    assert (result.code, result.out) == (2, "")
    assert "needs" in result.err
    assert "1 kB are free" in result.err


def test_the_flags_are_the_documented_ones():
    parser = Parser()
    ask.add_arguments(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert flags == {
        *("-h", "--help", "--json", "--model", "--device", "--dtype", "--quantize", "--schema", "--thinking", "--max-thinking-tokens"),
        *("--max-tokens", "--temperature", "--top-p", "--top-k", "--min-p", "--seed", "--stop"),
        *("--clip", "--pages", "--frames", "--fps", "--media-tokens", "--pdf-password", "--dry-run", "--draw"),
    }

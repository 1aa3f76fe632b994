"""`kimi-vl ask`, from the command line to the last character."""

import base64
import json
import re
import shutil
from types import SimpleNamespace

import pytest
from PIL import Image

from kimi_vl.checkpoint import memory
from kimi_vl.cli import ask
from kimi_vl.cli.main import Parser
from kimi_vl.cli.options import NOTICE
from kimi_vl.llm import KimiVL
from tests.cli.terminal import printed
from tests.media.clips import clip as video
from tests.media.pdfs import locked, page, pdf, text
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
    assert llm.model.features_seen == 3 + 1  # frames one by one as they are decoded


@pytest.fixture
def film(tmp_path):
    """Two seconds of 96x64 pixels, 8 tokens a frame."""
    path = tmp_path / "film.mp4"
    path.write_bytes(video([k / 10 for k in range(20)], rate=10))
    return str(path)


@pytest.fixture
def letter(tmp_path):
    """Two pages of 200x150 points, 12x9 tokens each."""
    path = tmp_path / "letter.pdf"
    path.write_bytes(pdf(*(page(text(f"The total is {n}{n}{n} pounds", 20, 75, 10), size=(200, 150)) for n in (1, 2))))
    return str(path)


def prompt_of(*parts):
    """What the model gets: pictures as (width, height), texts as they are."""
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": Image.new("RGB", part)} for part in parts
    ]
    return processor().prompt([{"role": "user", "content": content}]).input_ids


def test_a_video_is_asked_about_frame_by_frame(terminal, film):
    llm = terminal.use(scripted_llm(tokens_of("At 0:01.0.")))
    result = terminal.run("ask", film, "When?")
    assert (result.code, result.out, result.err) == (0, "At 0:01.0.\n", "")
    frames = [piece for label in ("[0:00.0]", "[0:00.5]", "[0:01.0]", "[0:01.5]") for piece in (label, (96, 64))]
    assert llm.model.steps[0] == prompt_of(*frames, "When?")
    terminal.run("ask", film, "When?", "--clip", "0:01-", "--fps", "1")
    assert llm.model.steps[0] == prompt_of((96, 64), "When?")
    terminal.run("ask", film, "When?", "--frames", "2")
    assert llm.model.steps[0] == prompt_of("[0:00.0]", (96, 64), "[0:01.0]", (96, 64), "When?")


def test_a_document_is_asked_about_page_by_page_and_the_answer_is_found_in_it(terminal, letter):
    llm = terminal.use(scripted_llm(tokens_of("222 pounds")))
    result = terminal.run("ask", letter, "What is the total?")
    assert (result.code, result.out, result.err) == (0, "222 pounds\n", '[page 2: "222 pounds"]\n')
    assert llm.model.steps[0] == prompt_of("[page 1]", (333, 250), "[page 2]", (333, 250), "What is the total?")
    result = terminal.run("ask", letter, "What is the total?", "--pages", "1")
    assert llm.model.steps[0] == prompt_of("[page 1]", (333, 250), "What is the total?")
    looked, cited = result.err.splitlines()
    assert looked == f"{letter}: looked at page 1 of 2: those that were named"
    assert cited == '[no page: "222"] not verified: not found in the text of the pages looked at'


def test_media_of_all_kinds_go_together_from_files_urls_and_standard_input(terminal, film, letter, picture, monkeypatch):
    llm = terminal.use(scripted_llm(tokens_of("fine"), context=4000))
    with open(letter, "rb") as file:
        url = "data:image/png;base64," + base64.b64encode(file.read()).decode()
    with open(film, "rb") as stream:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stream))
        assert terminal.run("ask", picture, "-", url, "What?", "--frames", "1", "--pages", "2").code == 0
    assert llm.model.steps[0] == prompt_of((90, 60), (96, 64), "[page 2]", (333, 250), "What?")


def test_json_says_what_was_looked_at_and_where_the_answer_stands(terminal, letter):
    terminal.use(scripted_llm(tokens_of("222 pounds")))
    document = json.loads(terminal.run("ask", letter, "What is the total?", "--json", "--pages", "2").out)
    (citation,) = document["citations"]
    assert (citation["page"], citation["text"], citation["verified"]) == (2, "222 pounds", True)
    assert document["looked_at"][0]["pages"] == [2]
    assert document["looked_at"][0]["notes"] == ["looked at page 2 of 2: those that were named"]


def test_a_dry_run_counts_what_the_prompt_has_and_loads_no_weights(terminal, film, letter, picture, monkeypatch):
    llm = terminal.use(scripted_llm(tokens_of("fine"), context=16_384))
    files = (picture, film, letter, "What?", "--media-tokens", "250")
    assert terminal.run("ask", *files).code == 0
    real = llm.model.steps[0]
    monkeypatch.setattr(KimiVL, "load", lambda *args, **options: pytest.fail("the model was loaded"))
    seen = json.loads(terminal.run("ask", *files, "--dry-run", "--json").out)
    assert seen["prompt_tokens"] == len(real)
    assert seen["image_tokens"] == real.count(processor().tokenizer.special("<|media_pad|>")) == sum(v["tokens"] for v in seen["views"])
    assert seen["context"] == 16_384
    assert [view["label"] for view in seen["views"]] == ["", "[0:00.0]", "[0:00.5]", "[0:01.0]", "[0:01.5]", "[page 1]", "[page 2]"]
    assert [view["size_before"] for view in seen["views"]] == [[90, 60], *[[96, 64]] * 4, *[[200, 150]] * 2]
    table = terminal.run("ask", *files, "--dry-run").out
    shown = seen["views"][-1]["size"]
    assert f"page 2                      200×150 pt  {shown[0]}×{shown[1]}" in table
    assert "4 frames, 0:00.0 to 0:01.5" in table
    assert "pages made smaller" in table
    assert f"prompt: {len(real):,} tokens" in table


def test_pages_of_a_tiff_have_pixels_and_not_points(terminal, tmp_path):
    terminal.use(scripted_llm([], context=16_384))
    path = tmp_path / "scan.tiff"
    Image.new("RGB", (90, 60)).save(path, save_all=True, append_images=[Image.new("RGB", (60, 90))])
    table = terminal.run("ask", str(path), "What?", "--dry-run").out
    assert re.search(r"page 1 +90×60 +\d", table)
    assert re.search(r"page 2 +60×90 +\d", table)


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


def test_what_an_answer_points_at_is_drawn(terminal, picture, letter, tmp_path):
    out = tmp_path / "out.png"
    terminal.use(scripted_llm(tokens_of("[0.2, 0.2, 0.6, 0.8]")))
    result = terminal.run("ask", picture, "Where?", "--draw", str(out))
    assert (result.code, result.err) == (0, f"drawn: {out}, {picture}\n")
    assert size_of(out) == (90, 60)
    terminal.use(scripted_llm(tokens_of("222 pounds")))
    result = terminal.run("ask", letter, "Where?", "--draw", str(out))
    assert f"drawn: {out}, {letter}, page 2" in result.err
    assert size_of(out) == (333, 250)
    terminal.use(scripted_llm(tokens_of("I cannot tell.")))
    result = terminal.run("ask", picture, "Where?", "--draw", str(tmp_path / "no.png"))
    assert (result.code, result.out) == (2, "I cannot tell.\n")
    assert "the answer points at nothing, so" in result.err
    assert not (tmp_path / "no.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LETTER", "?", "--clip", "1-2"], "clip applies to none of the files: it is for videos, and there is none"),
        (["FILM", "?", "--pages", "1"], "pages applies to none of the files: it is for PDFs and TIFFs of several pages, and there is none"),
        (["FILM", "?", "--pdf-password", "x"], "pdf-password applies to none of the files"),
        (["?", "--frames", "3"], "frames applies to none of the files"),
        (["FILM", "?", "--clip", "9-"], "film.mp4: the clip begins at 9 seconds"),
        (["FILM", "?", "--clip", "3"], "'3' is no clip; it must read START-END"),
        (["FILM", "?", "--frames", "0"], "frames is 0; it must be a whole number from 1 to 256"),
        (["FILM", "?", "--fps", "nan"], "fps is nan"),
        (["FILM", "?", "--fps", "2", "--frames", "2"], "frames and fps say the same in two ways"),
        (["LETTER", "?", "--pages", "7"], "letter.pdf: pages is '7': there is no page 7; the document has 2"),
        (["LETTER", "?", "--pages", "2-1"], "runs backwards; write 1-2"),
        (["LETTER", "?", "--media-tokens", "0"], "media_tokens is 0"),
        (["LETTER", "?", "--draw", "out.doc"], "draw is 'out.doc'; it must be the name of a picture, ending in .png"),
        (["LETTER", "?", "--draw", "nowhere/out.png"], "nowhere is no folder that can be written to"),
        (["?", "--draw", "out.png"], "draw needs a picture or document"),
        (["HALF.pdf", "?"], "HALF.pdf is a damaged or truncated PDF"),
        (["HALF.mp4", "?"], "HALF.mp4 holds no pictures"),
        (["JUNK.mp4", "?"], "JUNK.mp4 is not a video that can be read"),
        (["LOCKED.pdf", "?"], "LOCKED.pdf is encrypted and needs a password: --pdf-password"),
        (["LOCKED.pdf", "?", "--pdf-password", "x"], "LOCKED.pdf is encrypted and this is not its password"),
    ],
)
def test_wrong_media_options_and_hostile_files_are_one_line_before_the_model(
    arguments, message, terminal, film, letter, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "HALF.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog")
    (tmp_path / "HALF.mp4").write_bytes(video([0, 1])[:900])
    (tmp_path / "JUNK.mp4").write_bytes(b"\0\0\0 ftypisom" + bytes(range(256)) * 40)
    (tmp_path / "LOCKED.pdf").write_bytes(locked("secret", "sesame", "owner"))
    names = {"FILM": film, "LETTER": letter}
    result = terminal.run("ask", *(names.get(argument, argument) for argument in arguments), "--model", "no such model")
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


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
        (["?", "--quantize", "int3"], "quantize is 'int3'; it must be 'int8', 'fp8' or 'int4'"),
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
        *(
            "-h",
            "--help",
            "--json",
            "--model",
            "--device",
            "--dtype",
            "--quantize",
            "--fit",
            "--schema",
            "--thinking",
            "--max-thinking-tokens",
        ),
        *("--max-tokens", "--temperature", "--top-p", "--top-k", "--min-p", "--seed", "--stop"),
        *("--clip", "--pages", "--frames", "--fps", "--policy", "--media-tokens", "--transcript", "--skip-repeats", "--pdf-password"),
        *("--dry-run", "--draw"),
    }

"""KimiVL from question to answer, with scripted models over nano's tokenizer and with a random checkpoint on disk."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import kimi_vl
from kimi_vl.checkpoint.layout import checkpoint_layout, runs_quantised
from kimi_vl.engine import SamplingParams
from kimi_vl.errors import CheckpointError, ConfigError, InputError, MediaError, PromptTooLong
from kimi_vl.llm import Answer, KimiVL, Usage, recommended_params, resolve_device
from kimi_vl.media import load_frames, open_medium
from kimi_vl.processor import THINK_CLOSE, THINK_OPEN
from kimi_vl.processor.views import Looked
from tests.media.clips import clip as video
from tests.media.pdfs import page, pdf, text
from tests.tiny_checkpoint import byte_tokens, processor, scripted_llm, tokens_of, write_tiny_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tiny_llm(folder) -> KimiVL:
    return KimiVL.load(folder)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((90, 60)).convert("RGB")


THOUGHT = [THINK_OPEN, "4 + 3 = 7", THINK_CLOSE, "The total is 7."]


def test_an_answer_holds_thinking_text_reason_usage_and_model():
    answer = scripted_llm(tokens_of(*THOUGHT)).ask("What is the total?")
    thinking = len(tokens_of(*THOUGHT[:3]))
    text = len(tokens_of(THOUGHT[3])) + 1
    prompt = len(processor().prompt([{"role": "user", "content": "What is the total?"}]).input_ids)
    assert answer == Answer(
        text="The total is 7.",
        thinking="4 + 3 = 7",
        finish_reason="stop",
        usage=Usage(prompt_tokens=prompt, image_tokens=0, thinking_tokens=thinking, answer_tokens=text, completion_tokens=thinking + text),
        model="scripted",
    )


def test_streamed_pieces_joined_are_the_answer():
    llm = scripted_llm(byte_tokens(f"{THINK_OPEN} 1 + 1 {THINK_CLOSE}\n\nTwo € 🧾.\n"))
    stream = llm.stream("?")
    pieces = list(stream)
    assert len(pieces) > 8
    assert all(piece.text for piece in pieces)
    assert "".join(p.text for p in pieces if p.kind == "thinking") == stream.answer.thinking == "1 + 1"
    assert "".join(p.text for p in pieces if p.kind == "text") == stream.answer.text == "Two € 🧾."
    assert stream.answer == llm.ask("?")


def test_pieces_come_while_the_model_is_still_running():
    llm = scripted_llm(tokens_of("one", " two", " three"))
    stream = llm.stream("?")
    assert next(stream).text == "one"
    assert len(llm.model.steps) < 4


def test_asking_an_unfinished_stream_for_its_answer_is_an_error():
    stream = scripted_llm(tokens_of("one two")).stream("?")
    next(stream)
    with pytest.raises(InputError, match="take all pieces"):
        _ = stream.answer


def test_a_stop_string_ends_the_answer_and_the_computation():
    llm = scripted_llm(tokens_of("The total", " is 7", ".00", " EUR"))
    answer = llm.ask("?", stop=["7."])
    assert (answer.text, answer.finish_reason) == ("The total is ", "stop")
    assert answer.usage.completion_tokens == len(tokens_of("The total", " is 7", ".00"[:1]))


def test_a_single_stop_string_need_not_be_a_list():
    assert scripted_llm(tokens_of("a b c")).ask("?", stop=" b").text == "a"


def thinks_until_told(so_far):
    """Thinks for ever; after a closing mark says "done" and ends."""
    closing, done, end = tokens_of(THINK_CLOSE), tokens_of("done"), min(processor().tokenizer.end_ids)
    for said in range(len(done) + 1):
        if (
            list(so_far[len(so_far) - said - len(closing) : len(so_far) - said]) == closing
            and list(so_far[len(so_far) - said :]) == done[:said]
        ):
            return done[said] if said < len(done) else end
    return tokens_of("hmm")[0]


@pytest.mark.parametrize("budget", [0, 1, 5, 40])
def test_when_the_thinking_budget_is_spent_the_thinking_is_closed_and_an_answer_comes(budget):
    answer = scripted_llm(thinks_until_told).ask("?", thinking="on", max_thinking_tokens=budget, max_tokens=100)
    assert (answer.text, answer.finish_reason) == ("done", "stop")
    # The first thinking token has to be drawn before anything can be forced; the closing mark itself counts as thinking.
    assert answer.usage.thinking_tokens == max(budget, 1) + len(tokens_of(THINK_CLOSE))
    assert THINK_CLOSE not in answer.thinking


def test_too_few_tokens_for_closing_and_answering_end_with_length_and_no_text():
    answer = scripted_llm(thinks_until_told).ask("?", thinking="on", max_thinking_tokens=5, max_tokens=6)
    assert (answer.text, answer.finish_reason, answer.usage.completion_tokens) == ("", "length", 6)


def test_endless_thinking_without_a_budget_ends_with_length_and_no_text():
    answer = scripted_llm(thinks_until_told).ask("?", thinking="on", max_tokens=30)
    assert (answer.text, answer.finish_reason, answer.usage.thinking_tokens) == ("", "length", 30)
    assert answer.thinking


@pytest.mark.parametrize(("thinking", "prefix"), [("auto", ""), ("on", "◁think▷"), ("off", "◁think▷\n\n◁/think▷")])
def test_each_thinking_mode_puts_its_prefix_at_the_end_of_the_prompt(thinking, prefix):
    llm = scripted_llm(tokens_of("fine"))
    llm.ask("?", thinking=thinking)
    bare = processor().prompt([{"role": "user", "content": "?"}]).input_ids
    assert llm.model.steps[0] == bare + tokens_of(prefix)


def test_a_model_that_thinks_with_thinking_off_is_closed_at_once():
    llm = scripted_llm(
        lambda so_far: thinks_until_told(so_far) if THINK_OPEN in said(so_far) else tokens_of(THINK_OPEN)[len(said_ids(so_far))]
    )
    answer = llm.ask("?", thinking="off", max_tokens=100)
    assert (answer.text, answer.thinking) == ("done", "")


def said_ids(so_far):
    middle = processor().tokenizer.special("<|im_middle|>")
    answer = so_far[len(so_far) - so_far[::-1].index(middle) :]
    return answer[len(tokens_of("◁think▷\n\n◁/think▷")) :]


def said(so_far):
    return processor().tokenizer.decode(said_ids(so_far))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schema": {"type": "strin"}}, "the schema cannot be compiled: Invalid type: strin"),
        ({"thinking": "maybe"}, "thinking is 'maybe'; it must be one of 'auto', 'on', 'off'"),
        ({"thinking": ["on"]}, "thinking is"),
        ({"temprature": 1.0}, "no option 'temprature'; did you mean 'temperature'"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop has 5 strings"),
        ({"stop": 7}, "stop is 7"),
        ({"stop": ""}, "a stop string has 0 characters"),
    ],
)
def test_a_bad_option_is_refused_before_the_model_runs(options, message):
    llm = scripted_llm(tokens_of("fine"))
    with pytest.raises(InputError, match=message):
        llm.stream("?", **options)
    assert llm.model.steps == []


@pytest.mark.parametrize("question", ["", " \n", None, 7, b"what"])
def test_a_question_that_is_no_text_is_refused(question):
    with pytest.raises(InputError, match="question is"):
        scripted_llm(tokens_of("fine")).stream(question)


def test_options_left_at_none_mean_the_defaults():
    llm = scripted_llm(tokens_of("fine"))
    llm.defaults = dataclasses.replace(llm.defaults, max_tokens=1)
    assert llm.ask("?", max_tokens=None, temperature=None, seed=None, stop=None).usage.completion_tokens == 1


def test_a_prompt_beyond_the_context_is_refused_before_the_model_runs():
    llm = scripted_llm(tokens_of("fine"), context=40)
    with pytest.raises(PromptTooLong, match="this model takes 39"):
        llm.stream("word " * 100)
    assert llm.model.steps == []


def test_earlier_turns_are_part_of_the_prompt_without_their_thinking():
    llm = scripted_llm(tokens_of("fine"))
    llm.chat([{"role": "user", "content": "a"}, {"role": "assistant", "content": "◁think▷x◁/think▷b"}, {"role": "user", "content": "c"}])
    expected = processor().prompt([{"role": r, "content": t} for r, t in (("user", "a"), ("assistant", "b"), ("user", "c"))])
    assert llm.model.steps[0] == expected.input_ids


def test_pictures_come_before_the_question_and_are_counted(tiny_llm, picture):
    answer = tiny_llm.ask("What is it?", [picture, picture], max_tokens=4, seed=1)
    # 90x60 pixels are padded to 112x84, 8x6 patches, 12 image tokens each.
    assert answer.usage.image_tokens == 24
    prompt = processor().prompt(
        [{"role": "user", "content": [*({"type": "image", "image": picture} for _ in range(2)), {"type": "text", "text": "What is it?"}]}]
    )
    assert answer.usage.prompt_tokens == len(prompt.input_ids)


def test_one_picture_need_not_be_in_a_list(tiny_llm, picture, tmp_path):
    path = tmp_path / "picture.png"
    picture.save(path)
    counts = [tiny_llm.ask("?", one, max_tokens=1).usage.image_tokens for one in (picture, path, str(path), path.read_bytes())]
    assert counts == [12] * 4


def test_a_picture_changes_the_answer(tiny_llm, picture):
    dark = Image.new("RGB", picture.size)
    assert tiny_llm.ask("?", picture, temperature=0, max_tokens=20).text != tiny_llm.ask("?", dark, temperature=0, max_tokens=20).text


def test_a_missing_picture_is_named(tiny_llm):
    with pytest.raises(MediaError, match=r"nowhere\.png does not exist"):
        tiny_llm.ask("?", "nowhere.png")


def test_a_seed_gives_the_same_answer_again_and_another_does_not(tiny_llm, picture):
    first, again, other = (tiny_llm.ask("?", picture, temperature=1.0, seed=seed, max_tokens=20) for seed in (1, 1, 2))
    assert first == again
    assert first.text != other.text


def test_loading_says_what_was_loaded(folder, tiny_llm):
    assert tiny_llm.name == str(folder)
    assert tiny_llm.model.dtype == torch.float32
    assert not tiny_llm.model.training
    assert tiny_llm.ask("?", max_tokens=1).model == str(folder)


def test_loading_counts_bytes(folder):
    seen = []
    KimiVL.load(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0


def test_operations_are_chosen_for_the_device_the_weights_end_up_on(folder, monkeypatch):
    monkeypatch.setattr("kimi_vl.model.kimi_vl.select", lambda device, dtype, choices: (device.type, dtype))
    assert KimiVL.load(folder, dtype="bfloat16").model.ops == ("cpu", torch.bfloat16)


@pytest.mark.parametrize(("kind", "most"), [("int8", 0.03), ("fp8", 0.25), ("int4", 0.25)])
def test_a_decoder_is_quantised_while_it_is_loaded_and_nothing_else_is(folder, kind, most):
    exact, found = KimiVL.load(folder, dtype="float32"), KimiVL.load(folder, dtype="float32", quantize=kind)
    names = {name for name, spec in checkpoint_layout(exact.model.config).items() if runs_quantised(name, spec)}
    left = dict(found.model.named_parameters())
    for name, parameter in exact.model.named_parameters():
        is_quantised = name in names or name.endswith(("experts.gate_up_proj", "experts.down_proj"))
        assert (name not in left) == is_quantised, name
        assert is_quantised or torch.equal(left[name], parameter)
    ids = torch.arange(10, 30)
    with torch.inference_mode():
        expected, logits = exact.model(ids), found.model(ids)
    error = float((logits - expected).norm() / expected.norm())
    assert 0 < error < most


def test_nano_in_eight_bits_gives_the_answers_of_nano():
    """Its files are int8 with a scale for each row, so that nothing is rounded that was not."""
    exact, found = KimiVL.load(), KimiVL.load(quantize="int8")
    receipt = Path(__file__).parents[1] / "examples" / "receipt.png"
    options = {"temperature": 0.0, "max_tokens": 12}
    assert found.ask("Read the text.", receipt, **options).text == exact.ask("Read the text.", receipt, **options).text


def test_a_scheme_that_is_none_is_refused(folder):
    with pytest.raises(InputError, match="quantize is 'int3'; it must be 'int8', 'fp8' or 'int4'"):
        KimiVL.load(folder, quantize="int3")


def test_something_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        KimiVL.load("no such thing")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        KimiVL.load(tmp_path)


def test_thread_settings_are_left_alone(folder):
    torch.set_num_threads(1)
    KimiVL.load(folder).ask("?", max_tokens=2)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "must be 'auto', 'cpu'"),
        ("mps", "runs on 'cpu' and on NVIDIA"),
        ("meta", "runs on 'cpu'"),
        (7.5, "must be 'auto'"),
        ("cpu:x", "must be"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device, message):
    with pytest.raises(InputError, match=message):
        resolve_device(device)


def test_the_automatic_device_is_the_gpu_where_there_is_one():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("name", "temperature", "max_tokens"),
    [
        ("moonshotai/Kimi-VL-A3B-Instruct", 0.2, 2048),
        ("moonshotai/Kimi-VL-A3B-Thinking", 0.6, 2048),
        ("moonshotai/Kimi-VL-A3B-Thinking-2506", 0.8, 32768),
        ("thinking-tests/Kimi-VL-A3B-Instruct", 0.2, 2048),
        ("me/my-finetune", 0.6, 2048),
    ],
)
def test_each_variant_has_its_recommended_settings(name, temperature, max_tokens, tmp_path):
    params = recommended_params(tmp_path, name)
    assert (params.temperature, params.max_tokens, params.top_p) == (temperature, max_tokens, 1.0)


def test_a_generation_config_overrides_the_name(tmp_path):
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps({"temperature": 0.0, "max_new_tokens": 512, "do_sample": False, "eos_token_id": [5]}))
    assert recommended_params(tmp_path, "x/Kimi-VL-A3B-Thinking") == SamplingParams(temperature=0.0, max_tokens=512)


@pytest.mark.parametrize("content", ["{", "[]", '{"temperature": "hot"}', '{"temperature": NaN}', "\xff", "[" * 100_000])
def test_a_broken_generation_config_is_named(content, tmp_path):
    (tmp_path / "generation_config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"generation_config\.json is not a usable generation config"):
        recommended_params(tmp_path)


def test_nano_answers_greedily_with_up_to_512_tokens():
    params = recommended_params(Path(kimi_vl.__file__).parent / "checkpoint" / "nano")
    assert (params.temperature, params.max_tokens) == (0.0, 512)


def test_importing_the_package_imports_neither_torch_nor_numpy():
    code = "import sys, kimi_vl; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)), kimi_vl.__version__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == f"[] {kimi_vl.__version__}\n"


def test_loading_and_answering_import_no_compiler_of_torch():
    """Which torch does by itself, for instance to draw numbers on the meta device; it takes two seconds."""
    code = (
        "import sys; from kimi_vl import KimiVL; KimiVL.load(device='cpu').ask('Hi', max_tokens=2); print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_every_public_name_can_be_imported_and_no_other():
    for name in kimi_vl.__all__:
        assert getattr(kimi_vl, name) is not None
    assert set(kimi_vl.__all__) <= set(dir(kimi_vl))
    assert kimi_vl.KimiVL is KimiVL
    with pytest.raises(AttributeError, match="has no attribute 'KimiLV'"):
        _ = kimi_vl.KimiLV


def test_an_animation_is_asked_about_as_frames_behind_their_times(tiny_llm, tmp_path):
    pictures = [Image.new("RGB", (56, 28), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / "clip.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500)
    parts = []
    for label, picture in zip(("[0:00.0]", "[0:00.5]", "[0:01.0]"), pictures, strict=True):
        parts += [{"type": "text", "text": label}, {"type": "image", "image": picture}]
    written_out = [{"role": "user", "content": [*parts, {"type": "text", "text": "What comes?"}]}]
    asked = tiny_llm.ask("What comes?", media=path, max_tokens=4, temperature=0.0)
    assert asked.looked_at == (Looked(str(path), "animation", seconds=(0.0, 0.5, 1.0)),)
    assert unlooked(asked) == unlooked(tiny_llm.chat(written_out, max_tokens=4, temperature=0.0))
    assert asked.usage.image_tokens == 6
    frames = load_frames(path)
    for media in (frames, [frames], [path]):
        assert unlooked(tiny_llm.ask("What comes?", media=media, max_tokens=4, temperature=0.0)) == unlooked(asked)


def test_a_question_about_a_document_shows_its_page_and_says_where_the_answer_stands(tmp_path):
    llm = scripted_llm(tokens_of("Bridge Street"), context=3000)
    data = pdf(*(page(text(words, 20, 75, 10), size=(200, 150)) for words in ("Harbour Street", "Bridge Street")))
    answer = llm.ask("Which street is on page 2?", data, pages=[2])
    picture = {"type": "image", "image": Image.new("RGB", (333, 250))}
    content = [{"type": "text", "text": "[page 2]"}, picture, {"type": "text", "text": "Which street is on page 2?"}]
    assert llm.model.steps[0] == processor().prompt([{"role": "user", "content": content}]).input_ids
    (citation,) = answer.citations
    assert (citation.page, citation.text, citation.verified) == (2, "Bridge Street", True)
    assert answer.looked_at == (Looked("the file", "PDF", pages=(2,), of=2, notes=("looked at page 2 of 2: those that were named",)),)


def test_boxes_and_points_of_an_answer_are_in_pixels_of_the_picture():
    picture = Image.new("RGB", (200, 100))
    answer = scripted_llm(tokens_of("(0.25, 0.5) [0, 0, 0.5, 1]")).ask("Where?", picture)
    assert [(point.x, point.y, point.image_index) for point in answer.points] == [(50, 50, 0)]
    assert [(box.left, box.top, box.right, box.bottom) for box in answer.boxes] == [(0, 0, 100, 100)]


def test_what_is_opened_for_a_question_is_closed_after_it_and_what_the_caller_opened_is_not(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(video([k / 10 for k in range(20)], rate=10))
    llm = scripted_llm(tokens_of("a b c"))
    for finish in (list, lambda stream: stream.close()):
        stream = llm.stream("When?", path)
        assert not stream.sight.media[0].source.file.closed
        finish(stream)
        assert stream.sight.media[0].source.file.closed
    medium = open_medium(path)
    assert llm.ask("When?", medium).text == "a b c"
    assert not medium.source.file.closed
    medium.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": "1-2"}, "no option 'clips'; did you mean 'clip'"),
        ({"pages": "1"}, "pages applies to none of the files"),
        ({"clip": "1"}, "'1' is no clip"),
    ],
)
def test_what_is_said_about_media_is_checked_with_and_without_them(options, message):
    for media in ((), Image.new("RGB", (30, 30))):
        with pytest.raises(InputError, match=message):
            scripted_llm(tokens_of("fine")).stream("?", media, **options)


def unlooked(answer):
    return dataclasses.replace(answer, looked_at=())


def test_more_pictures_than_a_prompt_takes_are_refused_before_any_is_opened(tiny_llm):
    with pytest.raises(InputError, match="media holds 257 pictures; at most 256"):
        tiny_llm.ask("What?", media=["no such file"] * 257)

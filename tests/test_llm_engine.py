"""KimiVL by the engine, as on a GPU, beside KimiVL by the plain path: the same answers to everything that may be asked."""

import gc
from functools import partial

import pytest
import torch
from PIL import Image

from kimi_vl.engine import Engine
from kimi_vl.engine.plan import LEAST_STEP, graph_bytes, limits_of_one, page_bytes, workspace_bytes
from kimi_vl.errors import CapacityError, EngineStopped, InputError, PromptTooLong
from kimi_vl.llm import KimiVL
from kimi_vl.llm.answers import OUT_OF_MEMORY, ReplyReader
from kimi_vl.processor.grammar import Grammar
from kimi_vl.processor.reply import Reply
from tests.tiny_checkpoint import processor, tiny_config, tokens_of, write_tiny_checkpoint

PICTURE = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
LONG = {"max_tokens": 24, "top_k": 1000}
ENDLESS = 500


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return KimiVL.load(write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), endless=True), device="cpu")


@pytest.fixture(params=[False, True], ids=["drawn by the host", "drawn in rows"])
def llm(plain, request, monkeypatch):
    """The same model by the engine."""
    monkeypatch.setattr("kimi_vl.llm.kimi_vl.Engine", partial(Engine, rows=request.param))
    llm = KimiVL(plain.model, plain.processor, name=plain.name, defaults=plain.defaults)
    llm._uses_engine = True
    return llm


def nothing_is_held(llm):
    if llm._desk is None:  # refused before there was an engine
        return True
    engine = llm._desk.engine
    while engine._launched:  # a step that was ahead of the end
        engine.step()
    engine.check_integrity()
    return engine.is_idle and engine.scheduler.pool.num_available == engine.limits.num_pages


ASKED = {
    "greedy": {"temperature": 0.0},
    "one token": {"temperature": 0.0, "max_tokens": 1},
    "seeded": {"temperature": 0.9, "seed": 3},
    "filtered": {"temperature": 1.0, "seed": 3, "top_p": 0.9, "top_k": 20, "min_p": 0.02},
    "thinking that is closed": {"temperature": 0.9, "seed": 5, "thinking": "on", "max_thinking_tokens": 5},
    "thinking closed as the budget ends": {"temperature": 0.0, "thinking": "on", "max_thinking_tokens": 22},
    "no thinking": {"temperature": 0.9, "seed": 5, "thinking": "off"},
    "a document": {"temperature": 0.9, "seed": 6, "schema": Grammar.regex(r"[a-f]{3,9} (yes|no)")},
    "a document behind a thought": {
        "temperature": 0.9,
        "seed": 6,
        "thinking": "on",
        "max_thinking_tokens": 4,
        "schema": Grammar.regex(r"(yes|no){2}"),
    },
}


@pytest.mark.parametrize("options", ASKED.values(), ids=ASKED)
def test_answers_are_those_of_the_plain_path(plain, llm, options):
    for media in ((), PICTURE, [PICTURE, PICTURE.rotate(90, expand=True)]):
        options = {**LONG, **options}
        assert llm.ask("What is this?", media, **options) == plain.ask("What is this?", media, **options)
    assert nothing_is_held(llm)


def test_a_stop_string_ends_the_answer_where_it_does_on_the_plain_path(plain, llm):
    options = {"temperature": 0.9, "seed": 8, "top_k": 1000, "max_tokens": 40}
    whole = plain.ask("?", **options).text
    stop = whole[len(whole) // 2 :][:3]
    answer = llm.ask("?", stop=stop, **options)
    assert answer == plain.ask("?", stop=stop, **options)
    assert (answer.text, answer.finish_reason) == (whole[: whole.index(stop)].rstrip(), "stop")
    assert nothing_is_held(llm)


def test_an_answer_depends_on_its_seed_and_on_nothing_asked_before(plain, llm):
    options = {**LONG, "temperature": 1.0, "seed": 4}
    first = llm.ask("And now?", PICTURE, **options)
    llm.ask("And now, then?", PICTURE, **options)
    assert llm.ask("And now?", PICTURE, **options) == first
    assert llm.ask("And now?", PICTURE, **options | {"seed": 5}) != first
    assert not llm._desk.engine.limits.shares_prefixes


def test_pieces_come_while_the_model_is_still_running(llm):
    stream = llm.stream("?", **LONG, temperature=0.9, seed=2)
    assert llm._desk.engine.scheduler.running == []
    assert next(stream).text
    assert not llm._desk.engine.is_idle
    assert len(list(stream)) > 1
    assert llm._desk.engine.is_idle


def test_streams_that_are_open_at_once_answer_as_if_they_were_alone(plain, llm):
    asked = [{**LONG, "temperature": 0.9, "seed": k, "thinking": "on", "max_thinking_tokens": 3 * k} for k in range(6)]
    streams = [llm.stream("?", **options) for options in asked]
    first = [next(stream) for stream in streams]
    assert all(first)
    for stream in reversed(streams):
        list(stream)
    assert [stream.answer for stream in streams] == [plain.ask("?", **options) for options in asked]
    assert nothing_is_held(llm)


@pytest.mark.parametrize("leave", ["close", "let go"])
@pytest.mark.parametrize("begun", [False, True])
def test_whoever_leaves_frees_everything(llm, leave, begun):
    stream = llm.stream("?", PICTURE, top_k=1000, max_tokens=ENDLESS)
    if begun:
        next(stream)
    if leave == "close":
        stream.close()
        assert list(stream) == []
        with pytest.raises(InputError, match="not finished"):
            _ = stream.answer
    del stream
    gc.collect()
    assert nothing_is_held(llm)


def test_closing_the_plain_path_ends_it_as_well(plain):
    stream = plain.stream("?", top_k=1000, max_tokens=ENDLESS)
    next(stream)
    stream.close()
    assert list(stream) == []
    with pytest.raises(InputError, match="not finished"):
        _ = stream.answer


def test_ctrl_c_in_the_middle_of_a_step_ends_the_open_answers_and_no_later_one(plain, llm, monkeypatch):
    options = {**LONG, "temperature": 0.9, "seed": 3}
    interrupted, other = llm.stream("?", **options), llm.stream("?", **options)
    next(interrupted)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(llm.model.language_model.model, "forward", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(interrupted)
    with pytest.raises(EngineStopped, match="ask again"):
        list(other)
    assert llm.ask("?", **options) == plain.ask("?", **options)
    assert nothing_is_held(llm)


def test_running_out_of_memory_is_one_error_and_ends_one_answer(plain, llm, monkeypatch):
    def grab(*_, **__):
        raise RuntimeError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(llm.model.language_model.model, "forward", grab)
        with pytest.raises(CapacityError) as caught:
            llm.ask("?", **LONG)
    assert str(caught.value) == OUT_OF_MEMORY
    assert nothing_is_held(llm)
    assert llm.ask("?", **LONG, seed=1) == plain.ask("?", **LONG, seed=1)


def test_what_cannot_be_answered_is_refused_before_the_model_runs(llm):
    with pytest.raises(PromptTooLong):
        llm.stream("? " * 700)
    assert nothing_is_held(llm)


def test_the_end_token_is_no_part_of_a_thought():
    """Nor is it on the plain path, which does not give it."""
    end_ids = processor().tokenizer.end_ids
    reader = ReplyReader(Reply(processor().tokenizer, thinking_started=True), end_ids)
    assert "".join(piece.text for piece in reader.read([*tokens_of("hm"), min(end_ids)], True).pieces) == "hm"
    assert reader.reply.thinking_tokens == len(tokens_of("hm"))


def test_a_forced_token_that_the_constraint_forbids_is_the_error_of_its_answer(llm, monkeypatch):
    """It was the end of the answer, without a word, as long as only the tokens of what was forced were read."""
    monkeypatch.setattr("kimi_vl.processor.reply.Reply.forced", lambda self: tokens_of("zzz"))
    with pytest.raises(InputError):
        llm.ask("?", schema=Grammar.regex("[a-f]{30}"), thinking="off", max_tokens=20)
    assert nothing_is_held(llm)


def test_the_limits_hold_the_whole_context_or_as_much_of_it_as_there_is_room_for():
    config = tiny_config(100_000)
    whole = limits_of_one(config, free_bytes=1 << 30)
    assert whole.num_pages * whole.page_size >= 100_000
    assert (whole.shares_prefixes, whole.max_running) == (False, 4)
    half = page_bytes(config.text_config, 64, None) * whole.num_pages // 2
    half += workspace_bytes(config, LEAST_STEP, 4, context=100_000) + graph_bytes(config, 4)
    part = limits_of_one(config, free_bytes=half)
    assert (part.num_pages, part.step_tokens, part.shares_prefixes) == (whole.num_pages // 2, LEAST_STEP, False)
    with pytest.raises(CapacityError, match="are free beside the weights"):
        limits_of_one(config, free_bytes=1 << 16)


def test_a_model_on_the_cpu_takes_the_plain_path(plain):
    plain.ask("?", max_tokens=1)
    assert not plain._uses_engine
    assert plain._desk is None
    assert torch.device("cpu") == plain.model.device

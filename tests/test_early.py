"""Frames are encoded while the next ones are decoded: what is answered, what is held meanwhile, and what is left when somebody leaves."""

import asyncio
import logging
import threading
from contextlib import closing
from functools import partial

import pytest
import structlog
import torch

from kimi_vl.engine import Engine, Limits
from kimi_vl.errors import CapacityError, EngineStopped, InputError, MediaError
from kimi_vl.llm import AsyncKimiVL, KimiVL, content_of, look_at, see_messages
from kimi_vl.llm import kimi_vl as module
from kimi_vl.llm.early import PlainEarly
from kimi_vl.media import open_medium, sandbox
from kimi_vl.media.medium import Video
from kimi_vl.processor.chat import cuts_of
from tests.media.clips import clip
from tests.media.pdfs import page, pdf, text
from tests.server.serving import served, until
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tolerances import REGROUPED

FILM = clip([k / 10 for k in range(50)], rate=10)
MKV = clip([k / 10 for k in range(50)], rate=10, container="mkv")
DAMAGED = MKV[: len(MKV) * 2 // 3]
LETTER = pdf(page(text("Nothing here.")), page(text("The fee is 4711 dollars.")))
GREEDY = {"temperature": 0.0, "max_tokens": 12}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return KimiVL.load(write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), context=2000, endless=True), device="cpu")


def by_engine(plain):
    llm = KimiVL(plain.model, plain.processor, name=plain.name, defaults=plain.defaults)
    llm._uses_engine = True
    return llm


@pytest.fixture(params=["plain", "host", "rows"])
def llm(plain, request, monkeypatch):
    """By the plain path, and by an engine of both kinds."""
    if request.param == "plain":
        return plain
    monkeypatch.setattr("kimi_vl.llm.kimi_vl.Engine", partial(Engine, rows=request.param == "rows"))
    return by_engine(plain)


@pytest.fixture
def whole(plain, monkeypatch):
    """Answers as they were before: everything is decoded, then encoded with the prompt."""

    def ask(*args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(PlainEarly, "take", lambda *_: None)
            return plain.ask(*args, **options)

    return ask


def decoders_at_rest():
    return until(lambda: not sandbox._pool._lent and sandbox._pool._num_taken == 0)


def nothing_is_held(engine):
    engine.check_integrity()
    features = engine.runner.features
    return engine.is_idle and (features.num_held, len(features._holds), len(engine.arrived), len(engine._aheads)) == (0, 0, 0, 0)


@pytest.mark.parametrize("media", [[DAMAGED], [LETTER, FILM]], ids=["damaged", "document and clip"])
def test_the_answer_is_that_of_decoding_all_before(llm, whole, media):
    asked = "What is the fee?"
    answer, expected = llm.ask(asked, media, **GREEDY), whole(asked, media, **GREEDY)
    assert answer == expected
    assert any("damaged at" in note for looked in answer.looked_at for note in looked.notes) == (media == [DAMAGED])
    assert answer.usage.image_tokens > 0
    assert answer.usage.completion_tokens == 12
    assert llm._desk is None or nothing_is_held(llm._desk.engine)


def test_features_are_those_of_encoding_all_together(plain):
    early = PlainEarly(plain.model, plain.processor.image_processor)
    with closing(open_medium(FILM)) as medium:
        cuts = cuts_of(see_messages(plain.processor, 2000, content_of("?", [medium]), arrived=early.take).messages)
    found = early.features(cuts)
    with torch.inference_mode():
        expected = plain.model.image_features(*plain.processor.images(cuts))
    assert len(cuts) == 10
    assert (found - expected).abs().max() <= REGROUPED


def test_a_frame_is_encoded_before_the_next_is_asked_for(llm, monkeypatch):
    """The decoder, a process of its own, works on the next one meanwhile; never more than one frame's pixels wait here."""
    happened = []
    encode, frames = llm.model.image_features, Video.frames

    def logged(*args, **options):
        for frame in frames(*args, **options):
            happened.append("decoded")
            yield frame

    monkeypatch.setattr(Video, "frames", logged)
    monkeypatch.setattr(llm.model, "image_features", lambda *args: happened.append("encoded") or encode(*args))
    llm.ask("?", FILM, **GREEDY)
    assert happened == ["decoded", "encoded"] * 10


class Interrupted(BaseException):
    pass


def test_leaving_in_the_middle_frees_decoder_file_and_features(llm, monkeypatch):
    encode, encoded = llm.model.image_features, []

    def interrupted(*args):
        encoded.append(args)
        if len(encoded) == 3:
            raise Interrupted
        return encode(*args)

    medium = open_medium(FILM)
    monkeypatch.setattr(llm.model, "image_features", interrupted)
    with pytest.raises(Interrupted):
        llm.ask("?", medium, **GREEDY)
    assert len(encoded) == 3
    assert decoders_at_rest()
    assert llm._desk is None or llm._desk.engine is None  # in the middle of a step: as Ctrl-C in any other
    monkeypatch.setattr(llm.model, "image_features", encode)
    assert llm.ask("?", medium, **GREEDY).usage.completion_tokens == 12
    medium.close()


def test_what_cannot_be_asked_leaves_nothing(llm, monkeypatch):
    """A prompt that turns out too long once its pictures are encoded; and a bad option, before anything is opened."""
    with monkeypatch.context() as patch:
        patch.setattr(llm, "_context", 100)
        patch.setattr(module, "look_at", lambda processor, _, *args, **options: look_at(processor, 2000, *args, **options))
        with pytest.raises(InputError, match="takes 99"):
            llm.ask("?", FILM, **GREEDY)
    assert llm._desk is None or nothing_is_held(llm._desk.engine)
    with pytest.raises(InputError, match="temperature"):
        llm.ask("?", "no-such-file.mp4", temperature=-1.0)


def test_a_stream_that_nobody_reads_holds_its_features_until_it_is_closed(plain):
    llm = by_engine(plain)
    stream = llm.stream("?", FILM, **GREEDY)
    features = llm._desk.engine.runner.features
    assert features.num_held == 120
    stream.close()
    assert nothing_is_held(llm._desk.engine)
    assert features.num_tokens == 0  # an answer depends on nothing that was asked before


def test_features_that_do_not_fit_are_left_to_the_prompt(plain, whole, monkeypatch):
    llm = by_engine(plain)
    monkeypatch.setattr(llm, "_ahead_tokens", lambda *_: 30)  # two frames of twelve tokens
    stream = llm.stream("?", FILM, **GREEDY)
    assert llm._desk.engine.runner.features.num_held == 24
    assert llm._desk.engine.runner.encoding.encoded == 2  # not for nothing
    for _ in stream:
        pass
    assert stream.answer == whole("?", FILM, **GREEDY)
    assert nothing_is_held(llm._desk.engine)


def test_a_picture_that_cannot_be_encoded_early_is_left_to_the_prompt(plain, whole, monkeypatch):
    llm = by_engine(plain)
    encode, failures = plain.model.image_features, []

    def short_of_memory(*args):
        if len(failures) < 4:
            failures.append(args)
            raise CapacityError("out of memory")
        return encode(*args)

    monkeypatch.setattr(plain.model, "image_features", short_of_memory)
    answer = llm.ask("?", FILM, **GREEDY)
    monkeypatch.setattr(plain.model, "image_features", encode)
    assert len(failures) == 4
    assert answer == whole("?", FILM, **GREEDY)
    assert nothing_is_held(llm._desk.engine)


def test_ahead_of_prompts_there_is_room_only_where_nothing_gets_less(plain):
    llm = by_engine(plain)
    free = 1 << 30
    limits = llm._limits(free)
    assert llm._ahead_tokens(free, limits) == 500  # a quarter of the context
    least = next(free for free in range(1 << 20, 1 << 30, 1 << 16) if _fits(llm, free) == limits)
    assert llm._ahead_tokens(least, limits) == 0


def _fits(llm, free):
    try:
        return llm._limits(free)
    except CapacityError:
        return None


# Many at once ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def serving(plain):
    limits = Limits(num_pages=256, page_size=16, max_running=4, step_tokens=64, shares_prefixes=True)
    with_engine = AsyncKimiVL(plain, limits)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with served(with_engine) as server:
        yield server
        assert server.is_at_rest()
        assert until(lambda: nothing_is_held(with_engine._engine))
    structlog.reset_defaults()


def about(name):
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": name}}, {"type": "text", "text": "?"}]}]


def uploaded(server):
    return server.client.post("/v1/files", files={"file": ("clip.mp4", FILM)}, data={"purpose": "user_data"}).json()["id"]


@pytest.fixture
def gate(serving, monkeypatch):
    """Lets seven frames of a video through, then waits."""
    gate = Gate(monkeypatch, 7)
    yield gate
    gate.open.set()


class Gate:
    def __init__(self, monkeypatch, count):
        self.reached, self.open = threading.Event(), threading.Event()
        frames = Video.frames

        def gated(*args, **options):
            for k, frame in enumerate(frames(*args, **options)):
                if k == count:
                    self.reached.set()
                    assert self.open.wait(30)
                yield frame

        monkeypatch.setattr(Video, "frames", gated)


def test_a_server_encodes_while_it_decodes_and_others_are_answered(serving, gate, whole):
    name = uploaded(serving)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(serving.chat(about(name), **GREEDY).json()))
    asking.start()
    assert gate.reached.wait(30)
    assert until(lambda: serving.model.activity.encoded == 7)  # of ten, the last three of which are not decoded
    assert serving.chat(**GREEDY).status_code == 200
    gate.open.set()
    asking.join(30)
    expected = whole("?", FILM, **GREEDY)
    assert answers[0]["choices"][0]["message"]["content"] == expected.text
    assert answers[0]["usage"]["prompt_tokens"] == expected.usage.prompt_tokens
    assert (serving.model.activity.encoded, serving.model.activity.reused) == (10, 0)
    assert serving.chat(about(name), **GREEDY).json()["choices"] == answers[0]["choices"]
    assert (serving.model.activity.encoded, serving.model.activity.reused) == (10, 10)


def test_a_client_that_leaves_ends_the_decoding(serving, gate):
    name = uploaded(serving)
    body = serving.client.build_request("POST", "/v1/chat/completions", json={"model": serving.service.name, "messages": about(name)})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body.content)}"
    leaving = threading.Thread(target=lambda: serving.raw(f"{head}\r\n\r\n".encode() + body.content, wait_s=0.5))
    leaving.start()
    assert gate.reached.wait(30)
    leaving.join(30)  # its connection is closed
    assert serving.is_at_rest()
    assert until(lambda: nothing_is_held(serving.model._engine))
    gate.open.set()
    assert decoders_at_rest()
    assert serving.model.activity.encoded == 7


def test_who_takes_after_the_end_is_told(plain):
    async def ask():
        model = AsyncKimiVL(plain, Limits(num_pages=64, page_size=16, max_running=2, step_tokens=64))
        with closing(open_medium(FILM)) as medium:
            cut = cuts_of(see_messages(plain.processor, 2000, content_of("?", [medium])).messages)[0]
        closed, open_ = model.early(), model.early()
        closed.close()
        with pytest.raises(EngineStopped, match="nobody waits"):
            closed.take(cut)
        open_.take(cut)
        await model.close()
        with pytest.raises(EngineStopped, match="being stopped"):
            open_.take(cut)
        open_.close()

    asyncio.run(asyncio.wait_for(ask(), 60))


def test_a_file_of_which_nothing_can_be_seen_ends_as_before(llm, whole):
    errors = []
    for ask in (llm.ask, whole):
        with pytest.raises(MediaError) as error:
            ask("?", FILM[: len(FILM) // 50], **GREEDY)
        errors.append(str(error.value))
    assert errors[0] == errors[1]
    assert decoders_at_rest()

"""nano over HTTP says what nano says: whole, streamed, beside others, with everything that can be asked of an answer."""

import base64
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import pytest

from kimi_vl.cli.main import main
from kimi_vl.llm import see_messages
from tests.media.test_transcript import CUES, film
from tests.server.conftest import async_nano
from tests.server.serving import HELLO, refused, served, until

EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTION = "What do the rye bread and the cheddar cost together?"
READ = "What is the invoice number?"


def data_url(name, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode((EXAMPLES / name).read_bytes()).decode()}"


def about(name, question):
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_url(name)}}, {"type": "text", "text": question}]}]


@pytest.fixture(scope="module")
def receipt(plain):
    return plain.ask(QUESTION, media=[EXAMPLES / "receipt.png"])


def joined(events, index=0):
    """A streamed answer put together, and the chunk that ended it."""
    deltas = [c for event in events for c in event["choices"] if c["index"] == index]
    text = "".join(c["delta"].get("content") or "" for c in deltas)
    thinking = "".join(c["delta"].get("reasoning_content") or "" for c in deltas)
    assert thinking == "".join(c["delta"].get("reasoning") or "" for c in deltas)
    [last] = [c for c in deltas if c["finish_reason"]]
    return text, thinking, last


def test_an_answer_is_what_the_plain_path_says(nano, receipt):
    answer = nano.chat(about("receipt.png", QUESTION)).json()
    [choice] = answer["choices"]
    message, usage = choice["message"], answer["usage"]
    assert (message["content"], message["reasoning_content"], message["reasoning"]) == (receipt.text, receipt.thinking, receipt.thinking)
    assert choice["finish_reason"] == receipt.finish_reason
    assert usage["prompt_tokens"] == receipt.usage.prompt_tokens
    assert usage["prompt_tokens_details"]["image_tokens"] == receipt.usage.image_tokens
    assert usage["completion_tokens"] == receipt.usage.completion_tokens
    assert usage["completion_tokens_details"]["reasoning_tokens"] == receipt.usage.thinking_tokens
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_is_the_same_answer_and_a_prompt_asked_again_is_cached(nano, receipt):
    nano.chat(about("receipt.png", QUESTION), max_tokens=1)
    events = nano.events(about("receipt.png", QUESTION), stream_options={"include_usage": True})
    text, thinking, last = joined(events)
    assert (text, thinking, last["finish_reason"]) == (receipt.text, receipt.thinking, "stop")
    assert last["kimi_vl"] == {"boxes": [], "points": [], "citations": [], "looked_at": []}
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert events[-1]["choices"] == []
    usage = events[-1]["usage"]
    assert [event["usage"] for event in events[:-1]] == [None] * (len(events) - 1)
    assert usage["completion_tokens"] == receipt.usage.completion_tokens
    assert 0 < usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]
    assert "usage" not in nano.events(HELLO, max_tokens=2)[-1]


def test_many_at_once_each_get_their_own(nano, plain, receipt):
    invoice = plain.ask(READ, media=[EXAMPLES / "invoice.png"])

    def ask(k):
        name, question, expected = [("receipt.png", QUESTION, receipt), ("invoice.png", READ, invoice)][k % 2]
        if k % 3:
            return nano.chat(about(name, question)).json()["choices"][0]["message"]["content"] == expected.text
        return joined(nano.events(about(name, question)))[0] == expected.text

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(6)))


def test_a_seed_is_an_answer_and_n_are_several(nano):
    fields = {"messages": HELLO, "temperature": 2.0, "seed": 7, "max_tokens": 12, "thinking": "off"}
    several = [choice["message"]["content"] for choice in nano.chat(**fields, n=3).json()["choices"]]
    assert len(set(several)) == 3
    assert [nano.chat(**{**fields, "seed": 7 + k}).json()["choices"][0]["message"]["content"] for k in range(3)] == several
    events = nano.events(**fields, n=3)
    assert [joined(events, k)[0] for k in range(3)] == several


def test_log_probabilities_cover_the_answer_and_not_the_thinking(nano, receipt):
    [choice] = nano.chat(about("receipt.png", QUESTION), logprobs=True, top_logprobs=3).json()["choices"]
    told = choice["logprobs"]["content"]
    assert "".join(one["token"] for one in told).strip() == receipt.text
    for one in told:
        assert one["token"].encode() == bytes(one["bytes"])
        assert one["logprob"] <= 0
        assert len(one["top_logprobs"]) == 3
        assert one["top_logprobs"][0]["token"] == one["token"]  # greedy
    events = nano.events(about("receipt.png", QUESTION), logprobs=True, top_logprobs=3)
    streamed = [one for event in events for c in event["choices"] if c["logprobs"] for one in c["logprobs"]["content"]]
    assert [one["token"] for one in streamed] == [one["token"] for one in told]


def test_stop_strings_cut_and_nothing_of_them_is_streamed(nano, plain):
    whole = plain.ask("Read the text.", media=[EXAMPLES / "invoice.png"], max_tokens=20).text
    stop = whole[10:13]
    events = nano.events(about("invoice.png", "Read the text."), stop=[stop, "never"], max_tokens=20)
    text, _, last = joined(events)
    assert text == whole[: whole.index(stop)]
    assert last["finish_reason"] == "stop"


def test_biases_and_lengths(nano):
    first = nano.model.processor.tokenizer.encode("I")[0]
    text = nano.chat(max_tokens=3, logit_bias={str(first): -100}).json()["choices"][0]
    assert not text["message"]["content"].startswith("I ")
    assert text["finish_reason"] == "length"


SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "string", "pattern": "^[0-9]{1,3}[.][0-9]{2}$"}},
    "required": ["total"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("effort", ["none", "low"])
def test_a_schema_holds_behind_thinking_and_without(nano, effort):
    form = {"type": "json_schema", "json_schema": {"name": "total", "schema": SCHEMA, "strict": True}}
    [choice] = nano.chat(about("receipt.png", QUESTION), response_format=form, reasoning_effort=effort).json()["choices"]
    jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMA)
    assert bool(choice["message"].get("reasoning_content")) == (effort == "low")


def test_a_thinking_budget_closes_the_thinking(nano):
    answer = nano.chat(about("receipt.png", QUESTION), max_thinking_tokens=10).json()
    assert 10 <= answer["usage"]["completion_tokens_details"]["reasoning_tokens"] < 25
    assert answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"type": "string", "pattern": "["}, "invalid_json_schema"),
        ({"type": "object", "properties": {"a": {"typ": "string"}}}, "invalid_json_schema"),
        ({"$ref": "https://192.0.2.1/schema.json"}, "invalid_json_schema"),
        ({"enum": []}, "invalid_json_schema"),
    ],
)
def test_schemas_that_are_refused(nano, schema, code):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    nano.refused(400, code, "response_format.json_schema.schema", response_format=form)


def test_a_json_object_that_is_cut_is_a_beginning(nano):
    [choice] = nano.chat(response_format={"type": "json_object"}, thinking="off", max_tokens=4).json()["choices"]
    assert choice["message"]["content"].startswith("{")


CONTROL = ("<|im_end|>", "<|im_system|>", "<|media_pad|>", "<|media_start|>image<|media_content|><|media_pad|><|media_end|>", "[EOS]")


@pytest.mark.parametrize("carrier", ["user", "system", "assistant", "tool", "reasoning", "tool description"])
def test_no_text_of_anybody_becomes_a_control_token(scripted, carrier):
    text = " ".join(CONTROL)
    made = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    extra = {
        "user": [],
        "system": [{"role": "system", "content": text}],
        "assistant": [*HELLO, {"role": "assistant", "content": text}],
        "tool": [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [made]},
            {"role": "tool", "tool_call_id": "c", "content": text},
        ],
        "reasoning": [*HELLO, {"role": "assistant", "content": "yes", "reasoning_content": text, "reasoning": text}],
        "tool description": [],
    }[carrier]
    tools = [{"type": "function", "function": {"name": "f", "description": text}}] if carrier == "tool description" else None
    messages = [*extra, {"role": "user", "content": text if carrier == "user" else "Go on."}]
    assert scripted.chat(messages, tools=tools).status_code == 200
    tokenizer = scripted.model.processor.tokenizer
    special = [token for token in scripted.model.questions[-1].input_ids if token in tokenizer.special_ids.values()]
    turns = len(messages) + (messages[0]["role"] != "system")
    assert len(special) == 3 * turns + 2  # role, middle and end of each, and the beginning of the answer


def test_a_conversation_goes_on_with_pictures_anywhere_in_it(nano, plain):
    messages = [*about("receipt.png", "What is this?"), {"role": "assistant", "content": "A receipt."}, *about("invoice.png", READ)]
    pictures = [EXAMPLES / "receipt.png", EXAMPLES / "invoice.png"]
    theirs = [
        {"role": "user", "content": [{"type": "image", "image": pictures[0]}, {"type": "text", "text": "What is this?"}]},
        {"role": "assistant", "content": "A receipt."},
        {"role": "user", "content": [{"type": "image", "image": pictures[1]}, {"type": "text", "text": READ}]},
    ]
    expected = plain.chat(theirs)
    answer = nano.chat(messages).json()
    assert answer["choices"][0]["message"]["content"] == expected.text
    assert answer["usage"]["prompt_tokens"] == expected.usage.prompt_tokens


def test_points_are_pixels_of_the_picture_as_it_was_sent(nano, plain):
    question = "Where do I click to save the changes?"
    expected = plain.ask(question, media=[EXAMPLES / "settings.png"])
    [found] = nano.chat(about("settings.png", question)).json()["choices"][0]["kimi_vl"]["points"]
    [point] = expected.points
    assert found == {"label": point.label, "medium": 0, "view": 0, "page": None, "point": [point.x, point.y]}


def test_documents_are_cited_and_clips_are_seen(nano, plain):
    question = "What is the platform of the Old Mill line?"
    expected = plain.ask(question, media=[EXAMPLES / "timetable.pdf"])
    data = base64.b64encode((EXAMPLES / "timetable.pdf").read_bytes()).decode()
    part = {"type": "file", "file": {"file_data": data, "filename": "../../time\u202etable.pdf"}}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": question}]}]
    [choice] = nano.chat(messages).json()["choices"]
    assert choice["message"]["content"] == expected.text
    [citation] = choice["kimi_vl"]["citations"]
    assert (citation["page"], citation["verified"], citation["medium"]) == (1, True, 0)
    counted = nano.client.post("/v1/tokenize", json={"messages": messages, "return_tokens": True}).json()
    assert counted["count"] == len(counted["tokens"]) == expected.usage.prompt_tokens
    [medium] = counted["media"]
    assert (medium["kind"], medium["name"], medium["views"][0]["page"]) == ("document", "timetable.pdf", 1)
    width, height = medium["views"][0]["width"], medium["views"][0]["height"]
    left, top, right, bottom = citation["box"]
    assert 0 < left < right < width
    assert 0 < top < bottom < height
    clip = {"type": "video_url", "video_url": {"url": data_url("clip.mp4", "video/mp4")}}
    messages = [{"role": "user", "content": [clip, {"type": "text", "text": "What happens?"}]}]
    [medium] = nano.client.post("/v1/tokenize", json={"messages": messages, "media": {"frames": 3}}).json()["media"]
    assert medium["kind"] == "video"
    assert [view["time_s"] is None for view in medium["views"]] == [False] * 3


def test_a_conversation_is_the_same_prompt_as_in_python(nano, plain):
    """Media in two turns, speech between frames: what a server shows is what `KimiVL.chat` shows."""
    spoken = film(CUES, codec="mov_text", container="mp4")
    video = {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{base64.b64encode(spoken).decode()}"}}
    letter = {"type": "image_url", "image_url": {"url": data_url("receipt.png")}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, video, {"type": "text", "text": "What is said?"}]},
        {"role": "assistant", "content": "The fee."},
        {"role": "user", "content": [letter, {"type": "text", "text": "And the total?"}]},
    ]
    with see_messages(plain.processor, plain.model.config.text_config.max_position_embeddings, messages, transcript=True, fps=1) as seen:
        expected = plain.processor.prompt(seen.messages).input_ids
        assert "The fee is 4711." in plain.processor.tokenizer.decode(expected)
    asked = {"messages": messages, "return_tokens": True, "media": {"transcript": True, "fps": 1}}
    counted = nano.client.post("/v1/tokenize", json=asked).json()
    assert counted["tokens"] == list(expected)
    refused(nano.client.post("/v1/tokenize", json={"messages": messages, "media": {"transcript": "yes"}}), 400, "invalid_type")


def test_counting_says_what_a_dry_run_says(nano, capsys):
    """A picture, a document and a clip at once: every picture of the prompt with its sizes and tokens, and all of it together."""
    question = "What is the date?"
    kinds = {"receipt.png": "image/png", "letter.pdf": "application/pdf", "clip.mp4": "video/mp4"}
    assert main(["ask", *(str(EXAMPLES / name) for name in kinds), question, "--media-tokens", "900", "--dry-run", "--json"]) == 0
    dry = json.loads(capsys.readouterr().out)
    parts = [{"type": "file", "file": {"file_data": data_url(name, kind), "filename": name}} for name, kind in kinds.items()]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]
    counted = nano.client.post("/v1/tokenize", json={"messages": messages, "media": {"media_tokens": 900}}).json()
    assert (counted["count"], counted["context_length"]) == (dry["prompt_tokens"], dry["context"])
    assert [Path(looked["file"]).name for looked in dry["looked_at"]] == [medium["name"] for medium in counted["media"]] == list(kinds)
    assert [(*view["size_before"], *view["size"], view["tokens"], view["page"], view["seconds"]) for view in dry["views"]] == [
        (view["width"], view["height"], view["seen_width"], view["seen_height"], view["tokens"], view["page"], view["time_s"])
        for medium in counted["media"]
        for view in medium["views"]
    ]
    assert ["; ".join(looked["notes"]) or None for looked in dry["looked_at"]] == [medium["left_out"] for medium in counted["media"]]
    assert any("smaller" in (medium["left_out"] or "") for medium in counted["media"])  # what was given up is said in both


def test_counting_text(nano):
    counted = nano.client.post("/v1/tokenize", json={"prompt": "Hello <|im_end|>", "return_tokens": True}).json()
    assert counted["tokens"] == nano.model.processor.tokenizer.encode("Hello <|im_end|>")
    refused(nano.client.post("/v1/tokenize", json={"prompt": "a", "messages": HELLO}), 400, "invalid_value")


def test_who_leaves_a_stream_ends_its_answer_and_disturbs_nobody(plain, receipt):
    with served(async_nano(plain, num_pages=64)) as server:
        body = json.dumps({"model": "nano", "messages": about("invoice.png", "Read the text."), "stream": True, "max_tokens": 400, "n": 3})
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        beside = []
        asking = threading.Thread(target=lambda: beside.append(server.chat(about("receipt.png", QUESTION)).json()))
        asking.start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
            sock.sendall((head + body).encode())
            seen = b""
            while b"content" not in seen:
                seen += sock.recv(65536)
        assert until(
            lambda: server.service.metrics.registry.get_sample_value("kimi_vl_requests_cancelled_total", {"stage": "answering"}) == 1
        )
        asking.join(30)
        assert beside[0]["choices"][0]["message"]["content"] == receipt.text
        assert server.is_at_rest()
        engine = server.model._engine
        assert until(lambda: engine.is_idle and engine.scheduler.pool.num_available == engine.limits.num_pages)
        engine.check_integrity()

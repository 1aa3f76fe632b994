"""The soak's own eyes: what it must not overlook."""

import json
import random
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def chat(content="12", finish="stop"):
    return {"choices": [{"index": 0, "message": {"content": content}, "finish_reason": finish}]}


def stream(*texts, finish="stop", end="data: [DONE]\n\n"):
    deltas = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts]
    deltas.append({"index": 0, "delta": {}, "finish_reason": finish})
    return "".join(f"data: {json.dumps({'choices': [delta]})}\n\n" for delta in deltas) + end


def checked(body, streams, status=200):
    """What a report finds wrong in an answer to which `12` is right."""
    from server_process import Response
    from server_questions import asked
    from soak_server import Report

    report, request = Report(), asked(random.Random(1), "text")
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    report.check(request, streams, Response(status, data), [["12", "", [], "stop"]])
    return report.wrong


def test_the_right_answer_is_right_whole_and_streamed():
    assert not checked(chat(), False)
    assert not checked(stream("1", "2"), True)


@pytest.mark.parametrize(
    ("body", "streams", "status"),
    [
        (chat("13"), False, 200),
        (chat(finish="length"), False, 200),
        (chat(), False, 500),
        ('{"choices": [', False, 200),
        (stream("1", "3"), True, 200),
        (stream("1", "2", end=""), True, 200),
        (stream("2", "1"), True, 200),
        ("", True, 200),
    ],
    ids=["another word", "another end", "another status", "half of it", "streamed: another", "no end", "out of order", "nothing"],
)
def test_a_wrong_answer_is_wrong(body, streams, status):
    assert len(checked(body, streams, status)) == 1


def test_a_bad_request_is_to_be_refused_as_it_should():
    from server_process import Response
    from server_questions import bad
    from soak_server import Report

    report, request = Report(), bad()[0]
    report.check(request, False, Response(400, b'{"error": {"code": "unknown_parameter", "type": ""}}'), None)
    assert not report.wrong
    report.check(request, False, Response(400, b'{"error": {"code": "internal_error", "type": ""}}'), None)
    report.check(request, False, Response(200, b"{}"), None)
    assert len(report.wrong) == 2


SOAKED = {"wrong": 0, "status_5xx": 0, "left_behind": {}, "faults_logged": [], "exit_code": 0}
FLOODED = {"faults_logged": [], "exit_code": 0, "statuses": {200: 3, 503: 9}, "offered": {"p99_ms": 4.0}, "bursts": {"p99_ms": 40.0}}


def test_every_target_that_is_missed_is_named():
    from soak_server import missed

    assert missed({"soak": SOAKED, "overload": FLOODED}) == []
    for name, value in {"wrong": 1, "status_5xx": 1, "left_behind": {"cache_pages_held": 1.0}, "exit_code": 70}.items():
        assert missed({"soak": {**SOAKED, name: value}}) == [name]
    assert missed({"overload": {**FLOODED, "offered": {"p99_ms": 50.1}}}) == ["rejections p99 (offered)"]
    assert missed({"overload": {**FLOODED, "bursts": {"p99_ms": None}}}) == ["rejections p99 (bursts)"]  # nobody was rejected
    assert missed({"overload": {**FLOODED, "statuses": {200: 3, 503: 9, 0: 1}}}) == ["overload statuses"]


def test_the_median_of_many_rounds_has_an_interval_around_it():
    from bench_server import interval

    low, high = interval([0.02 + 0.01 * (k % 3 - 1) for k in range(30)])
    assert 0.005 < low <= 0.02 <= high < 0.035


def test_a_sum_of_many_clients_loses_nothing():
    """Sixty-four who wait for each other: a sum over an await would keep what the last of them adds."""
    import asyncio

    from bench_server import throughput

    class Way:
        async def ask(self, client, text, tokens):
            await asyncio.sleep(0)
            return tokens

        def cpu_s(self):
            return 0.0

    _, _, total = asyncio.run(throughput(Way(), ["?"] * 128, 64, 16))
    assert total == 128 * 16

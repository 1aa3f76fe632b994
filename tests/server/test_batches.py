"""`/v1/batches`: every line is answered once, whatever happens to the process, and nobody who waits has to wait for them."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import openai
import pytest

from kimi_vl.errors import CheckpointError, EngineBusy
from kimi_vl.server.batches import work as work_module
from kimi_vl.server.batches.folder import BEGUN, OUTPUT, Batch, BatchFolder, State
from kimi_vl.server.files import home as home_of
from tests.server.conftest import async_nano
from tests.server.serving import HELLO, Script, ScriptedModel, refused, served, until

ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"
OVER = ("completed", "failed", "expired", "cancelled")


def line(k, body=None, url=CHAT, **fields):
    body = {"model": "scripted", "messages": [{"role": "user", "content": f"number {k}"}]} if body is None else body
    return {"custom_id": f"line-{k}", "method": "POST", "url": url, "body": body, **fields}


def upload(server, lines, purpose="batch", headers=None):
    data = b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)
    sent = server.client.post("/v1/files", files={"file": ("in.jsonl", data)}, data={"purpose": purpose}, headers=headers or {})
    return sent.json()["id"]


def create(server, file_id, endpoint=CHAT, headers=None, **fields):
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", **fields}
    return server.client.post("/v1/batches", json=body, headers=headers or {})


def get(server, batch_id):
    return server.client.get(f"/v1/batches/{batch_id}").json()


def finished(server, batch):
    """The batch once it is over, its output and its errors by custom_id."""
    assert until(lambda: get(server, batch["id"])["status"] in OVER, 30), get(server, batch["id"])
    batch = get(server, batch["id"])
    return batch, *({one["custom_id"]: one for one in content(server, batch[name])} for name in ("output_file_id", "error_file_id"))


def content(server, file_id):
    return [json.loads(one) for one in server.client.get(f"/v1/files/{file_id}/content").text.splitlines()] if file_id else []


def test_a_batch_by_the_official_client(nano):
    bodies = [
        {"model": "nano", "messages": HELLO, "max_tokens": 8},
        {"model": "nano", "messages": HELLO, "temperature": 3},
        {"model": "other", "messages": HELLO},
    ]
    data = b"".join(json.dumps(line(k, body)).encode() + b"\n" for k, body in enumerate(bodies))
    with openai.OpenAI(base_url=f"http://127.0.0.1:{nano.port}/v1", api_key="unused", max_retries=0) as client:
        file = client.files.create(file=("in.jsonl", data), purpose="batch")
        made = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"for": "us"})
        client.files.delete(file.id)  # the batch has its own
        assert (made.status, made.object, made.metadata) == ("validating", "batch", {"for": "us"})
        assert until(lambda: client.batches.retrieve(made.id).status == "completed", 20)
        batch = client.batches.retrieve(made.id)
        assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (3, 1, 2)
        [good] = [json.loads(one) for one in client.files.content(batch.output_file_id).text.splitlines()]
        assert (good["custom_id"], good["response"]["status_code"], good["error"]) == ("line-0", 200, None)
        alone = nano.chat(HELLO, max_tokens=8).json()["choices"]
        assert good["response"]["body"]["choices"] == alone
        bad = {one["custom_id"]: one["response"] for one in map(json.loads, client.files.content(batch.error_file_id).text.splitlines())}
        assert bad["line-1"]["body"]["error"]["param"] == "temperature"
        assert (bad["line-1"]["status_code"], bad["line-2"]["status_code"]) == (400, 404)
        assert client.files.retrieve(batch.output_file_id).purpose == "batch_output"
        with pytest.raises(openai.BadRequestError):
            client.batches.cancel(made.id)
        assert [one.id for one in client.batches.list(limit=1)] == [made.id]
        with pytest.raises(openai.NotFoundError):
            client.batches.retrieve("batch_" + "0" * 32)


def test_every_route_that_answers_and_what_a_line_cannot_ask(scripted):
    scripted.model.script = Script("fine")
    bodies = {
        "/v1/completions": {"model": "scripted", "prompt": "Hello"},
        "/v1/responses": {"model": "scripted", "input": "Hello"},
        CHAT: {"model": "scripted", "messages": HELLO},
    }
    for endpoint, body in bodies.items():
        lines = [line(0, body, endpoint), line(1, {**body, "stream": True}, endpoint), line(2, {**body, "background": True}, endpoint)]
        _, output, errors = finished(scripted, create(scripted, upload(scripted, lines), endpoint).json())
        assert output["line-0"]["response"]["body"]["model"] == "scripted"
        assert {errors[name]["response"]["body"]["error"]["param"] for name in ("line-1", "line-2")} == {"stream", "background"}
        assert scripted.model.questions[-1].priority == 1


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([], "empty_file", None),
        ([line(0), b"{"], "invalid_json", 2),
        ([line(0), b'{"custom_id": "a", "custom_id": "b"}'], "duplicate_key", 2),
        ([line(0), line(0)], "duplicate_custom_id", 2),
        ([line(0, method="GET")], "invalid_value", 1),
        ([line(0, url="/v1/completions")], "mismatched_url", 1),
        ([line(0, extra=1)], "unknown_parameter", 1),
        ([{"custom_id": "a", "method": "POST", "url": CHAT}], "missing_parameter", 1),
        ([line(0, {"model": "scripted", "messages": [{"role": "user", "content": "x" * 3000}]})], "line_too_large", 1),
        ([b"\xff\xfe"], "invalid_json", 1),
        ([b"[" * 100], "invalid_json", 1),
        ([line(k) for k in range(6)], "too_many_lines", None),
        ([b" " * 5000], "batch_too_large", None),
    ],
)
def test_inputs_that_cannot_be(strict, lines, code, number):
    batch, output, errors = finished(strict, create(strict, upload(strict, lines)).json())
    assert (batch["status"], output, errors) == ("failed", {}, {})
    first = batch["errors"]["data"][0]
    assert (first["code"], first["line"]) == (code, number)
    assert not strict.model.questions


@pytest.fixture(scope="module")
def strict():
    with served(ScriptedModel(), body_bytes=2000, batch_lines=5, batch_bytes=4500) as server:
        yield server


def test_batches_that_cannot_be(scripted):
    file = upload(scripted, [line(0)])
    refused(create(scripted, file, "/v1/embeddings"), 400, "invalid_value", "endpoint")
    refused(create(scripted, file, completion_window="1h"), 400, "invalid_value", "completion_window")
    refused(create(scripted, file, surprise=1), 400, "unknown_parameter", "surprise")
    refused(create(scripted, "file-" + "0" * 32), 404, "file_not_found", "input_file_id")
    refused(create(scripted, "../../etc/passwd"), 404, "file_not_found", "input_file_id")
    refused(create(scripted, upload(scripted, [line(0)], "user_data")), 400, "invalid_value", "input_file_id")
    for path in ("/v1/batches/none", "/v1/batches/..%2f..%2fx"):
        assert scripted.client.get(path).status_code == 404
    refused(scripted.client.post("/v1/batches/batch_0/cancel"), 404, "batch_not_found")


def test_nobody_waits_for_a_batch_and_it_can_be_cancelled():
    """Lines that never end take no slot of those who wait; what was answered before is kept."""
    gate = threading.Event()
    with served(ScriptedModel(max_running=1), batch_running=2, waiting=0) as server:
        done = create(server, upload(server, [line(0)])).json()
        finished(server, done)
        server.model.script = Script(gate)
        batch = create(server, upload(server, [line(k) for k in range(5)])).json()
        assert until(lambda: len(server.model.answers) == 3)
        server.model.script = Script("now")
        assert server.chat().json()["choices"][0]["message"]["content"] == "now"
        assert [question.priority for question in server.model.questions] == [1, 1, 1, 0]
        assert server.client.post(f"/v1/batches/{batch['id']}/cancel").json()["status"] == "cancelling"
        batch, output, errors = finished(server, batch)
        assert (batch["status"], output, errors) == ("cancelled", {}, {})
        assert all(answer.closed for answer in server.model.answers)
        assert {one["id"] for one in server.client.get("/v1/batches").json()["data"]} == {done["id"], batch["id"]}


def test_what_fails_is_told_or_tried_again(scripted, monkeypatch):
    monkeypatch.setattr(work_module, "RETRY_S", 0.01)
    busy = [EngineBusy("full"), EngineBusy("full")]
    real = scripted.model.answer

    async def answer(question, params, **fields):
        if busy:
            raise busy.pop()
        text = scripted.model.processor.tokenizer.decode(question.input_ids)
        scripted.model.script = Script(CheckpointError("bad") if "number 1" in text else "fine")
        return await real(question, params, **fields)

    monkeypatch.setattr(scripted.model, "answer", answer)
    batch, output, errors = finished(scripted, create(scripted, upload(scripted, [line(k) for k in range(3)])).json())
    assert (batch["status"], output.keys(), errors.keys()) == ("completed", {"line-0", "line-2"}, {"line-1"})
    assert errors["line-1"]["response"]["body"]["error"]["code"] == "model_output_invalid"
    assert not busy


def test_a_batch_has_its_time(tmp_path):
    gate = threading.Event()
    with served(ScriptedModel(Script(gate)), batch_s=1) as server:
        batch, output, errors = finished(server, create(server, upload(server, [line(k) for k in range(3)])).json())
        gate.set()
        assert (batch["status"], output, batch["request_counts"]["failed"]) == ("expired", {}, 3)
        assert {one["error"]["code"] for one in errors.values()} == {"batch_expired"}
        assert {one["response"] for one in errors.values()} == {None}


def test_batches_are_a_tenants_own_and_not_too_many():
    keys = (("anna", "anna-secret-1"), ("ben", "ben-secret-22"))
    anna, ben = ({"authorization": f"Bearer {secret}"} for _, secret in keys)
    gate = threading.Event()
    with served(ScriptedModel(Script(gate)), keys=keys, batches=1) as server:
        file = upload(server, [line(0)], headers=anna)
        refused(create(server, file, headers=ben), 404, "file_not_found")
        batch = create(server, file, headers=anna).json()
        path = f"/v1/batches/{batch['id']}"
        refused(server.client.get(path, headers=ben), 404, "batch_not_found")
        refused(server.client.post(f"{path}/cancel", headers=ben), 404, "batch_not_found")
        assert server.client.get("/v1/batches", headers=ben).json()["data"] == []
        refused(create(server, file, headers=anna), 429, "quota_exceeded")
        gate.set()
        assert until(lambda: server.client.get(path, headers=anna).json()["status"] == "completed")
        assert until(lambda: create(server, file, headers=anna).status_code == 200)
        refused(server.client.get(path, headers=anna), 404, "batch_not_found")


def test_a_server_that_is_stopped_leaves_the_rest_to_the_next(tmp_path):
    gate = threading.Event()
    with served(ScriptedModel(max_running=2), data=str(tmp_path), batch_running=1) as server:
        server.model.script = Script("first")
        batch = create(server, upload(server, [line(k) for k in range(4)])).json()
        assert until(lambda: get(server, batch["id"])["request_counts"]["completed"] >= 1)
        server.model.script = Script(gate)
    with served(ScriptedModel(Script("second")), data=str(tmp_path)) as server:
        batch, output, errors = finished(server, batch)
        said = Counter(one["response"]["body"]["choices"][0]["message"]["content"] for one in output.values())
        assert (batch["status"], len(output), errors) == ("completed", 4, {})
        assert said["first"] >= 1
        assert said["first"] + said["second"] == 4
        assert batch["request_counts"] == {"total": 4, "completed": 4, "failed": 0}


def test_torn_journals_are_cut_and_a_line_that_ends_every_process_is_given_up(tmp_path):
    source = tmp_path / "in"
    source.write_bytes(b"".join(json.dumps(line(k)).encode() + b"\n" for k in range(3)))
    home = tmp_path / "batches" / home_of(Path(), "everybody")
    batch = Batch(
        "batch_" + "a" * 32, CHAT, "file-0", "24h", int(time.time()), int(time.time()) + 1000, {}, "scripted", status="in_progress"
    )
    folder = BatchFolder.create(home / batch.id, State("everybody", batch), source)
    whole = b'{"id":"x","custom_id":"line-0","response":null,"error":null}'
    folder.extend(OUTPUT, (whole,))
    with (folder.path / OUTPUT).open("ab") as file:
        file.write(whole[:30])
    (folder.path / BEGUN).write_bytes(b'"line-0"\n"line-1"\n' + b'"line-2"\n' * work_module.MOST_TRIES + b'"li')
    with served(ScriptedModel(Script("fine")), data=str(tmp_path)) as server:
        found, output, errors = finished(server, {"id": batch.id})
        assert found["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
        assert (output["line-0"], output.keys(), errors.keys()) == (json.loads(whole), {"line-0", "line-1"}, {"line-2"})
        assert len(content(server, found["output_file_id"])) == 2


def test_files_of_a_batch_are_made_once_however_often_that_is_begun(tmp_path):
    home = home_of(tmp_path / "batches", "everybody")
    file_id, now = "file-" + "c" * 32, int(time.time())
    facts = {"status": "finalizing", "finalizing_at": now, "output_file_id": file_id}
    batch = Batch("batch_" + "c" * 32, CHAT, "file-0", "24h", now, now + 1000, {}, "scripted", **facts)
    (tmp_path / "in").write_bytes(json.dumps(line(0)).encode())
    folder = BatchFolder.create(home / batch.id, State("everybody", batch), tmp_path / "in")
    folder.extend(OUTPUT, (b'{"id":"x","custom_id":"line-0","response":null,"error":null}',))
    for _ in range(2):  # ended between making the file and saying so
        folder.save()
        with served(ScriptedModel(), data=str(tmp_path)) as server:
            found, output, _ = finished(server, {"id": batch.id})
            assert (found["status"], output.keys(), found["output_file_id"]) == ("completed", {"line-0"}, file_id)
            assert len(server.client.get("/v1/files").json()["data"]) == 1


@contextmanager
def held_at(engine, *numbers):
    """Steps of these numbers wait for their gate; (reached, gate) of each, and all gates are open in the end."""
    reached, gates = ({number: threading.Event() for number in numbers} for _ in range(2))
    step, count = engine.step, itertools.count(1)

    def stepped():
        number = next(count)
        if number in gates:
            reached[number].set()
            gates[number].wait(60)
        return step()

    engine.step = stepped
    try:
        yield [(reached[number], gates[number]) for number in numbers]
    finally:
        for gate in gates.values():
            gate.set()


def test_the_engine_lets_who_waits_go_first(plain):
    """A line that has the only place of the engine gives it up, and says in the end what it says alone."""
    with (
        served(async_nano(plain, max_running=1)) as server,
        ThreadPoolExecutor(1) as pool,
        held_at(server.model._engine, 5, 30) as ((is_writing, gate), (is_long_after, last)),
    ):
        body = {"model": "nano", "messages": HELLO, "max_tokens": 60, "logit_bias": {str(plain.processor.tokenizer.encode("a")[0]): 100}}
        batch = create(server, upload(server, [line(0, body)])).json()
        assert is_writing.wait(60)
        assert server.model.activity.running == 1
        chat = pool.submit(server.chat, max_tokens=2)
        assert until(lambda: not server.model._front._commands.empty(), 60)
        gate.set()
        assert is_long_after.wait(60)  # the line takes 60 steps, the chat a few
        assert chat.result().status_code == 200
        assert get(server, batch["id"])["request_counts"]["completed"] == 0
        assert server.model.activity.preempted == 1
        last.set()
        _, output, _ = finished(server, batch)
        assert output["line-0"]["response"]["body"]["choices"] == server.chat(**body | {"messages": HELLO}).json()["choices"]


@contextmanager
def process(data, tmp_path, number):
    """A server that can be killed, and its address."""
    port = tmp_path / f"port-{number}"
    command = [sys.executable, "-m", "tests.server.batch_server", str(data), str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert until(port.exists, 60)
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port.read_text()}/v1", api_key="unused", max_retries=0) as client:
            yield running, client
    finally:
        with suppress(ProcessLookupError):
            running.send_signal(signal.SIGKILL)
        running.wait(30)


def test_a_server_that_is_killed_loses_no_line_and_answers_none_twice(tmp_path):
    data, count = tmp_path / "data", 80
    lines = b"".join(json.dumps(line(k)).encode() + b"\n" for k in range(count))
    with process(data, tmp_path, 1) as (running, client):
        file = client.files.create(file=("in.jsonl", lines), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        journal = next((data / "batches").glob(f"*/{batch.id}")) / OUTPUT
        assert until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 10, 30)
        running.send_signal(signal.SIGKILL)
        running.wait(30)
    written = journal.read_bytes()
    before = written[: written.rindex(b"\n") + 1].splitlines()
    assert 10 <= len(before) < count
    with process(data, tmp_path, 2) as (_, client):
        assert until(lambda: client.batches.retrieve(batch.id).status == "completed", 30)
        after = client.files.content(client.batches.retrieve(batch.id).output_file_id).content.splitlines()
        assert client.batches.retrieve(batch.id).error_file_id is None
    assert after[: len(before)] == before
    answers = [json.loads(one) for one in after]
    assert sorted(one["custom_id"] for one in answers) == sorted(f"line-{k}" for k in range(count))
    for one in answers:
        assert one["response"]["body"]["choices"][0]["message"]["content"] == f"number {one['custom_id'].removeprefix('line-')}"


def test_a_disk_that_takes_nothing_is_waited_for(monkeypatch):
    """No line is lost over it, and none counts before it is written."""
    monkeypatch.setattr(work_module, "DISK_S", 0.05)
    full = threading.Event()
    real = BatchFolder.extend

    def extend(self, journal, lines):
        if full.is_set():
            raise OSError(28, "No space left on device")
        real(self, journal, lines)

    monkeypatch.setattr(BatchFolder, "extend", extend)
    with served(ScriptedModel()) as server:
        full.set()
        batch = create(server, upload(server, [line(k) for k in range(3)])).json()
        assert until(lambda: len(server.model.answers) >= 6)  # asked again
        assert get(server, batch["id"])["request_counts"]["completed"] == 0
        full.clear()
        batch, output, _ = finished(server, batch)
        assert (batch["status"], len(output)) == ("completed", 3)


def test_what_stands_where(tmp_path):
    """Unknown names in the folder are nobody's batch, and nothing is read from them."""
    (tmp_path / "batches" / home_of(Path(), "everybody") / ("batch_" + "b" * 32)).mkdir(parents=True)
    with served(ScriptedModel(), data=str(tmp_path)) as server:
        assert server.client.get("/v1/batches").json()["data"] == []

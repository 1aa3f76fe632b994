"""deploy/cog in Cog's own HTTP server, with nano. Skipped where there is no `cog`: COG_PYTHON names a Python that has it."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from typing import Any

import jsonschema
import pytest

from kimi_vl import KimiVL
from tests.tiny_checkpoint import write_tiny_checkpoint

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("COG_PYTHON", sys.executable)
pytestmark = pytest.mark.skipif("COG_PYTHON" not in os.environ and find_spec("cog") is None, reason="needs the package cog")
EXAMPLES = ROOT / "examples"


def sent(name: str, kind: str) -> str:
    """A file as Cog's clients send it."""
    return f"data:{kind};base64,{base64.b64encode((EXAMPLES / name).read_bytes()).decode()}"


RECEIPT, SHAPES = sent("receipt.png", "image/png"), sent("shapes.png", "image/png")
QUESTION = {"prompt": "What do the rye bread and the cheddar cost together?", "image": RECEIPT, "temperature": 0.0}

# Of what `cog build` writes, the part that lets the server stream; ranges and choices are checked by it too, and here by the package.
BUILT = {"openapi": "3.0.2", "paths": {"/predictions": {"x-cog-streaming": True, "post": {"x-cog-streaming": True}}}}


class Server:
    def __init__(self, stub: str, room: Path) -> None:
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        folder = room / "cog"
        shutil.copytree(ROOT / "deploy/cog", folder)
        (folder / ".cog").mkdir()
        (folder / ".cog/openapi_schema.json").write_text(json.dumps(BUILT))
        paths = os.pathsep.join([str(folder), str(ROOT / "src"), *(path for path in sys.path if path.endswith("site-packages"))])
        self.instruct = write_tiny_checkpoint(room / "weights" / "instruct")
        known = {"PORT": str(self.port), "COG_PREDICT_TYPE_STUB": stub, "KIMI_VL_VARIANT": "nano", "PYTHONPATH": paths}
        known["KIMI_VL_WEIGHTS"] = str(room / "weights")
        known["PATH"] = os.pathsep.join([str(Path(PYTHON).parent), os.environ["PATH"]])  # its worker is the first `python` there
        self.log = room / "log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [PYTHON, "-m", "cog.server.http", "--host", "127.0.0.1"], cwd=folder, env=os.environ | known, stdout=out, stderr=out
            )

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=600)
        given = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
        with closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), given)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def predict(self, **inputs: Any) -> tuple[int, dict[str, Any]]:
        """Waits for its turn: a slot is given back a moment after the answer that held it."""
        pause = threading.Event()
        for _ in range(100):
            status, text = self.ask("POST", "/predictions", {"input": QUESTION | inputs})
            if status != 409:
                break
            pause.wait(0.1)
        return status, json.loads(text)

    def health(self) -> str:
        try:
            return json.loads(self.ask("GET", "/health-check")[1])["status"]
        except OSError:
            return "STARTING"

    def wait_for(self, state: str) -> None:
        pause = threading.Event()
        for _ in range(600):
            if (now := self.health()) == state:
                return
            assert now != "SETUP_FAILED"
            assert self.process.poll() is None
            pause.wait(0.1)
        raise AssertionError(f"the server is {now}, not {state}")


@pytest.fixture(scope="module", params=["run.py:Runner", "predict.py:Predictor"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(request.param, tmp_path_factory.mktemp("room"))
    try:
        served.wait_for("READY")
        yield served
    finally:
        served.process.terminate()
        served.process.wait(30)
        print(served.log.read_text()[-3000:])  # noqa: T201 - pytest shows it where a test fails


def test_an_answer_comes_in_pieces(server: Server) -> None:
    status, reply = server.predict()
    assert (status, reply["status"]) == (200, "succeeded"), reply
    assert len(reply["output"]) > 3
    assert "".join(reply["output"]).endswith("◁/think▷8.05")


def test_without_thinking_only_the_answer(server: Server) -> None:
    _, reply = server.predict(thinking="off")
    assert "think▷" not in "".join(reply["output"])


def answered(names: list[str], folder: Path | None = None, **options: Any) -> str:
    """What the library says, of itself."""
    media = [EXAMPLES / name for name in names]
    return KimiVL.load(folder).ask(QUESTION["prompt"], media, temperature=0.0, thinking="off", max_tokens=12, **options).text


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        ({"images": [SHAPES, RECEIPT]}, ["shapes.png", "receipt.png"]),
        ({"image": RECEIPT, "images": [SHAPES]}, ["receipt.png", "shapes.png"]),
        ({"video": sent("clip.mp4", "video/mp4")}, ["clip.mp4"]),
        ({"pdf": sent("timetable.pdf", "application/pdf")}, ["timetable.pdf"]),
        ({"image": RECEIPT, "pdf": sent("letter.pdf", "application/pdf")}, ["receipt.png", "letter.pdf"]),
    ],
    ids=["pictures", "a picture and more", "video", "pdf", "picture and pdf"],
)
def test_what_is_sent_is_seen(server: Server, inputs: dict[str, Any], names: list[str]) -> None:
    _, reply = server.predict(**{"image": None, "thinking": "off", "max_length_tokens": 12} | inputs)
    assert reply["status"] == "succeeded", reply
    said = "".join(reply["output"])
    assert said == answered(names)
    assert said != answered([])


def test_an_answer_keeps_to_a_schema(server: Server) -> None:
    schema = (EXAMPLES / "total.schema.json").read_text()
    _, reply = server.predict(schema=schema, thinking="off")
    jsonschema.validate(json.loads("".join(reply["output"])), json.loads(schema))


def test_another_variant_is_loaded_from_its_folder_and_stays(server: Server) -> None:
    few = {"thinking": "off", "max_length_tokens": 12}
    expected = answered(["receipt.png"], server.instruct)
    for inputs in ({"variant": "instruct"}, {}):
        _, reply = server.predict(**few, **inputs)
        assert "".join(reply["output"]) == expected
    _, reply = server.predict(**few, variant="nano")
    assert "".join(reply["output"]) == answered(["receipt.png"]) != expected


def test_pieces_are_streamed(server: Server) -> None:
    server.wait_for("READY")
    status, text = server.ask("POST", "/predictions", {"input": QUESTION}, Accept="text/event-stream")
    assert status == 200
    assert text.count("event: output") > 3
    assert "event: completed" in text


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"image": "data:image/png;base64," + base64.b64encode(b"no picture at all").decode()}, "MediaError"),
        ({"prompt": " "}, "prompt is empty"),
        ({"schema": "{"}, "schema"),
        ({"variant": "gpt"}, "variant is 'gpt'"),
        ({"top_p": 2.0}, "top_p"),
    ],
)
def test_bad_input_is_one_error(server: Server, inputs: dict[str, Any], words: str) -> None:
    _, reply = server.predict(**inputs)
    assert reply["status"] == "failed"
    assert words in reply["error"], reply["error"]
    assert "Traceback" not in reply["error"]
    assert not reply.get("output")


def test_one_at_a_time_and_cancel(server: Server) -> None:
    long = {"input": {"prompt": "Count.", "temperature": 2.0, "max_length_tokens": 100_000, "seed": 1}}
    server.wait_for("READY")
    assert server.ask("PUT", "/predictions/first", long, Prefer="respond-async")[0] == 202
    assert server.ask("POST", "/predictions", {"input": QUESTION})[0] == 409
    assert server.ask("POST", "/predictions/first/cancel")[0] == 200
    server.wait_for("READY")
    assert server.predict()[1]["status"] == "succeeded"

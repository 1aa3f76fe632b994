"""The OpenAPI document is what the server takes: requests made from it, right ones and wrong ones, never find a fault of ours."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from kimi_vl.server import create_app
from tests.server.serving import ScriptedModel

DOCUMENT = create_app(ScriptedModel()).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)


def test_the_document_holds_every_route():
    answering = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
    assert {(path, "post") for path in (*answering, "/v1/responses/{response_id}/cancel")} <= {*OPERATIONS}
    assert {("/v1/responses/{response_id}", method) for method in ("get", "delete")} <= {*OPERATIONS}
    assert ("/v1/responses/{response_id}/input_items", "get") in OPERATIONS
    assert {("/v1/batches", "post"), ("/v1/batches", "get"), ("/v1/batches/{batch_id}", "get")} <= {*OPERATIONS}
    assert ("/v1/batches/{batch_id}/cancel", "post") in OPERATIONS
    assert len(OPERATIONS) >= 23
    assert DOCUMENT["components"]["schemas"]["ChatRequest"]["additionalProperties"] is False


CASES = [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
CASES += [(path, method, GenerationMode.NEGATIVE) for path, method in OPERATIONS if "requestBody" in DOCUMENT["paths"][path][method]]


@pytest.mark.parametrize(("path", "method", "mode"), CASES, ids=lambda value: getattr(value, "value", value))
def test_no_request_finds_a_fault(scripted, path, method, mode):
    operation = SCHEMA[path][method]

    @QUICK
    @given(st.data())
    def check(data):
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if isinstance(case.body, dict) and data.draw(st.integers(0, 3)):
            case.body["model"] = "scripted"  # behind the first door
        response = case.call(base_url=f"http://127.0.0.1:{scripted.port}")
        assert response.status_code < 500, response.content[:500]
        if response.status_code >= 400:
            keys = {"message", "type"} if path.startswith("/v1/messages") else {"message", "type", "param", "code"}
            assert response.json()["error"].keys() == keys
            assert len(response.content) < 4096

    check()

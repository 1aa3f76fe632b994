import logging

import pytest
import structlog

from kimi_vl.engine import Limits
from kimi_vl.llm import AsyncKimiVL
from kimi_vl.llm.kimi_vl import KimiVL
from tests.server.serving import ScriptedModel, Served


@pytest.fixture(scope="session")
def plain():
    """nano by the plain path: what each answer should be."""
    return KimiVL.load(device="cpu")


def async_nano(plain, **limits):
    values = {"num_pages": 512, "page_size": 64, "max_running": 8, "step_tokens": 1024, **limits}
    return AsyncKimiVL(plain, Limits(**values))


@pytest.fixture(scope="module")
def nano(plain):
    """A server of nano, for all tests of a file."""
    server = Served(async_nano(plain)).start()
    yield server
    assert server.is_at_rest()
    server.model._engine.check_integrity()
    assert server.stop() == 0


@pytest.fixture(scope="module")
def scripted():
    """A server of a scripted model, for all tests of a file that need no model of their own."""
    server = Served(ScriptedModel()).start()
    yield server
    assert server.is_at_rest()
    assert server.stop() == 0


@pytest.fixture(autouse=True)
def _no_log_lines():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()

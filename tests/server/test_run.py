"""Whose threads compute in a process that serves."""

import threading
from pathlib import Path

import pytest
import torch

from kimi_vl.cli.serve import asked_threads
from kimi_vl.errors import InputError
from kimi_vl.server.run import load
from tests.server.serving import until


def threads():
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def in_a_thread(work):
    given = []
    thread = threading.Thread(target=lambda: given.append(work()))
    thread.start()
    thread.join()
    return given[0]


@pytest.fixture(autouse=True)
def as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def computed():
    """Something that takes a team; who is in it."""
    before = threads()
    torch.ones(1 << 20).add(1)
    return threads() - before, torch.get_num_threads()


def test_what_loads_a_model_leaves_no_team_behind():
    team, count = load(computed, threads=3)
    assert count == 3
    assert len(team) == 2
    assert until(lambda: not team & threads())


def test_one_processor_is_left_to_others_unless_somebody_said_so():
    torch.set_num_threads(3)
    assert load(torch.get_num_threads) == 2
    assert torch.get_num_threads() == 1
    assert in_a_thread(torch.get_num_threads) == 1
    assert load(torch.get_num_threads) == 1  # never none


def test_what_loading_raises_is_raised():
    def fails():
        raise InputError("there is no such checkpoint")

    with pytest.raises(InputError, match="no such"):
        load(fails)


@pytest.mark.parametrize(("value", "threads"), [("", None), ("3", 3), ("4,2", 4), ("0", None), ("many", None)])
def test_how_many_threads_somebody_asked_for(value, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert asked_threads() == threads

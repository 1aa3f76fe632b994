from pathlib import Path

import pytest
from PIL import Image

from tests.cli.terminal import Terminal
from tests.tiny_checkpoint import write_tiny_checkpoint


@pytest.fixture
def terminal(monkeypatch, capsys) -> Terminal:
    return Terminal(monkeypatch, capsys)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def picture(tmp_path) -> str:
    path = tmp_path / "receipt.png"
    Image.linear_gradient("L").resize((90, 60)).convert("RGB").save(path)
    return str(path)


@pytest.fixture
def clip(tmp_path) -> str:
    """An animation of three frames, half a second each."""
    path = tmp_path / "clip.gif"
    pictures = [Image.new("RGB", (56, 28), colour) for colour in ("red", "green", "blue")]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500)
    return str(path)

"""Only `-m hf` reads the files that import transformers: it takes seconds, in every worker."""

from pathlib import Path

import pytest

ALL_MARKED = ("test_doors.py", "test_model.py", "test_peft.py", "test_processor.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path.name in ALL_MARKED and "not hf" in config.option.markexpr else None

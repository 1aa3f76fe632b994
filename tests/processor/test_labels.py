"""The text before a frame or a page."""

import pytest

from kimi_vl.processor.labels import format_time, page_label, time_label


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (3.5, "0:03.5"), (59.96, "1:00.0"), (83.04, "1:23.0"), (3599.9, "59:59.9"), (3600, "1:00:00.0"), (3723.5, "1:02:03.5")],
)
def test_times_have_tenths_and_hours_only_where_there_are_any(seconds, text):
    assert format_time(seconds) == text
    assert time_label(seconds) == f"[{text}]"


def test_pages_count_from_one():
    assert page_label(3) == "[page 3]"

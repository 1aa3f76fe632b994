"""Rules that stand in for a language model behind an OCR program, and how a peer is asked."""

import pytest

from kimi_vl.errors import InputError
from kimi_vl.evaluation.peers import RapidOCR, Reader, Tesseract, find_items, find_number
from tests.evaluation.items import item

RECEIPT = """CORNER PANTRY
221 Mill Street, Ashford
Receipt: 004518 Date: 2024-05-09
Oat milk 1L 2.79
2 x Rye bread ........ 6.90
Tomatoes (3) $1.98
Tea 4 @ 0.50 2.00
Subtotal 13.67
Tax 5% 0.68
TOTAL 14.35
Cash 20.00
Change 5.65"""


def test_rows_with_prices_that_are_no_totals_are_articles():
    assert find_items(RECEIPT) == "Oat milk 1L 2.79\nRye bread 6.90\nTomatoes $1.98\nTea 2.00"


@pytest.mark.parametrize(
    ("text", "number"),
    [("Receipt: 004518 Date", "004518"), ("Invoice No. A-2024/17", "A-2024/17"), ("order # 77", "77"), ("Tel: 555", ""), ("", "")],
)
def test_a_number_stands_behind_its_word(text, number):
    assert find_number(text) == number


class Scripted(Reader):
    def __init__(self):
        super().__init__()
        self.seen = []

    def read(self, png, line):
        self.seen.append((png.suffix, line))
        return RECEIPT


def test_a_peer_reads_a_picture_once_and_parses_what_is_asked():
    peer = Scripted()
    asked = [("receipt", "read"), ("fields", "total"), ("fields", "date"), ("fields", "number"), ("items", "find")]
    texts = [response.text for response in peer.answers([item(task=task, tag=tag) for task, tag in asked])]
    assert texts == [RECEIPT, "14.35", "2024-05-09", "004518", find_items(RECEIPT)]
    assert peer.seen == [(".png", False)]
    peer.answers([item(task="line", family="line"), item(task="line", family="line", shade=9)])
    assert peer.seen == [(".png", False), (".png", True), (".png", True)]


def test_missing_programs_are_named_with_the_command_that_installs_them(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="apt-get install tesseract-ocr"):
        Tesseract(1)
    with pytest.raises(InputError, match="pip install rapidocr onnxruntime"):
        RapidOCR(tmp_path, 1)

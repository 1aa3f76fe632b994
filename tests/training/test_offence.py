"""Words that a pack's names are kept free of. The tests put words of their own on the list, which nobody minds reading."""

import lzma
import string

import pytest

from kimi_vl.training.synth.pack import text_file
from kimi_vl.training.synth.sources import build, lists, offence


@pytest.fixture
def toy_lists(monkeypatch):
    monkeypatch.setattr(offence, "INSIDE", frozenset({offence.digest("turnip")}))
    monkeypatch.setattr(offence, "WHOLE", frozenset({offence.digest("leek")}))


@pytest.mark.parametrize(
    "text",
    [
        "turnip",
        "Turnip",
        "TURNIPS",
        "turnip's",
        "Turnipham",
        "Overturnipton",
        "12 Turnipham Road",
        "Leek",
        "leeks",
        "leek's",
        "Anna Leek",
        "Leek-Hill",
    ],
)
def test_a_listed_word_is_found_whole_or_in_an_invented_name(text, toy_lists):
    assert offence.is_offensive(text)


@pytest.mark.parametrize("text", ["turn", "nip", "tur nip", "Leekham", "sleek", "gleeks", "", "12", "Ümlaut"])
def test_other_words_stay(text, toy_lists):
    assert not offence.is_offensive(text)


def test_the_lists_hold_digests_of_words_that_the_search_can_find():
    for entries in (offence.INSIDE, offence.WHOLE):
        assert len(entries) > 40
        assert all(len(entry) == 16 and set(entry) <= set("0123456789abcdef") for entry in entries)
    assert not offence.INSIDE & offence.WHOLE


def test_our_own_lists_lose_nothing():
    own = ",".join((lists.GROCERIES, lists.CAFE, lists.HARDWARE, lists.STATIONERY, lists.QUALITIES, lists.BRANDS, lists.COMPANY_KINDS))
    own = ",".join((own, lists.FIRST_NAMES, lists.SURNAMES, lists.STREET_KINDS))
    assert [entry for entry in lists.items(own) if offence.is_offensive(entry)] == []


def test_a_pack_is_built_without_them(tmp_path, monkeypatch, toy_lists):
    words = tmp_path / "usr/share/dict/american-english-huge"
    words.parent.mkdir(parents=True)
    surnames = [f"Zalt{letter}" for letter in string.ascii_lowercase]  # so many that each split gets one
    words.write_text("apple\nturnip\nTurnipham\nleek\nsleek\nTurnipson\nLeek\n" + "\n".join(surnames), encoding="utf-8")
    monkeypatch.setattr(build, "collect_prose", lambda unpacked: {split: [] for split in build.SPLITS})
    (tmp_path / "text").mkdir()
    build.write_text(tmp_path, {build.WORD_PACKAGE: tmp_path})
    held = {
        kind: "".join(lzma.decompress((tmp_path / text_file(kind, split)).read_bytes()).decode() for split in build.SPLITS).split("\n")
        for kind in ("words", "names", "products")
    }
    assert sorted(filter(None, held["words"])) == [*surnames, "apple", "sleek"]
    for kind in ("names", "products"):
        assert len(held[kind]) > 1000
        assert [entry for entry in held[kind] if "turnip" in entry.lower() or "Leek" in entry.split()] == []
    assert any("Zalt" in name for name in held["names"])

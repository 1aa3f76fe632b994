"""Tokenizer: what the official one gives for ordinary text, and nothing surprising for any other."""

import json
import time
from itertools import pairwise

import pytest
import regex
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.errors import CheckpointError, InputError
from kimi_vl.processor import IncrementalDecoder, Tokenizer
from kimi_vl.processor.tokenizer import MAX_TEXT_BYTES, PATTERN
from tests.processor.small import (
    CORPUS,
    NUM_RANKS,
    NUM_SLOTS,
    SPECIALS,
    learnt_ranks,
    rank_lines,
    small_tokenizer,
    special_entries,
    write_files,
)

TOKENIZER = small_tokenizer()


def official_pieces(text):
    """The official cutting, one character at a time: 400,000 characters, then runs of 25,000 of one kind."""
    for start in range(0, len(text), 400_000):
        piece = text[start : start + 400_000]
        begin, length, was_space = 0, 0, piece[0].isspace()
        for i, char in enumerate(piece):
            length = length + 1 if char.isspace() == was_space else 1
            was_space = char.isspace()
            if length > 25_000:
                yield piece[begin:i]
                begin, length = i, 1
        yield piece[begin:]


def official_ids(text, *, specials="none"):
    """tiktoken itself, over the official cutting; specials "all" is what the official `encode` does to every text."""
    encoding = tiktoken.Encoding("t", pat_str=PATTERN, mergeable_ranks=learnt_ranks(), special_tokens=TOKENIZER.special_ids)
    allowed = "all" if specials == "all" else set()
    return [i for piece in official_pieces(text) for i in encoding.encode(piece, allowed_special=allowed, disallowed_special=())]


def bpe(piece):
    """Merge the pair of least rank, again and again: what a rank file means."""
    ranks, tokens = learnt_ranks(), [bytes([b]) for b in piece.encode()]
    while True:
        found = [(ranks[a + b], i) for i, (a, b) in enumerate(pairwise(tokens)) if a + b in ranks]
        if not found:
            return [ranks[token] for token in tokens]
        i = min(found)[1]
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]


# The eight alternatives of MODEL_SPEC §5.4 in the dialect of the `regex` package, with the Han exclusion as a look-ahead.
NOT_HAN = r"(?!\p{Han})"
UPPER, LOWER = rf"(?:{NOT_HAN}[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}])", rf"(?:{NOT_HAN}[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}])"
ENGLISH = r"(?:'s|'t|'re|'ve|'m|'ll|'d|'S|'T|'RE|'VE|'M|'LL|'D|'Re|'rE|'Ve|'vE|'Ll|'lL|'ſ)?"
SPLIT = regex.compile(
    rf"\p{{Han}}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{ENGLISH}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{ENGLISH}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

WORDS = st.sampled_from(
    [
        "The",
        "total",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "42",
        "1234567",
        "'s",
        "'LL",
        "◁think▷",
        "So",
        "图像",
        "文字a",
        "É",
        "e\u0301",
        "<|im_end|>",
        "[EOS]",
        "…",
        "!!",
        "ǅ",
        "한",
    ]
)
TEXT = st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=12).map("".join))


OURS = regex.compile(f"(?V1){PATTERN}")

# One text for each thing the pattern says, cut by hand.
CUTS = {
    "Hello world": ["Hello", " world"],
    "camelCase ABCdef": ["camel", "Case", " ABCdef"],
    "1234567 in 2024": ["123", "456", "7", " in", " ", "202", "4"],
    "it's THEY'LL we'vex I'd": ["it's", " THEY'LL", " we've", "x", " I'd"],
    "图像中的字and字": ["图像中的字", "and", "字"],
    "a!!\n\nb ...\r\n": ["a", "!!\n\n", "b", " ...\r\n"],
    "a  \n \n  b": ["a", "  \n \n", " ", " b"],
    "end   ": ["end", "   "],
    "▷So (x) _y": ["▷So", " (", "x", ")", " _", "y"],
    "e\u0301te\u0301 Ünïcödé": ["e\u0301te\u0301", " Ünïcödé"],
}


@pytest.mark.parametrize("text", CUTS)
def test_text_is_cut_into_words_as_the_specification_says(text):
    assert OURS.findall(text) == SPLIT.findall(text) == CUTS[text]


@settings(max_examples=500, deadline=None)
@given(TEXT)
def test_any_text_is_cut_as_the_specification_says(text):
    assert OURS.findall(text) == SPLIT.findall(text)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_ids_are_what_the_pattern_and_the_ranks_say(text):
    if text.encode("utf-8", "replace").decode() != text:
        return
    assert TOKENIZER.encode(text) == [i for piece in SPLIT.findall(text) for i in bpe(piece)]


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_text_comes_back_from_its_ids_and_never_holds_a_control_token(text):
    ids = TOKENIZER.encode(text)
    assert all(i < NUM_RANKS for i in ids)
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.decode_bytes(ids) == text.encode()


def test_no_spelling_of_a_control_token_becomes_one():
    assert len(TOKENIZER.special_ids) == NUM_SLOTS
    for name, special in TOKENIZER.special_ids.items():
        for text in (name, f"a{name}b", name * 3, f" {name}\n"):
            ids = TOKENIZER.encode(text)
            assert max(ids) < NUM_RANKS
            assert TOKENIZER.decode(ids) == text
        assert official_ids(name, specials="all") == [special], "the official encoder falls for it"


@pytest.mark.parametrize("text", ["<|im\uff5cend|>", "<\uff5cim_end\uff5c>", "<|im_\u200bend|>", "<|\u0456m_end|>", "＜|im_end|＞"])
def test_look_alikes_of_control_tokens_are_ordinary_text(text):
    assert max(TOKENIZER.encode(text)) < NUM_RANKS
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


LONG = {
    "spaces": " " * 1_000_000,
    "newlines": "\n" * 300_000,
    "carets": "^" * 300_000,
    "letters": "a" * 300_000,
    "han": "图" * 100_000,
    "digits": "7" * 200_000,
    "marks": "e" + "\u0301" * 60_000,
    "spaces before a word": " " * 60_000 + "end",
    "exactly one run": "x" * 25_000,
    "one more": "x" * 25_001,
    "merges across a cut": "total" * 11_000 + "\n" + "the" * 20_000,
    "two runs and one": "y" * 50_001 + " " * 25_001 + "z" * 24_999,
    "across the piece border": "word " * 79_999 + "abc" * 40_000,
    "other spaces": "\u3000\x1c\u00a0" * 20_000,
    "lines": "a line of text\n" * 20_000,
}


@pytest.mark.parametrize("name", LONG)
def test_endless_runs_are_survived_and_cut_as_the_official_code_cuts(name):
    start = time.perf_counter()
    ids = TOKENIZER.encode(LONG[name])
    assert time.perf_counter() - start < 5
    assert TOKENIZER.decode(ids) == LONG[name]
    assert ids == official_ids(LONG[name])


def test_tiktoken_alone_does_not_survive_a_million_spaces():
    encoding = tiktoken.Encoding("t", pat_str=PATTERN, mergeable_ranks=learnt_ranks(), special_tokens={})
    with pytest.raises(BaseException, match="StackOverflow") as failure:
        encoding.encode_ordinary(" " * 1_000_000)
    assert not isinstance(failure.value, Exception)


def test_text_over_the_limit_is_refused_at_once():
    for text in ("a" * (MAX_TEXT_BYTES + 1), "é" * (MAX_TEXT_BYTES // 2 + 1)):
        start = time.perf_counter()
        with pytest.raises(InputError, match="at most 4,194,304 bytes"):
            TOKENIZER.encode(text)
        assert time.perf_counter() - start < 0.5


def test_text_at_the_limit_is_taken():
    text = "é " * (MAX_TEXT_BYTES // 3)
    assert len(text.encode()) > MAX_TEXT_BYTES - 3
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize("text", [None, b"bytes", 5, ["a"]])
def test_only_strings_are_encoded(text):
    with pytest.raises(InputError, match="text must be a string, not"):
        TOKENIZER.encode(text)


def test_lone_surrogates_become_replacement_characters():
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud800b")) == "a\ufffdb"
    assert TOKENIZER.decode(TOKENIZER.encode("\ud83d\ude00")) == "😀"


@pytest.mark.parametrize("bad", [-1, NUM_RANKS + NUM_SLOTS, 1 << 70, 1.5, "7", None])
def test_ids_outside_the_vocabulary_are_refused(bad):
    with pytest.raises(InputError, match="is not a token id; they are integers from 0 to 583"):
        TOKENIZER.decode([65, bad])


def test_control_tokens_are_had_by_name_and_decode_to_it():
    for name, offset in SPECIALS.items():
        assert TOKENIZER.special(name) == NUM_RANKS + offset
        assert TOKENIZER.decode([65, NUM_RANKS + offset, 66]) == f"A{name}B"
    assert TOKENIZER.end_ids == {NUM_RANKS + 1, NUM_RANKS + 2}
    assert TOKENIZER.special(f"<|reserved_token_{NUM_RANKS + 5}|>") == NUM_RANKS + 5
    with pytest.raises(CheckpointError, match=r"no control token '<\|nothing\|>'"):
        TOKENIZER.special("<|nothing|>")


def test_files_give_the_same_tokenizer(tmp_path):
    read = Tokenizer.from_files(*write_files(tmp_path))
    assert read.encode(CORPUS) == TOKENIZER.encode(CORPUS)
    assert read.special_ids == TOKENIZER.special_ids
    assert read.vocab_size == NUM_RANKS + NUM_SLOTS


def test_slots_reach_to_the_vocabulary_or_to_the_last_name(tmp_path):
    entries = {key: entry for key, entry in special_entries().items() if entry["content"] not in ("[UNK]", "[PAD]")}
    files = write_files(tmp_path, entries=entries)
    assert Tokenizer.from_files(*files).vocab_size == NUM_RANKS + 22
    whole = Tokenizer.from_files(*files, vocab_size=NUM_RANKS + 60)
    assert whole.vocab_size == NUM_RANKS + 60
    assert whole.special(f"<|reserved_token_{NUM_RANKS + 59}|>") == NUM_RANKS + 59
    assert Tokenizer.from_files(*files, vocab_size=NUM_RANKS + 10).vocab_size == NUM_RANKS + 22, "the last name lies beyond"


def test_a_tokenizer_without_a_closing_text_mark_still_ends_turns(tmp_path):
    entries = {key: entry for key, entry in special_entries().items() if entry["content"] != "[EOS]"}
    assert Tokenizer.from_files(*write_files(tmp_path, entries=entries)).end_ids == {NUM_RANKS + 2}


LINES = rank_lines()
BAD_RANKS = {
    "duplicate token": ([*LINES[:300], LINES[299].split()[0] + " 300", *LINES[301:]], "line 301: expected a new token with rank 300"),
    "duplicate rank": ([*LINES[:300], LINES[300].split()[0] + " 299", *LINES[301:]], "line 301: expected a new token with rank 300"),
    "gap": ([*LINES[:300], *LINES[301:]], "line 301: expected a new token with rank 300"),
    "bad base64": ([*LINES[:5], "@@@@ 5", *LINES[6:]], "line 6: expected base64, a space and a rank, found '@@@@ 5'"),
    "bad padding": ([*LINES[:5], "abc 5", *LINES[6:]], "line 6: expected base64"),
    "no rank": ([*LINES[:5], "Ng==", *LINES[6:]], "line 6: expected base64"),
    "rank is a word": ([*LINES[:5], "Ng== five", *LINES[6:]], "line 6: expected base64"),
    "empty token": ([*LINES, f" {len(LINES)}"], "line 457: expected a new token"),
    "bytes missing": (LINES[:200], "no token for byte 200 .56 of 256 are missing"),
    "empty": ([], "no token for byte 0"),
}


@pytest.mark.parametrize("case", BAD_RANKS)
def test_damaged_rank_files_are_refused(tmp_path, case):
    lines, message = BAD_RANKS[case]
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_files(*write_files(tmp_path, lines=lines))


def entries_with(**changes):
    return {**special_entries(), **changes}


BAD_SPECIALS = {
    "inside the ranks": (entries_with(**{"455": {"content": "<|x|>"}}), "'<|x|>' has id 455; ids below 456 are ordinary tokens"),
    "far away": (entries_with(**{"999999999": {"content": "<|x|>"}}), "at most 4096 slots follow"),
    "one name twice": (entries_with(**{"500": {"content": "<|im_end|>"}}), "'<|im_end|>' names two ids"),
    "a reserved name taken": (entries_with(**{"500": {"content": "<|reserved_token_501|>"}}), "gives one name to two ids"),
    "key is no number": (entries_with(x={"content": "<|x|>"}), "added_tokens_decoder has 'x'"),
    "negative key": (entries_with(**{"-3": {"content": "<|x|>"}}), "added_tokens_decoder has '-3'"),
    "no content": (entries_with(**{"500": {"name": "<|x|>"}}), "added_tokens_decoder has '500'"),
    "content is no string": (entries_with(**{"500": {"content": 5}}), "added_tokens_decoder has '500'"),
    "empty name": (entries_with(**{"500": {"content": ""}}), "added_tokens_decoder has '500'"),
    "media_pad missing": ({k: e for k, e in special_entries().items() if "pad" not in e["content"]}, r"names no <\|media_pad\|>"),
    "nothing named": ({}, r"names no <\|im_end\|>, <\|im_system\|>"),
    "not a mapping": ([1, 2], "has no added_tokens_decoder"),
}


@pytest.mark.parametrize("case", BAD_SPECIALS)
def test_damaged_special_tokens_are_refused(tmp_path, case):
    entries, message = BAD_SPECIALS[case]
    with pytest.raises(CheckpointError, match=message.replace("<|x|>", r"<\|x\|>").replace("'<|im_end|>'", r"'<\|im_end\|>'")):
        Tokenizer.from_files(*write_files(tmp_path, entries=entries))


@pytest.mark.parametrize("vocab_size", [NUM_RANKS - 1, NUM_RANKS + 5000])
def test_a_vocabulary_of_another_size_is_refused(tmp_path, vocab_size):
    with pytest.raises(CheckpointError, match="the tokenizer belongs to another checkpoint"):
        Tokenizer.from_files(*write_files(tmp_path), vocab_size=vocab_size)


def test_unreadable_files_are_refused_by_name(tmp_path):
    ranks, config = write_files(tmp_path)
    with pytest.raises(CheckpointError, match=r"nothing\.model does not exist"):
        Tokenizer.from_files(tmp_path / "nothing.model", config)
    with pytest.raises(CheckpointError, match="cannot be read"):
        Tokenizer.from_files(tmp_path, config)
    for content, message in {b"{": "not readable JSON", b"[]": "has no added_tokens_decoder", b"\xff\xfe": "cannot be read"}.items():
        config.write_bytes(content)
        with pytest.raises(CheckpointError, match=f"tokenizer_config.json.*{message}"):
            Tokenizer.from_files(ranks, config)
    config.write_text("[" * 200_000)
    with pytest.raises(CheckpointError, match="not readable JSON"):
        Tokenizer.from_files(ranks, config)


def test_the_official_layout_is_read_with_its_known_ids(tmp_path):
    ranks = dict(learnt_ranks())
    for i in range(163_584 - len(ranks)):
        ranks[b"\xff\xfe" + i.to_bytes(3, "big")] = len(ranks)
    entries = {str(163_584 + offset): {"content": name} for name, offset in SPECIALS.items() if offset < 126}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": entries}))
    (tmp_path / "tiktoken.model").write_text("\n".join(rank_lines(ranks)))
    tokenizer = Tokenizer.from_files(tmp_path / "tiktoken.model", tmp_path / "tokenizer_config.json", vocab_size=163_840)
    assert tokenizer.vocab_size == 163_840
    known = {"<|im_end|>": 163586, "<|im_system|>": 163594, "<|im_middle|>": 163601, "<|media_pad|>": 163605, "[EOS]": 163585}
    assert {name: tokenizer.special(name) for name in known} == known
    assert tokenizer.special("<|reserved_token_163838|>") == 163838


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 255), st.integers(0, NUM_RANKS + NUM_SLOTS - 1)), max_size=30))
def test_streamed_text_equals_the_text_of_the_whole(ids):
    decoder = IncrementalDecoder(TOKENIZER)
    pieces = [decoder.push(i) for i in ids]
    assert "".join(pieces) + decoder.finish() == TOKENIZER.decode(ids)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
def test_characters_are_never_shown_in_part(text):
    decoder, seen = IncrementalDecoder(TOKENIZER), ""
    for byte in text.encode():
        seen += decoder.push(byte)
        assert text.startswith(seen)
    assert seen + decoder.finish() == text


def test_a_cut_character_becomes_one_replacement_character_at_the_end():
    decoder = IncrementalDecoder(TOKENIZER)
    assert [decoder.push(byte) for byte in "a图".encode()[:3]] == ["a", "", ""]
    assert decoder.finish() == "\ufffd"

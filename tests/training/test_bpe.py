"""The tokenizer that ships with nano, and how it is trained."""

import base64
import json
import random
from importlib.resources import files
from pathlib import Path

import pytest

from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training import tokenizer as bpe
from kimi_vl.training.synth.pack import DataPack

NANO = Path(str(files("kimi_vl") / "checkpoint" / "nano"))
# Text as it will be met: answers, receipts, markup, code, other scripts, the whole of Latin-1, broken whitespace.
TEXTS = [
    "The invoice was issued on 12 March 2024. It isn't paid yet!",
    "2 x Espresso 5.80\nTOTAL: $1,234.56\r\nVAT 19% 0.93\n\n",
    '{"items": [{"name": "Olive Oil", "quantity": 2, "price": "3.99"}], "total": 7.98}',
    "| Item | Price |\n| --- | --- |\n| Wood Glue | 12.49 |\n",
    "◁think▷I add the prices. 2.49 + 3.10 = 5.59.◁/think▷5.59",
    "pyautogui.click(x=0.123, y=0.456)",
    "".join(map(chr, range(0x20, 0x7F))) + "".join(map(chr, range(0xA0, 0x100))),
    "金额 123元 Größe naïve 東京タワー Привет ½²³ 🙂👩‍👩‍👧",
    "  leading,   inner   and trailing   \t\n  ",
]


@pytest.fixture(scope="module")
def nano() -> Tokenizer:
    return bpe.load(NANO)


@pytest.fixture(scope="module")
def small_texts() -> list[str]:
    pack = DataPack.builtin()
    draw = random.Random(5)
    prices = [f"{draw.choice(pack.products('train'))} {draw.randint(0, 999)}.{draw.randint(0, 99):02d}" for _ in range(300)]
    return [*pack.prose("train"), *pack.words("train"), *prices]


def test_nano_has_4992_base_tokens_of_contiguous_rank_and_5120_in_all(nano):
    lines = (NANO / "tiktoken.model").read_text(encoding="ascii").splitlines()
    ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines}
    assert sorted(ranks.values()) == list(range(4992))
    assert [ranks[bytes([byte])] for byte in range(256)] == list(range(256))
    assert nano.vocab_size == 5120


def special_ids(folder: Path) -> dict[str, int]:
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return {entry["content"]: int(key) for key, entry in config["added_tokens_decoder"].items()}


def test_special_ids_keep_the_official_distances_from_the_base(tmp_path):
    official = {"[BOS]": 163584, "[EOS]": 163585, "<|im_end|>": 163586, "<|im_user|>": 163587, "<|im_assistant|>": 163588}
    official |= {"<|im_system|>": 163594, "<|im_middle|>": 163601, "<|media_start|>": 163602, "<|media_content|>": 163603}
    official |= {"<|media_end|>": 163604, "<|media_pad|>": 163605}
    expected = {name: number - 163584 for name, number in official.items()} | {"[UNK]": 126, "[PAD]": 127}
    assert special_ids(NANO) == {name: 4992 + distance for name, distance in expected.items()}
    bpe.save({bytes([byte]): byte for byte in range(256)}, tmp_path)
    assert special_ids(tmp_path) == {name: 256 + distance for name, distance in expected.items()}


def test_no_token_of_nano_holds_two_digits(nano):
    for number in range(4992):
        assert sum(chr(byte).isdigit() for byte in nano.decode_bytes([number])) <= 1
    assert len(nano.encode("1234567890")) == 10


@pytest.mark.parametrize("text", TEXTS)
def test_nano_gives_back_every_text_byte_for_byte(nano, text):
    assert nano.decode(nano.encode(text)) == text


def test_nano_reads_plain_english_at_three_bytes_a_token_or_more(nano):
    texts = [
        "The ferry leaves the harbor every morning at half past six, unless the wind is too strong for the old boat.",
        "Please keep this receipt for your records, because we cannot exchange any goods without it.",
        "Nobody in the village remembered who had planted the trees along the road to the church.",
    ]
    assert sum(map(len, texts)) / sum(len(nano.encode(text)) for text in texts) > 3.0


def test_what_nano_says_most_takes_few_tokens(nano):
    assert len(nano.encode("What is the total?")) == 5
    assert len(nano.encode("I cannot tell from this document.")) == 7
    assert len(nano.encode("◁think▷")) == 2
    assert len(nano.encode("◁/think▷")) == 3


def test_the_marks_of_thinking_are_the_same_tokens_wherever_they_stand(nano):
    opened, closed = nano.encode("◁think▷"), nano.encode("◁/think▷")
    ids = nano.encode("◁think▷Add 2.49.◁/think▷5.59")
    assert ids[:2] == opened
    assert ids[-len(nano.encode("5.59")) - 3 : -len(nano.encode("5.59"))] == closed


def test_tiktoken_cuts_as_the_trained_tokenizer_does(small_texts, tmp_path):
    trained = bpe.train(small_texts, 420)
    bpe.save(bpe.ranks(trained), tmp_path)
    shipped = Tokenizer.from_files(tmp_path / "tiktoken.model", tmp_path / "tokenizer_config.json")
    held_out = DataPack.builtin().prose("test") + DataPack.builtin().names("test") + TEXTS
    assert bpe.disagreements(trained, shipped, held_out) == []


def test_a_tokenizer_of_other_ranks_is_seen_to_disagree(small_texts, tmp_path):
    trained = bpe.train(small_texts, 420)
    ranks = bpe.ranks(trained)
    first, last = (next(token for token, rank in ranks.items() if rank == number) for number in (256, 419))
    bpe.save(ranks | {first: 419, last: 256}, tmp_path)
    shipped = Tokenizer.from_files(tmp_path / "tiktoken.model", tmp_path / "tokenizer_config.json")
    assert bpe.disagreements(trained, shipped, small_texts)


def test_training_twice_gives_the_same_ranks_and_never_joins_digits(small_texts):
    first, second = bpe.ranks(bpe.train(small_texts, 420)), bpe.ranks(bpe.train(list(small_texts), 420))
    assert first == second
    assert list(first.values()) == list(range(420))
    assert not [token for token in first if sum(48 <= byte < 58 for byte in token) > 1]


def test_too_little_text_is_refused(small_texts):
    with pytest.raises(ValueError, match=r"only [0-9]+ tokens, 4992 are wanted"):
        bpe.train(small_texts)


def test_the_training_corpus_holds_no_entry_of_the_held_out_lists():
    pack = DataPack.builtin()
    corpus = "\n".join(bpe.corpus(pack))
    assert pack.prose("train")[0] in corpus
    for split in ("val", "test"):
        for line in (*pack.prose(split), *pack.names(split), *pack.products(split)):
            assert line not in corpus

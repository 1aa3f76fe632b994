"""A small tokenizer with the official layout: 256 bytes, 200 merges learnt here from a paragraph, then 128 special slots."""

import base64
import json
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

from kimi_vl.processor import Tokenizer

CORPUS = """The total of the receipt is 42.50, said the clerk, and the table under the chart shows the total for each month.
system user assistant image You are a helpful assistant What is the name of the street? <|im_end|> ◁think▷So, ◁/think▷
图像 中的 文字 是 什么 for i in range(10):\n    print(i)\n\nNaïve café, Grüße, Ελληνικά, русский текст, 한국어, 日本語の文章。
It's what they've said; I'll say we're done. """

NUM_RANKS, NUM_SLOTS = 456, 128

# Distance of the official ids (MODEL_SPEC §5.4) from the end of the ranks.
SPECIALS = {
    "[BOS]": 0,
    "[EOS]": 1,
    "<|im_end|>": 2,
    "<|im_user|>": 3,
    "<|im_assistant|>": 4,
    "<|im_system|>": 10,
    "<|im_middle|>": 17,
    "<|media_start|>": 18,
    "<|media_content|>": 19,
    "<|media_end|>": 20,
    "<|media_pad|>": 21,
    "[UNK]": 126,
    "[PAD]": 127,
}


@cache
def learnt_ranks() -> dict[bytes, int]:
    """Byte-pair encoding by the textbook: join the commonest pair, ties by the bytes, until there are enough."""
    words = [[bytes([b]) for b in word.encode()] for word in re.findall(r"\s?\S+|\s+", CORPUS)]
    ranks = {bytes([b]): b for b in range(256)}
    while len(ranks) < NUM_RANKS:
        pairs = Counter(pair for word in words for pair in pairwise(word))
        left, right = max(pairs, key=lambda pair: (pairs[pair], pair))
        ranks.setdefault(left + right, len(ranks))
        words = [_join(word, left, right) for word in words]
    return ranks


def _join(word, left, right):
    joined = []
    for token in word:
        if joined and joined[-1] == left and token == right:
            joined[-1] = left + right
        else:
            joined.append(token)
    return joined


def rank_lines(ranks=None):
    return [f"{base64.b64encode(token).decode()} {rank}" for token, rank in (ranks or learnt_ranks()).items()]


def special_entries():
    return {str(NUM_RANKS + offset): {"content": name, "special": True} for name, offset in SPECIALS.items()}


def write_files(folder: Path, lines=None, entries=None) -> tuple[Path, Path]:
    rank_file, config_file = folder / "tiktoken.model", folder / "tokenizer_config.json"
    rank_file.write_text("\n".join(rank_lines() if lines is None else lines) + "\n")
    config_file.write_text(json.dumps({"added_tokens_decoder": special_entries() if entries is None else entries}))
    return rank_file, config_file


@cache
def small_tokenizer() -> Tokenizer:
    names = {NUM_RANKS + offset: name for name, offset in SPECIALS.items()}
    ids = range(NUM_RANKS, NUM_RANKS + NUM_SLOTS)
    return Tokenizer(learnt_ranks(), {names.get(i, f"<|reserved_token_{i}|>"): i for i in ids})

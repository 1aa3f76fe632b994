"""Text to token ids and back: MODEL_SPEC §5.4.

Two doors, kept apart: `encode` turns text into ordinary tokens, whatever it spells; control tokens are had only by name, from
`special`. Knows nothing of messages or images.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import tiktoken

from kimi_vl.errors import CheckpointError, InputError

IM_END, EOS = "<|im_end|>", "[EOS]"

# The control tokens that prompts are made of and generation stops at; a checkpoint must name all of them.
REQUIRED_SPECIALS = (
    IM_END,
    "<|im_system|>",
    "<|im_user|>",
    "<|im_assistant|>",
    "<|im_middle|>",
    "<|media_start|>",
    "<|media_content|>",
    "<|media_pad|>",
    "<|media_end|>",
)

# `&&` is the class intersection of Rust's regex syntax: letters of each kind except Han, which the first alternative takes.
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_LEAD, _CONTRACTION = r"[^\r\n\p{L}\p{N}]?", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN = "|".join(
    (
        r"[\p{Han}]+",
        f"{_LEAD}{_UPPER}*{_LOWER}+{_CONTRACTION}",
        f"{_LEAD}{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)

MAX_TEXT_BYTES = 4 * 1024 * 1024  # about 5 s of tokenising, a million tokens and more
MAX_SLOTS = 4096  # special slots beyond the ranks; official checkpoints have 256 or so
MAX_FILE_BYTES = 64 * 1024 * 1024

# Longer pieces and runs make tiktoken's regex engine panic, which no `except Exception` would catch. The official code cuts in
# the same places, so ids agree on such text too.
PIECE_CHARS = 400_000
RUN_CHARS = 25_000
_LONG_RUN = re.compile(rf"(?<!\s)\s{{{RUN_CHARS + 1},}}|(?<!\S)\S{{{RUN_CHARS + 1},}}")


class Tokenizer:
    """Byte-level BPE over a local rank file, with control tokens in the slots above the ranks."""

    def __init__(self, ranks: dict[bytes, int], special_ids: dict[str, int]) -> None:
        """`ranks` must be 0 to n - 1 and hold all single bytes; `special_ids` the ids from n on (`from_files` sees to both)."""
        self.special_ids = special_ids
        self.vocab_size = len(ranks) + len(special_ids)
        self.end_ids = frozenset(special_ids[name] for name in (IM_END, EOS) if name in special_ids)
        self._encoding = tiktoken.Encoding("kimi_vl", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special_ids)

    @classmethod
    def from_files(cls, rank_file: str | Path, tokenizer_config_file: str | Path, *, vocab_size: int | None = None) -> Self:
        """Read `tiktoken.model` and the `added_tokens_decoder` of `tokenizer_config.json`.

        Special slots run from the end of the ranks to the last named id, or to `vocab_size` (rows of the embedding) where that is
        further; slots without a name are `<|reserved_token_ID|>`. The official code makes 258 slots, two beyond the embedding,
        which are never emitted and left out here.

        Raises: CheckpointError for damaged, duplicate or missing ranks, for specials that collide with them or with each other,
        and where a control token of the chat format has no name.
        """
        ranks = _read_ranks(Path(rank_file))
        names = _read_special_names(Path(tokenizer_config_file), len(ranks))
        end = max(vocab_size or 0, 1 + max(names, default=0))
        if vocab_size is not None and not len(ranks) <= vocab_size <= len(ranks) + MAX_SLOTS:
            raise CheckpointError(
                f"{rank_file} has {len(ranks):,} ranks, which does not fit a vocabulary of {vocab_size:,}; "
                "the tokenizer belongs to another checkpoint"
            )
        special_ids = {names.get(i, f"<|reserved_token_{i}|>"): i for i in range(len(ranks), end)}
        missing = [name for name in REQUIRED_SPECIALS if name not in special_ids]
        if missing or len(special_ids) != end - len(ranks):
            what = f"names no {', '.join(missing)}" if missing else "gives one name to two ids"
            raise CheckpointError(f"{tokenizer_config_file}: added_tokens_decoder {what}")
        return cls(ranks, special_ids)

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as ordinary tokens: no spelling of a control token ever becomes one.

        Lone surrogates become U+FFFD. Raises: InputError for anything but a string of at most 4 MiB in UTF-8.
        """
        if not isinstance(text, str):
            raise InputError(f"text must be a string, not {type(text).__name__}")
        if len(text) * 4 > MAX_TEXT_BYTES < len(text.encode("utf-8", "surrogatepass")):
            raise InputError(f"the text has {len(text):,} characters; at most {MAX_TEXT_BYTES:,} bytes are taken. Shorten or split it")
        return [token for piece in _pieces(text) for token in self._encoding.encode_ordinary(piece)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, control tokens by their names; bytes that are not UTF-8 become U+FFFD. Raises: InputError for a bad id."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """Bytes of `ids`. Raises: InputError for an id outside the vocabulary."""
        try:
            return self._encoding.decode_bytes(ids)
        except (KeyError, OverflowError, TypeError):
            bad = next((i for i in ids if type(i) is not int or not 0 <= i < self.vocab_size), ids)
            raise InputError(f"{bad!r} is not a token id; they are integers from 0 to {self.vocab_size - 1}") from None

    def ordinary(self, token: bytes) -> int:
        """Id of the ordinary token of exactly these bytes. Raises: InputError if there is none."""
        try:
            return self._encoding.encode_single_token(token)
        except KeyError:
            raise InputError(f"{token[:40]!r} is not one token of this vocabulary") from None

    def special(self, name: str) -> int:
        """Id of the control token called `name`. Raises: CheckpointError if this checkpoint has none."""
        if name not in self.special_ids:
            raise CheckpointError(f"this tokenizer has no control token {name!r}")
        return self.special_ids[name]


class IncrementalDecoder:
    """Text of a growing list of ids. A character is returned once all its bytes are there; the pieces joined equal `decode` of all."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """Text completed by one more id, often empty. Raises: InputError for a bad id."""
        return self._utf8.decode(self._tokenizer.decode_bytes([token_id]))

    def finish(self) -> str:
        """What is left: U+FFFD for a character that was cut off, else nothing."""
        return self._utf8.decode(b"", final=True)


def _pieces(text: str) -> Iterator[str]:
    """Cut `text` every 400,000 characters, and runs of spaces or of non-spaces every 25,000."""
    for start in range(0, len(text), PIECE_CHARS):
        piece = text[start : start + PIECE_CHARS]
        done = 0
        for run in _LONG_RUN.finditer(piece):
            for cut in range(run.start() + RUN_CHARS, run.end(), RUN_CHARS):
                yield piece[done:cut]
                done = cut
        yield piece[done:]


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise CheckpointError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; that is no tokenizer file")
        return data.decode("utf-8")
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; a checkpoint folder needs it to read and write text") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def _read_ranks(path: Path) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line:
            continue
        try:
            encoded, rank = line.split(" ")
            token = base64.b64decode(encoded, validate=True)
            if not token or token in ranks or int(rank) != len(ranks):
                raise CheckpointError(f"{path}, line {number}: expected a new token with rank {len(ranks)}, found {line[:80]!r}")
        except (ValueError, binascii.Error):
            raise CheckpointError(f"{path}, line {number}: expected base64, a space and a rank, found {line[:80]!r}") from None
        ranks[token] = len(ranks)
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise CheckpointError(f"{path} has no token for byte {missing[0]} ({len(missing)} of 256 are missing); the file is incomplete")
    return ranks


def _read_special_names(path: Path, num_ranks: int) -> dict[int, str]:
    try:
        values: Any = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from None
    entries = values.get("added_tokens_decoder") if isinstance(values, dict) else None
    if not isinstance(entries, dict):
        raise CheckpointError(f"{path} has no added_tokens_decoder; it must map ids to the names of control tokens")
    names: dict[int, str] = {}
    for key, entry in entries.items():
        name = entry.get("content") if isinstance(entry, dict) else None
        if not re.fullmatch(r"[0-9]{1,9}", key) or not isinstance(name, str) or not name:
            raise CheckpointError(f'{path}: added_tokens_decoder has {key!r}: {entry!r}; expected "163586": {{"content": "<|im_end|>"}}')
        if not num_ranks <= int(key) < num_ranks + MAX_SLOTS:
            raise CheckpointError(
                f"{path}: {name!r} has id {key}; ids below {num_ranks} are ordinary tokens and at most {MAX_SLOTS} slots follow"
            )
        if name in names.values():
            raise CheckpointError(f"{path}: {name!r} names two ids")
        names[int(key)] = name
    return names

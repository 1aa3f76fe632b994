"""`TikTokenTokenizer`: this package's tokenizer where transformers looks for one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import AddedToken, PreTrainedTokenizer

from kimi_vl.errors import CheckpointError, InputError
from kimi_vl.processor.tokenizer import EOS, Tokenizer

VOCAB_FILE, CONFIG_FILE = "tiktoken.model", "tokenizer_config.json"


def _byte_letters() -> list[str]:
    """A printable letter for every byte, the field's usual way to write byte-level tokens as strings."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


_LETTERS = _byte_letters()
_BYTES = {letter: byte for byte, letter in enumerate(_LETTERS)}


class TikTokenTokenizer(PreTrainedTokenizer):
    """Text in, ids out. Names of control tokens in a text become control tokens, as they must for a rendered chat template; pass
    `split_special_tokens=True` for text that is not your own.

    Raises: CheckpointError for damaged files.
    """

    vocab_files_names = {"vocab_file": VOCAB_FILE}  # noqa: RUF012 - transformers reads both from the class
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, vocab_file: str, added_tokens_decoder: dict[int, AddedToken] | None = None, **kwargs: Any) -> None:
        self.vocab_file = vocab_file
        config_file = Path(vocab_file).with_name(CONFIG_FILE)
        self._inner = Tokenizer.from_files(vocab_file, config_file)
        specials = self._inner.special_ids
        self._num_ranks = self._inner.vocab_size - len(specials)
        decoder = {id_: AddedToken(name, special=True, normalized=False) for name, id_ in specials.items()}
        for role, name in (("bos_token", "[BOS]"), ("eos_token", EOS), ("pad_token", "[PAD]"), ("unk_token", "[UNK]")):
            if kwargs.get(role) is None and name in specials:
                kwargs[role] = name
        kwargs.setdefault("pad_token", kwargs.get("eos_token"))
        kwargs.setdefault("padding_side", "left")  # what follows a prompt must stand right behind it
        kwargs["clean_up_tokenization_spaces"] = False
        kwargs["special_tokens_pattern"] = "none"  # the default would put ids around a text that this tokenizer does not have
        super().__init__(added_tokens_decoder=decoder, **kwargs)

    @property
    def vocab_size(self) -> int:
        """Ordinary tokens and slots: rows of the embedding."""
        return self._inner.vocab_size

    def __len__(self) -> int:
        return self._inner.vocab_size

    def get_vocab(self) -> dict[str, int]:
        ordinary = {self._convert_id_to_token(i): i for i in range(self._num_ranks)}
        return {**ordinary, **self._inner.special_ids}

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return [self._convert_id_to_token(i) for i in self._inner.encode(text)]

    def _convert_token_to_id(self, token: str) -> int:
        if token in self._inner.special_ids:
            return self._inner.special_ids[token]
        if not set(token) <= _BYTES.keys():
            raise InputError(f"{token[:40]!r} is not a token of this vocabulary")
        return self._inner.ordinary(bytes(_BYTES[letter] for letter in token))

    def _convert_id_to_token(self, index: int) -> str:
        raw = self._inner.decode_bytes([int(index)])
        return raw.decode() if index >= self._num_ranks else "".join(_LETTERS[byte] for byte in raw)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        raw = b"".join(
            token.encode() if token in self._inner.special_ids else bytes(_BYTES[letter] for letter in token) for token in tokens
        )
        return raw.decode("utf-8", errors="replace")

    def _decode(self, token_ids: int | list[int], skip_special_tokens: bool = False, **kwargs: Any) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else [int(i) for i in token_ids]
        return self._inner.decode([i for i in ids if i < self._num_ranks or not skip_special_tokens])

    def build_inputs_with_special_tokens(self, token_ids_0: list[int], token_ids_1: list[int] | None = None) -> list[int]:
        """Nothing is added: the chat template places every control token."""
        return [*token_ids_0, *(token_ids_1 or [])]

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        target = Path(save_directory) / (f"{filename_prefix}-{VOCAB_FILE}" if filename_prefix else VOCAB_FILE)
        if target.resolve() != Path(self.vocab_file).resolve():
            try:
                shutil.copyfile(self.vocab_file, target)
            except OSError as error:
                raise CheckpointError(f"{target} cannot be written: {error.strerror or error}") from None
        return (str(target),)

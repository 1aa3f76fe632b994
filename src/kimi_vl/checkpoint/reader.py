"""Weights on disk, opened strictly.

A checkpoint folder holds `model.safetensors`, or `model.safetensors.index.json` and the shards it lists. The files come from
strangers, so every header is checked in full before the first byte of data is believed, and no path leads outside the folder.
Data is read, never mapped: a file that is truncated while a server loads it gives an error, where a map would kill the process.
"""

from __future__ import annotations

import json
import math
import os
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Self

import torch
from torch import Tensor

from kimi_vl.errors import CheckpointError

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})

# The format allows headers of 100 MB. The 16B checkpoint needs under 1 MB for all its tensors together, and parsed JSON can take
# thirty times its text, so the ceiling here is lower.
MAX_JSON_BYTES = 16 << 20
MAX_DIMENSIONS = 8

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor lies: `file` from byte `start`, contiguous, little endian."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    file: BinaryIO
    start: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class CheckpointReader:
    """The tensors of one folder, by official name. A context manager; opening it reads headers only.

    Raises: CheckpointError naming the file and the reason, for anything that is missing, malformed or leads outside the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self.files: tuple[Path, ...] = ()
        self._tensors: dict[str, StoredTensor] = {}
        with ExitStack() as stack:
            weight_map = _find_weights(self.folder)
            for file_name in sorted(set(weight_map.values()) or {SINGLE_FILE}):
                self._add_file(file_name, weight_map, stack)
            if missing := sorted(weight_map.keys() - self._tensors.keys()):
                raise CheckpointError(
                    f"{self.folder / INDEX_FILE} lists {_quote(missing[0])} in {weight_map[missing[0]]!r}, "
                    f"which does not hold it ({len(missing)} such tensors)"
                )
            self._open_files = stack.pop_all()

    def _add_file(self, file_name: str, weight_map: dict[str, str], stack: ExitStack) -> None:
        path = resolve_inside(self.folder, file_name)
        file = stack.enter_context(open_file(path))
        for name, tensor in _read_header(file, path).items():
            if weight_map and weight_map.get(name) != file_name:
                fact = f"places in {weight_map[name]!r}" if name in weight_map else "does not list"
                raise CheckpointError(f"{path} holds {_quote(name)}, which {INDEX_FILE} {fact}")
            self._tensors[name] = tensor
        self.files += (path,)

    def names(self) -> list[str]:
        """Every tensor name, files in sorted order, each file in the order of its header."""
        return list(self._tensors)

    def spec(self, name: str) -> tuple[tuple[int, ...], torch.dtype]:
        """Shape and stored dtype of a tensor. Raises: CheckpointError when there is none of that name."""
        tensor = self._find(name)
        return tensor.shape, tensor.dtype

    def num_bytes(self, name: str) -> int:
        """Bytes the tensor takes in its file."""
        return self._find(name).num_bytes

    def tensor(self, name: str) -> Tensor:
        """A fresh CPU tensor with the stored shape and dtype. Raises: CheckpointError when the file ends early or cannot be read."""
        stored = self._find(name)
        result = torch.empty(stored.shape, dtype=stored.dtype)
        self.read_into(name, result)
        return result

    def read_into(self, name: str, out: Tensor, start: int = 0) -> None:
        """Read a tensor's values, from number `start` on, into `out`: on the CPU, contiguous, of the stored dtype, at most as long as what
        is left. Any number of threads may read at once. Raises: as `tensor`."""
        stored = self._find(name)
        view = out.view(-1).view(torch.uint8).numpy().data
        position = stored.start + start * stored.dtype.itemsize
        try:
            while view:  # the kernel hands over at most 2 GiB per call
                count = os.preadv(stored.file.fileno(), [view], position)
                if not count:
                    raise CheckpointError(f"{stored.file.name} ended {len(view):,} bytes early while {_quote(name)} was read")
                view, position = view[count:], position + count
        except OSError as error:
            raise CheckpointError(f"{stored.file.name} cannot be read: {error.strerror or error}") from None

    def _find(self, name: str) -> StoredTensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise CheckpointError(f"{self.folder} has no tensor {_quote(name)}") from None

    def close(self) -> None:
        self._open_files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_file(path: Path) -> BinaryIO:
    """The one place where a file of a checkpoint is opened. `path` comes from `resolve_inside`."""
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened: {error.strerror or error}") from None


def resolve_inside(folder: Path, name: str) -> Path:
    """The real path of the regular file `name` in the real path `folder`.

    Links may lead elsewhere in the folder and, from a snapshot of a hub cache, into the blobs of the same repository.
    Raises: CheckpointError for anything else: a link that leads outside, a missing file, a folder, a pipe.
    """
    path = folder / name
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # missing; a loop of links; a NUL in the name
        raise CheckpointError(f"{path} is missing; download the checkpoint again or pass another folder") from None
    blobs = folder.parent.parent / "blobs"
    in_hub_cache = folder.parent.name == "snapshots" and real.parent == blobs
    if not (real.is_relative_to(folder) or in_hub_cache):
        raise CheckpointError(f"{path} is a link that leads outside the checkpoint folder, to {real}; copy the file there instead")
    if not real.is_file():
        raise CheckpointError(f"{path} is not a regular file")
    return real


def _find_weights(folder: Path) -> dict[str, str]:
    """The index's weight_map, or {} when the weights are one file. Raises: CheckpointError when there are none, or both."""
    has_single, has_index = (os.path.lexists(folder / name) for name in (SINGLE_FILE, INDEX_FILE))
    if has_single and has_index:
        raise CheckpointError(f"{folder} holds both {SINGLE_FILE} and {INDEX_FILE}; remove the one that is stale")
    if has_single:
        return {}
    if has_index:
        return _read_index(resolve_inside(folder, INDEX_FILE))
    try:
        found = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise CheckpointError(f"{folder} is not a readable folder: {error.strerror or error}") from None
    if pickles := [name for name in found if Path(name).suffix in PICKLE_SUFFIXES]:
        raise CheckpointError(
            f"{folder} holds only pickle weights ({pickles[0]!r}), which can run code when opened and are never read here; ask the "
            f"publisher for safetensors files, or convert them to safetensors in a sandbox"
        )
    raise CheckpointError(f"{folder} holds neither {SINGLE_FILE} nor {INDEX_FILE}; it holds {describe_names(found)}")


def _read_index(path: Path) -> dict[str, str]:
    with open_file(path) as file:
        raw = file.read(MAX_JSON_BYTES + 1)
    if len(raw) > MAX_JSON_BYTES:
        raise CheckpointError(f"{path} is larger than {MAX_JSON_BYTES:,} bytes; an index of this family takes about 600,000")
    index = _parse_json(raw, path)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{path} has no weight_map; it must map tensor names to file names")
    for name, file_name in weight_map.items():
        if not _is_plain_file_name(file_name):
            raise CheckpointError(
                f"{path} places {_quote(name)} in {_quote(file_name)}; "
                "only the plain name of a .safetensors file in the same folder is allowed"
            )
    return weight_map


def _is_plain_file_name(name: Any) -> bool:
    return (
        isinstance(name, str) and name.endswith(".safetensors") and len(name) <= 255 and name.isprintable() and not set(name) & set("/\\:")
    )


def _read_header(file: BinaryIO, path: Path) -> dict[str, StoredTensor]:
    """Check a safetensors file in full (header, dtypes, shapes, a gapless cover of the data). Raises: CheckpointError."""
    size = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    if len(prefix) < 8:
        raise CheckpointError(f"{path} has {size} bytes; a safetensors file starts with the 8-byte length of its header")
    (length,) = struct.unpack("<Q", prefix)
    if not 2 <= length <= MAX_JSON_BYTES:
        raise CheckpointError(f"{path} announces a header of {length:,} bytes; between 2 and {MAX_JSON_BYTES:,} are allowed")
    if 8 + length > size:
        raise CheckpointError(f"{path} has {size:,} bytes, fewer than its header of {length:,}; the file is truncated")
    header = _parse_json(file.read(length), path)
    _check_metadata(header.pop("__metadata__", {}), path)
    spans = [(*_check_entry(name, entry, path), name) for name, entry in header.items()]
    _check_cover(sorted(spans), size - 8 - length, path)
    return {
        name: StoredTensor(tuple(entry["shape"]), DTYPES[entry["dtype"]], file, 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def _check_metadata(metadata: Any, path: Path) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{path} has a __metadata__ that does not map strings to strings")


def _check_entry(name: str, entry: Any, path: Path) -> tuple[int, int]:
    """The (begin, end) of a header entry whose dtype, shape and offsets agree with each other. Raises: CheckpointError."""

    def refuse(reason: str) -> NoReturn:
        raise CheckpointError(f"{path}: tensor {_quote(name)} {reason}")

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        refuse("must have exactly the keys dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        refuse(f"has dtype {_quote(dtype)}; supported are {', '.join(DTYPES)}")
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
        refuse(f"has shape {_quote(shape)}; it must be a list of at most {MAX_DIMENSIONS} non-negative integers")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        refuse(f"has data_offsets {_quote(offsets)}; they must be two ascending non-negative integers")
    needed = math.prod(shape) * DTYPES[dtype].itemsize
    if needed != offsets[1] - offsets[0]:
        refuse(f"covers {_number(offsets[1] - offsets[0])} bytes; {dtype} of shape {_quote(shape)} takes {_number(needed)}")
    return offsets[0], offsets[1]


def _check_cover(spans: list[tuple[int, int, str]], data_size: int, path: Path) -> None:
    """Tensors in file order must follow one another from byte 0 to the end: no overlap, no gap, nothing behind the last."""
    position = 0
    for begin, end, name in spans:
        if end > data_size:
            raise CheckpointError(
                f"{path}: tensor {_quote(name)} ends at byte {_number(end)} of {data_size:,}; the file is truncated or half downloaded"
            )
        if begin != position:
            fault = "overlaps the tensor before it" if begin < position else f"leaves a gap of {begin - position:,} bytes before it"
            raise CheckpointError(f"{path}: tensor {_quote(name)} {fault}")
        position = end
    if position != data_size:
        raise CheckpointError(f"{path} has {data_size - position:,} bytes behind the last tensor")


def _parse_json(raw: bytes, path: Path) -> dict[str, Any]:
    """A JSON object without duplicate keys, NaN or infinities. Raises: CheckpointError."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 where it should be JSON: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise CheckpointError(f"{path} holds JSON that is nested too deeply") from None
    except ValueError as error:
        raise CheckpointError(f"{path} holds malformed JSON: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a JSON {type(value).__name__}; an object is required")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"duplicate key {_quote(duplicate)}")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _quote(value: Any) -> str:
    """A value from a file, printable and short enough for one line. Containers are named, not shown: they may be deep."""
    if _are_counts(value) and len(value) <= MAX_DIMENSIONS:
        text = str(value)
    elif isinstance(value, (str, int, float, bool, type(None))):
        text = ascii(value)
    else:
        text = f"a {type(value).__name__} of {len(value):,}"
    return text if len(text) <= 120 else f"{text[:117]}..."


def _number(value: int) -> str:
    return f"{value:,}" if value < 10**24 else "more than 10^24"


def describe_names(names: list[str]) -> str:
    """The first few file names of a folder, for a message."""
    if not names:
        return "nothing"
    shown = ", ".join(_quote(name) for name in names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6:,} more"

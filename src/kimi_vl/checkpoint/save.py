"""From a model's parameters to a folder in the official layout."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from kimi_vl.checkpoint.int8 import SCALE_SUFFIX, quantize
from kimi_vl.checkpoint.layout import TensorSpec, checkpoint_layout
from kimi_vl.checkpoint.load import FLOAT_DTYPES, all_finite
from kimi_vl.checkpoint.reader import DTYPES, INDEX_FILE, SINGLE_FILE
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CheckpointError, InputError

CONFIG_FILE = "config.json"
PART_SUFFIX = ".part"

_DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_CHUNK = 64 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class _Slot:
    """One tensor of a file to be written. `official` names the layout entry it comes from; a scale shares that of its weight."""

    name: str
    official: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def save_checkpoint(
    state: Mapping[str, Tensor],
    config: KimiVLConfig,
    folder: str | Path,
    *,
    quantize: str | None = None,
    dtype: torch.dtype | None = None,
    max_shard_bytes: int = 5_000_000_000,
) -> None:
    """Write a model's state dict as config.json plus safetensors files under the official names.

    quantize="int8" stores weight matrices as int8 and everything else as float32; otherwise `dtype` is the stored dtype (None keeps
    each tensor's own; a float32 router is never narrowed). One file when everything fits `max_shard_bytes`, else shards and an index.
    Equal input gives equal bytes. Memory holds one tensor beside the state. The weights of an older checkpoint in the folder are
    replaced, its other files left alone.

    All data is written and synced under `.part` names first; then the old index goes, the parts take their names, and the file that makes
    the folder loadable comes last. An interrupted save leaves the old checkpoint, or a folder that refuses to load.
    Raises: CheckpointError when the state lacks, adds or misshapes a tensor or holds NaN or infinities; InputError for a bad parameter.
    """
    if quantize not in (None, "int8") or (quantize and dtype is not None):
        raise InputError(f"quantize is {quantize!r} and dtype {dtype}; pass quantize='int8', or a dtype, or neither")
    if dtype is not None and dtype not in FLOAT_DTYPES.values():
        raise InputError(f"dtype is {dtype}; it must be one of {', '.join(FLOAT_DTYPES)}")
    config = dataclasses.replace(config, quantization=quantize)
    layout = checkpoint_layout(config)
    _check_state(state, layout)
    shards = _plan_shards(_slots(state, layout, quantize, dtype), max_shard_bytes)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, slots in shards.items():
        _write_part(folder / file_name, lambda file, slots=slots: _write_tensors(file, slots, state, layout))  # type: ignore[misc]
    documents: dict[str, Any] = {CONFIG_FILE: config.to_dict()}
    if list(shards) != [SINGLE_FILE]:
        documents[INDEX_FILE] = _index(shards)
    for file_name, document in documents.items():
        _write_part(folder / file_name, lambda file, document=document: _write_json(file, document))  # type: ignore[misc]
    _commit(folder, [*shards, *documents])


def _check_state(state: Mapping[str, Tensor], layout: Mapping[str, TensorSpec]) -> None:
    wanted = {spec.parameter for spec in layout.values()}
    if wrong := sorted(wanted ^ state.keys()):
        kind = "lacks" if wrong[0] in wanted else "has the unknown"
        raise CheckpointError(
            f"the state {kind} parameter {wrong[0]} ({len(wrong)} such names); pass the state_dict of a model of this config"
        )
    for name, spec in layout.items():
        tensor = state[spec.parameter]
        if tensor.ndim < len(spec.index) or tuple(tensor[spec.index].shape) != spec.shape:
            raise CheckpointError(f"parameter {spec.parameter} is {list(tensor.shape)}; {name} {list(spec.shape)} cannot be cut from it")
        if not tensor.is_floating_point():
            raise CheckpointError(f"parameter {spec.parameter} is {tensor.dtype}; only floating point can be saved")


def _slots(
    state: Mapping[str, Tensor], layout: Mapping[str, TensorSpec], quantize: str | None, dtype: torch.dtype | None
) -> dict[str, list[_Slot]]:
    """What is stored for each official tensor: one slot, or an int8 slot and its scale."""
    result = {}
    for name, spec in layout.items():
        if quantize == "int8" and spec.quantisable:
            scale = _Slot(name + SCALE_SUFFIX, name, spec.shape[:1], torch.float32)
            result[name] = [_Slot(name, name, spec.shape, torch.int8), scale]
        else:
            own = state[spec.parameter].dtype
            stored = torch.float32 if quantize or (spec.keep_fp32 and own == torch.float32) else dtype or own
            result[name] = [_Slot(name, name, spec.shape, stored)]
    return result


def _plan_shards(slots: Mapping[str, list[_Slot]], max_shard_bytes: int) -> dict[str, list[_Slot]]:
    """Fill files in layout order. A weight and its scale stay together; a tensor above the limit gets a file of its own."""
    groups: list[list[_Slot]] = [[]]
    size = 0
    for group in slots.values():
        group_size = sum(slot.num_bytes for slot in group)
        if groups[-1] and size + group_size > max_shard_bytes:
            groups.append([])
            size = 0
        groups[-1] += group
        size += group_size
    if len(groups) == 1:
        return {SINGLE_FILE: groups[0]}
    return {f"model-{number:05d}-of-{len(groups):05d}.safetensors": group for number, group in enumerate(groups, start=1)}


def _write_tensors(file: BinaryIO, slots: list[_Slot], state: Mapping[str, Tensor], layout: Mapping[str, TensorSpec]) -> None:
    """A safetensors file: widest dtypes first, so that every tensor is aligned for readers that map the file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    starts, position = {}, 0
    for slot in sorted(slots, key=lambda slot: (-slot.dtype.itemsize, slot.name)):
        starts[slot.name] = position
        position += slot.num_bytes
        header[slot.name] = {
            "dtype": _DTYPE_NAMES[slot.dtype],
            "shape": list(slot.shape),
            "data_offsets": [starts[slot.name], position],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little") + encoded)
    data_start = 8 + len(encoded)
    by_name = {slot.name: slot for slot in slots}
    for official in dict.fromkeys(slot.official for slot in slots):
        for name, value in _values(official, by_name[official], state, layout).items():
            file.seek(data_start + starts[name])
            view = value.contiguous().reshape(-1).view(torch.uint8).numpy().data
            for start in range(0, len(view), _CHUNK):
                file.write(view[start : start + _CHUNK])


def _values(official: str, slot: _Slot, state: Mapping[str, Tensor], layout: Mapping[str, TensorSpec]) -> dict[str, Tensor]:
    spec = layout[official]
    tensor = state[spec.parameter][spec.index].detach().to("cpu")
    if not all_finite(tensor):
        raise CheckpointError(f"{official} holds NaN or infinite values; it was not saved")
    if slot.dtype == torch.int8:
        int8, scale = quantize(tensor)
        return {official: int8, official + SCALE_SUFFIX: scale}
    return {official: tensor.to(slot.dtype)}


def _index(shards: Mapping[str, list[_Slot]]) -> dict[str, Any]:
    weight_map = {slot.name: file_name for file_name, slots in shards.items() for slot in slots}
    total = sum(slot.num_bytes for slots in shards.values() for slot in slots)
    return {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}


def _write_json(file: BinaryIO, document: Any) -> None:
    file.write(json.dumps(document, indent=2).encode() + b"\n")


def _write_part(path: Path, write: Callable[[BinaryIO], None]) -> None:
    try:
        with open(_part(path), "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CheckpointError(
            f"{_part(path)} cannot be written: {error.strerror or error}; the checkpoint there before is untouched"
        ) from None


def _commit(folder: Path, file_names: list[str]) -> None:
    """Give the parts their names. In between, no state of the folder loads: the index, or the single file, is gone first and comes last."""
    entry_points = (INDEX_FILE, SINGLE_FILE)
    for name in entry_points:
        (folder / name).unlink(missing_ok=True)
    _sync(folder)
    for stale in folder.glob("model-?????-of-?????.safetensors"):
        stale.unlink()
    for name in sorted(file_names, key=entry_points.__contains__):
        os.replace(_part(folder / name), folder / name)
    for leftover in folder.glob(f"model*.safetensors*{PART_SUFFIX}"):  # of an interrupted save with another number of shards
        leftover.unlink()
    _sync(folder)


def _sync(folder: Path) -> None:
    """Make renames durable: a folder has a file descriptor of its own to sync."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART_SUFFIX)

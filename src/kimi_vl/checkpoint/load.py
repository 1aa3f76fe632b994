"""From a folder of official tensors into a model, one tensor at a time.

Every tensor is accounted for before the first byte of data is read; a model is never left partly random. Beside the model itself,
memory holds at most one tensor as stored.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from kimi_vl.checkpoint.int8 import SCALE_SUFFIX, dequantize
from kimi_vl.checkpoint.layout import TensorSpec, checkpoint_layout
from kimi_vl.checkpoint.memory import check_memory
from kimi_vl.checkpoint.reader import CheckpointReader, resolve_inside
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CheckpointError, InputError, ShapeError

Progress = Callable[[int, int], None]
Filled = Callable[[nn.Module, str], None]  # is told the model and the name of a module whose weights are there
Model = TypeVar("Model", bound=nn.Module)

# Official files carry a decoder table per layer that every loader computes for itself (MODEL_SPEC §2).
SKIPPED_SUFFIX = "rotary_emb.inv_freq"

FLOAT_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PROBLEMS_SHOWN = 20

StoredSpec = tuple[tuple[int, ...], tuple[torch.dtype, ...]]


def load_model(
    folder: str | Path,
    model_class: Callable[..., Model],
    *,
    dtype: torch.dtype | str = "auto",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    allow_nonfinite: bool = False,
    quantise: Filled | None = None,
) -> tuple[Model, KimiVLConfig]:
    """Build `model_class(config, device="meta", dtype=dtype)` from a folder's config.json and fill it with the folder's weights.

    dtype is a torch dtype or the name of one; "auto" takes float32 for files in float32, bfloat16 for files in bfloat16 or float16,
    and for int8 files float32 on the CPU, bfloat16 elsewhere. `quantise` may put a module's weights into eight bits as soon as they are
    there (`layout.runs_quantised` says which). The model comes back in eval mode with no parameter requiring a gradient.
    Raises: ConfigError, CheckpointError, CapacityError before anything is allocated, InputError for a dtype that is no float.
    """
    folder = Path(folder).resolve()
    config = KimiVLConfig.from_file(resolve_inside(folder, "config.json"))
    with CheckpointReader(folder) as reader:
        check_tensors(config, reader)
        dtype = resolve_dtype(dtype, config, reader, device)
        check_memory(config, dtype, device, quantised=quantise is not None)
        model = model_class(config, device="meta", dtype=dtype)
        _fill(model, config, reader, dtype, torch.device(device), progress, allow_nonfinite, quantise)
    return model.eval(), config


def load_weights(
    model: nn.Module,
    folder: str | Path,
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    progress: Progress | None = None,
    allow_nonfinite: bool = False,
) -> None:
    """Replace every parameter of `model` by the folder's weights, as `dtype` (the router as float32) on `device`.

    The folder's own config.json says how its tensors are stored. `progress(done_bytes, total_bytes)` counts bytes of the files.
    Raises: ConfigError, CheckpointError (nothing is read when a tensor is missing, unexpected or misshapen; NaN and infinities are refused
    unless `allow_nonfinite`), ShapeError when the model is not the one that the config describes.
    """
    folder = Path(folder).resolve()
    config = KimiVLConfig.from_file(resolve_inside(folder, "config.json"))
    with CheckpointReader(folder) as reader:
        check_tensors(config, reader)
        _fill(model, config, reader, dtype, torch.device(device), progress, allow_nonfinite)


def check_tensors(config: KimiVLConfig, reader: CheckpointReader) -> None:
    """Compare the files' tensors with what the config requires, without reading data.

    Raises: CheckpointError with the first 20 problems and their number.
    """
    expected = stored_layout(config)
    present = {name for name in reader.names() if not name.endswith(SKIPPED_SUFFIX)}
    problems = []
    for name, (shape, dtypes) in expected.items():
        if name not in present:
            problems.append(f"{name} {list(shape)} is missing")
            continue
        found_shape, found_dtype = reader.spec(name)
        if found_shape != shape or found_dtype not in dtypes:
            allowed = " or ".join(_dtype_name(dtype) for dtype in dtypes)
            problems.append(f"{name} is {_dtype_name(found_dtype)} {list(found_shape)}; it must be {allowed} {list(shape)}")
    problems += [f"{ascii(name)[1:-1][:200]} is unexpected" for name in sorted(present - expected.keys())]
    if problems:
        shown = "".join(f"\n  {problem}" for problem in problems[:PROBLEMS_SHOWN])
        rest = f"\n  and {len(problems) - PROBLEMS_SHOWN:,} more" if len(problems) > PROBLEMS_SHOWN else ""
        raise CheckpointError(f"{reader.folder} does not match its config.json in {len(problems):,} tensors:{shown}{rest}")


def stored_layout(config: KimiVLConfig) -> dict[str, StoredSpec]:
    """The tensors that a folder of this config must hold: name -> (shape, allowed dtypes)."""
    result: dict[str, StoredSpec] = {}
    for name, spec in checkpoint_layout(config).items():
        if config.quantization != "int8":
            result[name] = (spec.shape, tuple(FLOAT_DTYPES.values()))
        elif spec.quantisable:
            result[name] = (spec.shape, (torch.int8,))
            result[name + SCALE_SUFFIX] = (spec.shape[:1], (torch.float32,))
        else:
            result[name] = (spec.shape, (torch.float32,))
    return result


def resolve_dtype(
    dtype: torch.dtype | str, config: KimiVLConfig, reader: CheckpointReader, device: torch.device | str = "cpu"
) -> torch.dtype:
    """The dtype to run in; "auto" as `load_model` describes. Raises: InputError."""
    if dtype == "auto":
        on_cpu = torch.device(device).type == "cpu"
        _, stored = reader.spec("language_model.model.embed_tokens.weight")
        return torch.float32 if stored == torch.float32 or (stored == torch.int8 and on_cpu) else torch.bfloat16
    resolved = FLOAT_DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if resolved is None or resolved not in FLOAT_DTYPES.values():
        raise InputError(f"dtype is {dtype}; it must be 'auto', {', '.join(map(repr, FLOAT_DTYPES))} or one of those torch dtypes")
    return resolved


def _fill(
    model: nn.Module,
    config: KimiVLConfig,
    reader: CheckpointReader,
    dtype: torch.dtype,
    device: torch.device,
    progress: Progress | None,
    allow_nonfinite: bool,
    filled: Filled | None = None,
) -> None:
    parts = _parts_by_parameter(model, config)
    total = sum(reader.num_bytes(name) for name in stored_layout(config))
    done = 0
    for parameter_name, tensors in parts.items():
        owner_name, _, leaf = parameter_name.rpartition(".")
        owner = model.get_submodule(owner_name)
        shape = getattr(owner, leaf).shape
        keep_fp32 = any(spec.keep_fp32 for spec in tensors.values())
        # Dropping the old parameter first lets its memory be reused; the new one is filled in place and never copied.
        setattr(owner, leaf, None)
        value = torch.empty(shape, dtype=torch.float32 if keep_fp32 else dtype, device=device)
        for name, spec in tensors.items():
            done += _read_into(value[spec.index], name, spec, config, reader)
            if not (allow_nonfinite or all_finite(value[spec.index])):
                raise CheckpointError(
                    f"{reader.folder}: {name} holds NaN or infinite values in {_dtype_name(value.dtype)}; the file is damaged"
                )
            if progress is not None:
                progress(done, total)
        setattr(owner, leaf, nn.Parameter(value, requires_grad=False))
        if filled is not None and not any(parameter.is_meta for parameter in owner.parameters(recurse=False)):
            filled(model, owner_name)


def _parts_by_parameter(model: nn.Module, config: KimiVLConfig) -> dict[str, dict[str, TensorSpec]]:
    """The official tensors that make up each parameter, in the model's order. Raises: ShapeError unless they match the model."""
    parameters = dict(model.named_parameters())
    parts: dict[str, dict[str, TensorSpec]] = {name: {} for name in parameters}
    for name, spec in checkpoint_layout(config).items():
        if spec.parameter not in parameters:
            raise ShapeError(f"the model has no parameter {spec.parameter}, which {name} belongs to; was it built from another config?")
        parts[spec.parameter][name] = spec
    for parameter_name, tensors in parts.items():
        parameter = parameters[parameter_name]
        shapes_agree = all(_fits(parameter, spec) for spec in tensors.values())
        if not shapes_agree or sum(spec.numel for spec in tensors.values()) != parameter.numel():
            raise ShapeError(f"the model's {parameter_name} is {list(parameter.shape)}, which the config's tensors do not fill exactly")
    return parts


def _fits(parameter: Tensor, spec: TensorSpec) -> bool:
    leading = [axis for axis in spec.index if isinstance(axis, int)]
    in_range = len(spec.index) <= parameter.ndim and all(e < n for e, n in zip(leading, parameter.shape, strict=False))
    return in_range and tuple(parameter[spec.index].shape) == spec.shape


def _read_into(target: Tensor, name: str, spec: TensorSpec, config: KimiVLConfig, reader: CheckpointReader) -> int:
    """Fill a view of the model's memory and return the bytes read."""
    if config.quantization == "int8" and spec.quantisable:
        int8, scale = reader.tensor(name), reader.tensor(name + SCALE_SUFFIX)
        dequantize(int8.to(target.device), scale.to(target.device), out=target)
        return reader.num_bytes(name) + reader.num_bytes(name + SCALE_SUFFIX)
    if target.device.type == "cpu" and target.dtype == reader.spec(name)[1]:
        reader.read_into(name, target)  # every part of a parameter is contiguous
    else:
        target.copy_(reader.tensor(name))
    return reader.num_bytes(name)


def all_finite(value: Tensor) -> bool:
    """Whether a floating tensor holds no NaN and no infinity. aminmax carries NaN along and, unlike isfinite, needs no temporary."""
    return all(extreme.isfinite() for extreme in value.aminmax())


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

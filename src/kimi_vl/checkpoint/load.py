"""From a folder of official tensors into a model, one tensor at a time; on a GPU many, read by threads (`staging.py`).

Every tensor is accounted for before the first byte of data is read; a model is never left partly random. Beside the model itself,
memory holds at most one tensor as stored, or on a GPU the buffers of those threads.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from kimi_vl.checkpoint.int8 import SCALE_SUFFIX, dequantize
from kimi_vl.checkpoint.layout import TensorSpec, checkpoint_layout, neighbour_of
from kimi_vl.checkpoint.memory import check_memory
from kimi_vl.checkpoint.reader import CheckpointReader, resolve_inside
from kimi_vl.checkpoint.staging import Staging
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CheckpointError, InputError, ShapeError

Progress = Callable[[int, int], None]
Model = TypeVar("Model", bound=nn.Module)

# Official files carry a decoder table per layer that every loader computes for itself (MODEL_SPEC §2).
SKIPPED_SUFFIX = "rotary_emb.inv_freq"

FLOAT_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PROBLEMS_SHOWN = 20

STAGED = {"cuda"}  # devices that are filled by threads
# Of a model that is quantised while it is loaded, so much may be on its way as it was: its small matrices together, its experts alone.
AHEAD_BYTES = 256 << 20


class Filled(Protocol):
    """Quantises modules as soon as their weights are there."""

    @property
    def kind(self) -> str: ...

    def __call__(self, model: nn.Module, name: str, /) -> None: ...


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
    and for int8 files float32 on the CPU, bfloat16 elsewhere. `quantise` may put a module's weights into fewer bits as soon as they are
    there (`layout.runs_quantised` says which). The model comes back in eval mode with no parameter requiring a gradient.
    Raises: ConfigError, CheckpointError, CapacityError before anything is allocated, InputError for a dtype that is no float.
    """
    folder = Path(folder).resolve()
    config = KimiVLConfig.from_file(resolve_inside(folder, "config.json"))
    with CheckpointReader(folder) as reader:
        check_tensors(config, reader)
        dtype = resolve_dtype(dtype, config, reader, device)
        check_memory(config, dtype, device, quantised=None if quantise is None else quantise.kind)
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
    with Staging(reader, device) if device.type in STAGED else nullcontext() as staging:
        filling = _Filling(model, config, reader, parts, dtype, device, staging, progress, filled)
        ahead = AHEAD_BYTES if filled is not None else math.inf  # memory has to take all of a model that stays as it is
        for name in parts:
            while filling.arriving and (staging is None or filling.arriving_bytes + filling.num_bytes(name) > ahead):
                filling.finish()
            filling.begin(name)
        while filling.arriving:
            filling.finish()
    if not allow_nonfinite:
        filling.check_finite()


@dataclass
class _Arriving:
    """A parameter whose values are on their way; `reads` is what to wait for."""

    name: str
    value: Tensor
    reads: list[Future[None]]


class _Filling:
    """A model's parameters, begun and finished in its own order. Without `staging` they are there when they are begun."""

    def __init__(
        self,
        model: nn.Module,
        config: KimiVLConfig,
        reader: CheckpointReader,
        parts: dict[str, dict[str, TensorSpec]],
        dtype: torch.dtype,
        device: torch.device,
        staging: Staging | None,
        progress: Progress | None,
        filled: Filled | None,
    ) -> None:
        self.arriving: deque[_Arriving] = deque()
        self.arriving_bytes = 0
        self._model, self._config, self._reader, self._parts = model, config, reader, parts
        self._dtype, self._device, self._staging = dtype, device, staging
        self._progress, self._filled = progress, filled
        self._done, self._total = 0, sum(reader.num_bytes(name) for name in stored_layout(config))
        self._left = Counter(name.rpartition(".")[0] for name in parts)  # parameters that a module has yet to get
        self._extremes: dict[str, Tensor] = {}
        self._kept_free: dict[str, Tensor] = {}  # for parameters that are to lie behind ones that have begun

    def num_bytes(self, parameter_name: str) -> int:
        """What a parameter will take."""
        return self._model.get_parameter(parameter_name).numel() * self._dtype_of(parameter_name).itemsize

    def begin(self, parameter_name: str) -> None:
        """Make room for a parameter and have its tensors read."""
        owner, leaf = self._place(parameter_name)
        shape = getattr(owner, leaf).shape
        # Dropping the old parameter first lets its memory be reused; the new one is filled in place and never copied.
        setattr(owner, leaf, None)
        value = self._room(parameter_name, shape)
        reads = [read for name, spec in self._parts[parameter_name].items() for read in self._read_into(value[spec.index], name, spec)]
        self.arriving.append(_Arriving(parameter_name, value, reads))
        self.arriving_bytes += value.nbytes

    def finish(self) -> None:
        """Wait for the parameter that was begun first, and give it to its module."""
        arriving = self.arriving.popleft()
        self.arriving_bytes -= arriving.value.nbytes
        if self._staging is not None:
            self._staging.wait(arriving.reads)
        for name, spec in self._parts[arriving.name].items():
            self._extremes[name] = torch.stack(arriving.value[spec.index].aminmax())
            self._done += sum(self._reader.num_bytes(stored) for stored in self._stored_names(name, spec))
            if self._progress is not None:
                self._progress(self._done, self._total)
        owner, leaf = self._place(arriving.name)
        setattr(owner, leaf, nn.Parameter(arriving.value, requires_grad=False))
        owner_name = arriving.name.rpartition(".")[0]
        self._left[owner_name] -= 1
        if self._filled is not None and not self._left[owner_name]:
            self._filled(self._model, owner_name)

    def check_finite(self) -> None:
        """Once for all tensors: a GPU would be waited for each time. Raises: CheckpointError naming the first that is not."""
        finite = torch.stack([extremes.float() for extremes in self._extremes.values()]).isfinite().all(dim=1).tolist()
        for (name, extremes), is_finite in zip(self._extremes.items(), finite, strict=True):
            if not is_finite:
                raise CheckpointError(
                    f"{self._reader.folder}: {name} holds NaN or infinite values in {_dtype_name(extremes.dtype)}; the file is damaged"
                )

    def _place(self, parameter_name: str) -> tuple[nn.Module, str]:
        owner, _, leaf = parameter_name.rpartition(".")
        return self._model.get_submodule(owner), leaf

    def _dtype_of(self, parameter_name: str) -> torch.dtype:
        return torch.float32 if any(spec.keep_fp32 for spec in self._parts[parameter_name].values()) else self._dtype

    def _room(self, parameter_name: str, shape: torch.Size) -> Tensor:
        """Memory for a parameter, in front of that for its neighbour, if it has one."""
        if parameter_name in self._kept_free:
            return self._kept_free.pop(parameter_name)
        neighbour, rows = neighbour_of(parameter_name), 0
        if neighbour in self._parts:
            rows = self._model.get_parameter(neighbour).shape[0]
        whole = torch.empty(shape[0] + rows, *shape[1:], dtype=self._dtype_of(parameter_name), device=self._device)
        value, rest = whole.split([shape[0], rows])
        if neighbour is not None and rows:
            self._kept_free[neighbour] = rest
        return value

    def _read_into(self, target: Tensor, name: str, spec: TensorSpec) -> list[Future[None]]:
        """Fill a view of the model's memory, which is contiguous, or begin to."""
        reader = self._reader
        if len(self._stored_names(name, spec)) > 1:
            int8, scale = reader.tensor(name), reader.tensor(name + SCALE_SUFFIX)
            dequantize(int8.to(target.device), scale.to(target.device), out=target)
        elif self._staging is not None:
            return self._staging.send(name, target)
        elif target.device.type == "cpu" and target.dtype == reader.spec(name)[1]:
            reader.read_into(name, target)
        else:
            target.copy_(reader.tensor(name))
        return []

    def _stored_names(self, name: str, spec: TensorSpec) -> tuple[str, ...]:
        """What the files hold of an official tensor."""
        is_int8 = self._config.quantization == "int8" and spec.quantisable
        return (name, name + SCALE_SUFFIX) if is_int8 else (name,)


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


def all_finite(value: Tensor) -> bool:
    """Whether a floating tensor holds no NaN and no infinity. aminmax carries NaN along and, unlike isfinite, needs no temporary."""
    return all(extreme.isfinite() for extreme in value.aminmax())


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

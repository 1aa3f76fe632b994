"""Will the weights fit? Asked before anything is allocated, so that the answer is a sentence and not a killed process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch

from kimi_vl.checkpoint.layout import TensorSpec, checkpoint_layout, quantised_bytes, runs_quantised
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CapacityError


def estimate_bytes(config: KimiVLConfig, dtype: torch.dtype, *, quantised: str | None = None) -> int:
    """Bytes the loaded weights take: `dtype` throughout, float32 for the router; what is `quantised` in that kind as it is kept."""

    def of(name: str, spec: TensorSpec) -> int:
        if quantised and runs_quantised(name, spec):
            return quantised_bytes(spec, quantised)
        return spec.numel * (4 if spec.keep_fp32 else dtype.itemsize)

    return sum(of(name, spec) for name, spec in checkpoint_layout(config).items())


def check_memory(config: KimiVLConfig, dtype: torch.dtype, device: torch.device | str = "cpu", *, quantised: str | None = None) -> None:
    """Refuse a model that cannot be loaded: its weights plus two copies of the largest tensor, the most that loading adds; where it is
    quantised on the way, to that kind, plus its largest module as it was.

    Raises: CapacityError with what is needed, what there is, and what would fit. Passes when the free memory is unknown.
    """
    available = available_memory(device)
    needed = loading_peak(config, dtype, quantised)
    if available is None or needed <= available:
        return
    raise CapacityError(
        f"loading these weights in {str(dtype).removeprefix('torch.')} needs {human_bytes(needed)} on {device} "
        f"and {human_bytes(available)} are free; {_remedy(config, quantised, needed, available)}"
    )


def _remedy(config: KimiVLConfig, quantised: str | None, needed: int, available: int) -> str:
    """The most exact format that would fit."""
    for kind in (quantised, "int8", "int4"):
        peak = loading_peak(config, torch.bfloat16, kind)
        if peak < needed and peak <= available:
            how = f" with quantize={kind!r}" if kind != quantised else ""
            return f"dtype='bfloat16'{how} needs {human_bytes(peak)} and would fit"
    return "use the embedded checkpoint nano, or a machine with more memory"


def available_memory(device: torch.device | str = "cpu", root: Path = Path("/")) -> int | None:
    """Free bytes on the device, None where the system does not tell. For the CPU the tighter of the machine's and the cgroup's."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min((*_machine_available(root), *_cgroup_available(root)), default=None)


def human_bytes(count: int) -> str:
    """1234567890 -> '1.23 GB'."""
    value, units = float(count), iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    for larger in units:
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def loading_peak(config: KimiVLConfig, dtype: torch.dtype, quantised: str | None) -> int:
    """The most bytes that are taken while weights are loaded: all of them and two copies of the largest tensor; where they are quantised
    on the way, to that kind, the largest module as it was."""
    layout = checkpoint_layout(config)
    peak = estimate_bytes(config, dtype, quantised=quantised) + 2 * max(spec.numel for spec in layout.values()) * dtype.itemsize
    if quantised:
        modules = Counter[str]()
        for name, spec in layout.items():
            if runs_quantised(name, spec):
                modules[spec.parameter.rpartition(".")[0]] += spec.numel
        peak += max(modules.values()) * dtype.itemsize
    return peak


def _machine_available(root: Path) -> list[int]:
    lines = _read(root / "proc/meminfo").splitlines()
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]


def _cgroup_available(root: Path) -> Iterator[int]:
    """What each memory limit on the way from this process's control group to the root leaves. Page cache counts as free."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, usage, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "
        elif "memory" in controllers.split(","):
            base, limit, usage, cache = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file ",
            )
        else:
            continue
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):
            ceiling, used = _read(folder / limit).strip(), _read(folder / usage).strip()
            if ceiling.isdigit() and used.isdigit():
                stat = _read(folder / "memory.stat").splitlines()
                reclaimable = sum(int(entry.split()[1]) for entry in stat if entry.startswith(cache))
                yield max(0, int(ceiling) - int(used) + reclaimable)
            if folder == base:
                break


def _read(path: Path) -> str:
    """A kernel file's text, empty where the system has no such file."""
    try:
        return path.read_text()
    except OSError:
        return ""

"""Will the weights fit? Asked before anything is allocated, so that the answer is a sentence and not a killed process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from kimi_vl.checkpoint.layout import checkpoint_layout
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CapacityError


def estimate_bytes(config: KimiVLConfig, dtype: torch.dtype) -> int:
    """Bytes the loaded weights take: `dtype` throughout, float32 for the router."""
    return sum(spec.numel * (4 if spec.keep_fp32 else dtype.itemsize) for spec in checkpoint_layout(config).values())


def check_memory(config: KimiVLConfig, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
    """Refuse a model that cannot be loaded: its weights plus two copies of the largest tensor, the most that loading adds.

    Raises: CapacityError with what is needed, what there is, and what would fit. Passes when the free memory is unknown.
    """
    available = available_memory(device)
    needed = _loading_peak(config, dtype)
    if available is None or needed <= available:
        return
    half = _loading_peak(config, torch.bfloat16)
    if half < needed and half <= available:
        remedy = f"dtype='bfloat16' needs {human_bytes(half)} and would fit"
    else:
        remedy = "use the embedded checkpoint nano, or a machine with more memory"
    raise CapacityError(
        f"loading these weights in {str(dtype).removeprefix('torch.')} needs {human_bytes(needed)} on {device} "
        f"and {human_bytes(available)} are free; {remedy}"
    )


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


def _loading_peak(config: KimiVLConfig, dtype: torch.dtype) -> int:
    largest = max(spec.numel for spec in checkpoint_layout(config).values())
    return estimate_bytes(config, dtype) + 2 * largest * dtype.itemsize


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

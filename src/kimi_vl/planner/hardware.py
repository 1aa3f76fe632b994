"""Machines as their makers describe them (`machines.toml`), and this one."""

from __future__ import annotations

import difflib
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import torch

from kimi_vl.checkpoint.memory import available_memory
from kimi_vl.errors import InputError

Where = Literal["cuda", "other", "mac", "cpu"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """`kind` "cuda": this package's kernels run there; "other": a GPU on which they never have; "mac", "cpu": its plain path does.

    Bytes, bytes a second, operations a second, US dollars; None where the maker says nothing. `shown` is the share of a GPU's memory that
    a program is shown; `free` what may be used, where it was measured.
    """

    name: str
    kind: Where
    memory: int
    read_bytes_s: float | None = None
    bf16_flops_s: float | None = None
    fp8_flops_s: float | None = None
    launch_usd: int | None = None
    source: str = ""
    shown: float = 0.98
    free: int = 0

    @property
    def usable(self) -> int:
        """Bytes for weights and everything else: without the driver's own on a GPU, without the system's elsewhere. macOS lends a GPU about
        three quarters of the memory unless told otherwise."""
        if self.free:
            return self.free
        if self.kind in ("cuda", "other"):
            return int(self.shown * self.memory) - CONTEXT_BYTES
        return int(self.memory * (0.75 if self.kind == "mac" else 0.9))


CONTEXT_BYTES = 700_000_000  # of a GPU: CUDA's context, kernels that are loaded, what a driver keeps


@cache
def machines() -> Mapping[str, Machine]:
    """All that are known, by name."""
    found = tomllib.loads((files("kimi_vl.planner") / "machines.toml").read_text(encoding="utf-8"))
    return {entry["name"]: _machine(entry, found["sources"]) for entry in found["machine"]}


def _machine(entry: dict[str, object], sources: Mapping[str, str]) -> Machine:
    values = dict(entry)
    scaled = {"memory": int(float(str(values.pop("memory_gib"))) * 2**30), "read_bytes_s": float(str(values.pop("read_gb_s"))) * 1e9}
    rates = {
        f"{dtype}_flops_s": float(str(values.pop(f"{dtype}_tflops"))) * 1e12 for dtype in ("bf16", "fp8") if f"{dtype}_tflops" in values
    }
    return Machine(**{**values, **scaled, **rates, "source": sources[str(values["source"])]})  # type: ignore[arg-type]


def find_machine(name: str) -> Machine:
    """By its name, however it is spelt: "rtx4090", "NVIDIA GeForce RTX 4090". Raises: InputError naming the nearest ones."""
    known = machines()
    by_plain = {_plain(each): each for each in known}
    wanted = _plain(name)
    if wanted in by_plain:
        return known[by_plain[wanted]]
    alike = [each for each in known if wanted and _family(each) == _family(name)]
    if len(alike) == 1:
        return known[alike[0]]
    near = alike or [by_plain[each] for each in difflib.get_close_matches(wanted, by_plain, n=3, cutoff=0.5)]
    near += [each for plain, each in by_plain.items() if wanted and wanted in plain and each not in near]
    hint = f"the nearest are {', '.join(near[:4])}" if near else "`kimi-vl plan` lists those that are known"
    raise InputError(f"there is no machine {name[:60]!r} in the list; {hint}; or pass its memory, such as 24GB")


_MAKERS = re.compile(r"\b(nvidia|geforce|apple|amd|radeon|intel|tesla|graphics|generation|hbm3e?|sxm\d?)\b")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", _MAKERS.sub("", name.lower()))


def _family(name: str) -> str:
    """Without its memory, which drivers put into some names and not into others."""
    return _plain(re.sub(r"\b\d+ ?gb\b", "", name.lower()))


def this_machine() -> list[Machine]:
    """The GPUs that torch sees, then the CPU, with the memory that is free now. Rates are those of the list where the name is in it."""
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        listed = _listed(properties.name, properties.total_memory)
        found.append(_here(listed, properties.name, "cuda", properties.total_memory, available_memory(f"cuda:{index}")))
    total, name = _memory_of_system(), _cpu_name()
    kind: Where = "mac" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"
    found.append(_here(_listed(name, total), name, kind, total, available_memory("cpu")))
    return found


def _here(listed: Machine | None, name: str, kind: Where, memory: int, free: int | None) -> Machine:
    rates = (listed.read_bytes_s, listed.bf16_flops_s, listed.fp8_flops_s) if listed else (None, None, None)
    source = f"measured here; rates of {listed.name} in the list" if listed else "measured here; rates are not known"
    read, bf16, fp8 = rates
    return Machine(
        name=name, kind=kind, memory=memory, read_bytes_s=read, bf16_flops_s=bf16, fp8_flops_s=fp8, source=source, free=free or 0
    )


def _listed(name: str, memory: int) -> Machine | None:
    """The machine of the list that a driver calls so; of several, that of the nearest memory."""
    found = [machine for machine in machines().values() if _family(machine.name) == _family(name)]
    return min(found, key=lambda machine: abs(machine.memory - memory), default=None)


def _memory_of_system() -> int:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(_sysctl("hw.memsize") or 0)


def _cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    name = _sysctl("machdep.cpu.brand_string") if platform.system() == "Darwin" else ""
    if not name and cpuinfo.exists():
        name = next((line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), "")
    return name or platform.processor() or platform.machine()


def _sysctl(name: str) -> str:
    """One value of macOS's kernel, empty where it cannot be had."""
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except OSError:
        return ""

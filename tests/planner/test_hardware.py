"""The list of machines, names as people and drivers write them, and this machine."""

import json
import platform
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from kimi_vl.errors import InputError
from kimi_vl.planner import find_machine, machines, this_machine
from kimi_vl.planner.hardware import CONTEXT_BYTES, _cpu_name, _listed

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def test_the_list_says_of_each_machine_what_a_plan_needs_and_whence():
    found = tomllib.loads((files("kimi_vl.planner") / "machines.toml").read_text(encoding="utf-8"))
    names = [entry["name"] for entry in found["machine"]]
    assert len(set(names)) == len(names) >= 40
    for machine in machines().values():
        assert machine.kind in ("cuda", "other", "mac", "cpu")
        assert machine.source in found["sources"].values()
        assert 10 * 2**30 <= machine.memory <= 400 * 2**30
        assert 50e9 <= machine.read_bytes_s <= 8e12
        assert machine.fp8_flops_s is None or 1.9 <= machine.fp8_flops_s / machine.bf16_flops_s <= 2.1
        assert 0 < machine.usable < machine.memory


@pytest.mark.parametrize(("name", "least_gib", "most_gib"), [("RTX 4090", 23.5, 23.7), ("RTX 5090", 31.3, 31.4), ("L40S", 44.3, 44.6)])
def test_a_gpu_gives_less_than_its_maker_prints(name, least_gib, most_gib):
    """By what torch says of them when they are full (machines.toml has where)."""
    shown = (find_machine(name).usable + CONTEXT_BYTES) / 2**30
    assert least_gib - 0.1 < shown < most_gib


def test_an_h100_gives_what_it_gave():
    seen = json.loads((RESULTS / "planner_gpu.json").read_text(encoding="utf-8"))
    free = seen["total"] - seen["context_bytes"]
    assert 0.98 * free < find_machine("H100").usable < free


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("rtx4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("rtx 4060 ti", "RTX 4060 Ti 16GB"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
        ("Apple M2 Ultra", "M2 Ultra 192GB"),
    ],
)
def test_machines_are_found_however_they_are_spelt(said, name):
    assert find_machine(said).name == name


@pytest.mark.parametrize(
    ("said", "near"), [("RTX 4900", "RTX 4090"), ("A100", "A100 40GB, A100 80GB"), ("h1000", "H100"), ("", "lists those")]
)
def test_an_unknown_machine_is_refused_with_the_nearest(said, near):
    with pytest.raises(InputError, match=near):
        find_machine(said)


def test_of_several_of_a_name_a_drivers_is_that_of_its_memory():
    assert _listed("NVIDIA A100-PCIE-40GB", 42 * 10**9) is None  # no such name in the list
    assert _listed("NVIDIA A100-SXM4-40GB", 42 * 10**9).name == "A100 40GB"
    assert _listed("NVIDIA A100-SXM4-80GB", 85 * 10**9).name == "A100 80GB"


def test_this_machine_is_told_with_what_is_free(monkeypatch):
    cpu = this_machine()[-1]
    assert cpu.kind == "cpu" or platform.system() == "Darwin"
    assert 0 < cpu.usable < cpu.memory
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    card = type("Card", (), {"name": "NVIDIA GeForce RTX 4090", "total_memory": 25_757_220_864})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr("kimi_vl.planner.hardware.available_memory", lambda device: 24 * 10**9 if device == "cuda:0" else 10**9)
    gpu, cpu = this_machine()
    assert (gpu.kind, gpu.usable, gpu.read_bytes_s) == ("cuda", 24 * 10**9, 1008e9)
    assert cpu.usable == 10**9


def test_a_mac_is_asked_by_sysctl(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr("kimi_vl.planner.hardware._sysctl", lambda name: {"machdep.cpu.brand_string": "Apple M4 Max"}.get(name, ""))
    monkeypatch.setattr("kimi_vl.planner.hardware.available_memory", lambda device: None)
    mac = this_machine()[-1]
    assert (mac.name, mac.kind, mac.read_bytes_s) == ("Apple M4 Max", "mac", 546e9)
    assert mac.usable == int(0.75 * mac.memory)


def test_a_cpus_name_is_read_where_linux_says_it(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n")
    assert _cpu_name(tmp_path / "cpuinfo") == "A CPU @ 2 GHz"

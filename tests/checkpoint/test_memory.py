"""What is free, and the sentence when it is not enough."""

import pytest
import torch

from kimi_vl.checkpoint import available_memory, check_memory, estimate_bytes, memory
from kimi_vl.checkpoint.memory import human_bytes
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CapacityError
from tests.checkpoint.files import TINY_CONFIG
from tests.configs import OFFICIAL

OFFICIAL_CONFIG = KimiVLConfig.from_dict(OFFICIAL)
UNLIMITED_V1 = "9223372036854771712"


def machine(root, files):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def test_available_memory_is_the_kernels_estimate_without_a_limit(tmp_path):
    root = machine(tmp_path, {"proc/meminfo": "MemTotal: 900 kB\nMemFree: 1 kB\nMemAvailable: 700 kB\n", "proc/self/cgroup": "0::/\n"})
    assert available_memory("cpu", root) == 700 * 1024


@pytest.mark.parametrize("limited", ["", "outer/"])
def test_a_cgroup_limit_on_the_group_or_above_it_counts_and_page_cache_is_free(tmp_path, limited):
    group = f"sys/fs/cgroup/{limited}" if limited else "sys/fs/cgroup/outer/inner/"
    files = {
        "proc/meminfo": "MemAvailable: 1000000 kB\n",
        "proc/self/cgroup": "1:name=systemd:/\n0::/outer/inner\n",
        "sys/fs/cgroup/outer/inner/memory.max": "max\n",
        "sys/fs/cgroup/outer/inner/memory.current": "400000\n",
        group + "memory.max": "1000000\n",
        group + "memory.current": "400000\n",
        group + "memory.stat": "anon 300000\ninactive_file 50000\nactive_file 50000\n",
    }
    assert available_memory("cpu", machine(tmp_path, files)) == 650_000


def test_the_older_cgroup_hierarchy_counts_too(tmp_path):
    files = {
        "proc/meminfo": "MemAvailable: 1000000 kB\n",
        "proc/self/cgroup": "8:pids:/\n4:memory:/job\n0::/\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": UNLIMITED_V1,
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "5000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "90000",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000",
        "sys/fs/cgroup/memory/memory.stat": "inactive_file 7\ntotal_inactive_file 1000\n",
    }
    assert available_memory("cpu", machine(tmp_path, files)) == 86_000


def test_a_system_that_does_not_tell_its_memory_is_not_refused(tmp_path, monkeypatch):
    assert available_memory("cpu", tmp_path) is None
    monkeypatch.setattr(memory, "available_memory", lambda device: None)
    check_memory(OFFICIAL_CONFIG, torch.float32)


def test_this_machine_has_some_memory_and_the_toy_fits():
    assert available_memory("cpu") > 100_000_000
    check_memory(TINY_CONFIG, torch.float32)


def test_a_model_too_large_is_refused_with_need_stock_and_a_format_that_fits(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 40_000_000_000)
    with pytest.raises(
        CapacityError, match=r"in float32 needs 68\.3 GB on cpu and 40 GB are free; dtype='bfloat16' needs 34\.2 GB and would fit"
    ):
        check_memory(OFFICIAL_CONFIG, torch.float32)
    check_memory(OFFICIAL_CONFIG, torch.bfloat16)


def test_a_model_that_fits_only_in_eight_bits_is_pointed_there(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 24_000_000_000)
    with pytest.raises(CapacityError, match=r"24 GB are free; dtype='bfloat16' with quantize='int8' needs 19\.7 GB and would fit"):
        check_memory(OFFICIAL_CONFIG, torch.bfloat16)
    check_memory(OFFICIAL_CONFIG, torch.bfloat16, quantised="int8")


def test_a_model_that_fits_only_with_experts_in_four_bits_is_pointed_there(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 16_000_000_000)
    for kind in (None, "int8", "fp8"):
        with pytest.raises(CapacityError, match=r"16 GB are free; dtype='bfloat16' with quantize='int4' needs 12\.7 GB and would fit"):
            check_memory(OFFICIAL_CONFIG, torch.bfloat16, quantised=kind)
    check_memory(OFFICIAL_CONFIG, torch.bfloat16, quantised="int4")


def test_a_model_that_fits_in_no_format_is_pointed_to_nano(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 8_000_000_000)
    for dtype in (torch.float32, torch.bfloat16):
        with pytest.raises(CapacityError, match="8 GB are free; use the embedded checkpoint nano"):
            check_memory(OFFICIAL_CONFIG, dtype)


def test_loading_is_budgeted_with_two_copies_of_the_largest_tensor(monkeypatch):
    peak = estimate_bytes(TINY_CONFIG, torch.float32) + 2 * 4 * 192 * 192  # the toy's largest tensor is linear_1
    monkeypatch.setattr(memory, "available_memory", lambda device: peak)
    check_memory(TINY_CONFIG, torch.float32)
    monkeypatch.setattr(memory, "available_memory", lambda device: peak - 1)
    with pytest.raises(CapacityError):
        check_memory(TINY_CONFIG, torch.float32)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (34_157_000_000, "34.2 GB"), (999_400_000, "999 MB"), (5 * 10**15, "5,000 TB")],
)
def test_sizes_are_written_with_three_digits(count, text):
    assert human_bytes(count) == text

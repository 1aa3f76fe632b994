"""The confined processes that decode: what they cannot do, how each way of failing ends, and that nothing is left behind."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from kimi_vl.errors import EngineBusy, InputError, MediaError
from kimi_vl.media import load_image, sandbox
from kimi_vl.media.sandbox import PROTECTIONS, Limits, pool
from kimi_vl.media.sandbox.limits import READERS, Reader
from kimi_vl.media.sources import open_source
from tests.media import toy_readers
from tests.media.pictures import blocks, encoded

PNG = encoded(blocks(), "PNG")
QUICK = Limits(seconds=10, cpu_seconds=10)
ON_LINUX = sys.platform == "linux"


@pytest.fixture(autouse=True)
def _toys(monkeypatch):
    for name in vars(toy_readers):
        if callable(getattr(toy_readers, name)) and not name.startswith("_"):
            monkeypatch.setitem(READERS, name, Reader(f"tests.media.toy_readers:{name}", QUICK))


def read(name, request=None, limits=None, data=PNG):
    with open_source(data) as source:
        yield from sandbox.read(name, source.file, "the file", request, limits)


def failure(name, request=None, limits=None):
    with pytest.raises(MediaError) as caught:
        list(read(name, request, limits))
    return caught.value.code, str(caught.value)


def workers():
    """Processes that the nursery has, zombies included."""
    nursery = sandbox._pool._nursery
    if nursery is None:
        return set()
    with open(f"/proc/{nursery._process.pid}/task/{nursery._process.pid}/children") as file:
        return set(map(int, file.read().split()))


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_a_reader_gets_file_name_and_request_and_no_environment(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "x")
    (part,) = read("echo", {"a": [1, None, "ü"]})
    assert (part.facts["name"], part.facts["request"], part.facts["bytes"]) == ("the file", {"a": [1, None, "ü"]}, len(PNG))
    assert "SECRET_KEY" not in part.facts["environment"]
    assert part.facts["pid"] in workers()
    assert part.facts["pid"] != os.getpid()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 7), (2364, 2364), (2365, 2365)])
def test_pixels_cross_over_bit_by_bit_whether_they_fit_the_shared_memory_or_not(height, width):
    (part,) = read("gradient", {"height": height, "width": width}, replace(QUICK, part_pixels=64_000_000))
    (expected,) = toy_readers.gradient(None, "", {"height": height, "width": width})
    assert np.array_equal(part.pixels_HWC, expected.pixels_HWC)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 3), (2048, 2048), (2049, 2048), (2, 4_194_304), (4097, 1025), (1, 4_194_305)])
def test_images_cross_over_as_they_are_row_by_row(height, width):
    (part,) = read("image", {"height": height, "width": width}, replace(QUICK, part_pixels=64_000_000))
    (expected,) = toy_readers.gradient(None, "", {"height": height, "width": width})
    assert part.size == expected.size == (width, height)
    assert part.pixel_bytes == expected.pixel_bytes == expected.pixels_HWC.nbytes
    assert (part.image is not None) == (width <= 4_194_304)
    assert part.as_image().mode == "RGB"
    assert np.array_equal(part.as_pixels(), expected.pixels_HWC)


def test_every_protection_holds_on_linux():
    held = set(sandbox.protections())
    assert held <= set(PROTECTIONS)
    if ON_LINUX:
        may_unshare = subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True, check=False).returncode == 0
        # Where the system forbids namespaces to everybody, as some containers do, the list of system calls stands alone.
        assert set(PROTECTIONS) - held <= (set() if may_unshare else {"network", "files"})
    else:
        assert {"processor time", "file size", "descriptors", "core dumps"} <= held


def test_inside_nothing_can_be_opened_started_signalled_or_raised():
    found = {part.facts["what"]: part.facts["refused"] for part in read("attempts")}
    assert found.keys() == toy_readers.ATTEMPTS.keys()
    assert [what for what, refused in found.items() if not refused] == []


def test_threads_are_allowed_inside():
    assert [part.facts for part in read("threads")] == [{"done": [0, 1, 2, 3]}]


def test_callbacks_from_native_code_are_allowed_inside():
    assert [part.facts for part in read("callbacks", {"count": 20})] == [{"sums": list(range(1, 21)), "text": "ü"}]


def test_h9_g4_a_crash_is_one_clear_error_and_the_next_file_is_read():
    for request, what in (({"how": "segfault"}, "SIGSEGV"), ({"how": "abort", "after": 1}, "SIGABRT"), ({"how": "exit"}, "exit code 7")):
        code, message = failure("crash", request)
        assert (code, what in message) == ("media_decoder_crashed", True), message
        assert load_image(PNG).size == (64, 48)


def test_a_memory_bomb_is_refused_within_its_limit():
    limits = replace(QUICK, memory_bytes=256 << 20)
    assert failure("memory_bomb", {"bytes": 1 << 30}, limits) == (
        "media_too_complex",
        "the file needs more than 256 MiB to decode, the limit; make it smaller, or cut it into parts",
    )
    assert [part.facts for part in read("memory_bomb", {"bytes": 128 << 20}, limits)] == [{"bytes": 128 << 20}]


def test_h8_g17_an_endless_loop_ends_at_the_wall_clock():
    began = time.monotonic()
    code, message = failure("endless", {}, replace(QUICK, seconds=0.3))
    assert (code, message) == ("media_timeout", "the file took more than 0.3 s to decode, the limit; make it smaller, or cut it into parts")
    assert time.monotonic() - began < 5
    assert failure("sleepy", {}, replace(QUICK, seconds=0.3))[0] == "media_timeout"


def test_the_kernel_ends_what_uses_up_its_processor_time():
    code, message = failure("endless", {}, Limits(seconds=60, cpu_seconds=0))
    assert (code, "0 s of processor time" in message) == ("media_timeout", True), message


@pytest.mark.parametrize("what", toy_readers.LIES)
def test_what_a_worker_under_foreign_command_says_is_checked(what):
    assert failure("lie", {"what": what}, replace(QUICK, seconds=5))[0] == "media_decoder_crashed"


def test_refusals_come_through_in_plain_words_and_with_their_code():
    assert failure("refuse", {"how": "media", "text": "no\x1b[31m good at 0x7f001234abcd\n", "code": "pdf_too_complex"}) == (
        "pdf_too_complex",
        "no [31m good at … ",
    )
    assert failure("refuse", {"how": "media", "text": "x" * 10_000, "code": "Not a code!"}) == ("invalid_media", "x" * 600)
    with pytest.raises(InputError, match="no such page") as caught:
        list(read("refuse", {"how": "input", "text": "no such page"}))
    assert not isinstance(caught.value, MediaError)
    code, message = failure("refuse", {"how": "other", "text": "abc"})
    assert (code, "KeyError: 'abc'" in message) == ("invalid_media", True)


def test_the_number_of_parts_and_their_pixels_are_limited():
    request = {"count": 10, "side": 100}
    assert failure("frames", request, replace(QUICK, parts=9))[0] == "media_too_large"
    assert failure("frames", request, replace(QUICK, pixel_bytes=299_999))[0] == "media_too_large"
    assert failure("frames", request, replace(QUICK, part_pixels=9_999))[0] == "media_decoder_crashed"
    assert len(list(read("frames", request, replace(QUICK, parts=10, pixel_bytes=300_000, part_pixels=10_000)))) == 10


def test_parts_flow_and_the_callers_time_is_not_counted():
    limits = replace(QUICK, seconds=2.0)
    seen = []
    for part in read("frames", {"count": 300, "side": 64}, limits):
        if part.facts["number"] in (5, 6, 7):
            time.sleep(0.8)  # 2.4 s in all
        seen.append((part.facts["number"], int(part.pixels_HWC[0, 0, 0])))
    assert seen == [(k, k % 256) for k in range(300)]


@pytest.mark.parametrize("side", [8, 1500, 2500])  # the last crosses over in two pieces
def test_images_flow_one_after_another_and_job_after_job(side):
    for _ in range(2):
        parts = list(read("images", {"count": 4, "side": side}, replace(QUICK, seconds=5)))
        assert [part.facts["number"] for part in parts] == [0, 1, 2, 3]
        assert [part.image.getextrema() for part in parts] == [((k, k),) * 3 for k in range(4)]


@pytest.mark.parametrize("pause", [0.0, 0.05])  # after which the next message lies there before it is asked for
def test_pictures_and_facts_follow_one_another_in_any_order(pause):
    seen = []
    for part in read("mixed", {}, replace(QUICK, seconds=5)):
        seen.append((part.facts["number"], part.size))
        time.sleep(pause)
    assert seen == [(0, (50, 50)), (1, None), (2, (50, 50)), (3, None), (4, (50, 50))]


def test_a_long_film_takes_bounded_memory_on_both_sides():
    limits = replace(QUICK, parts=100_000, pixel_bytes=1 << 40, memory_bytes=64 << 20)
    for part in read("frames", {"count": 100, "side": 1000}, limits):  # 300 MB in all
        assert part.pixels_HWC.nbytes == 3_000_000


def test_h14_leaving_early_stops_the_worker_at_once_and_leaves_nothing():
    list(read("echo"))
    before = descriptors()
    for leave in ("close", "drop", "raise"):
        parts = read("frames", {"count": 100_000, "side": 100}, Limits(parts=1 << 30, pixel_bytes=1 << 50))
        next(parts)
        (worker,) = sandbox._pool._lent
        if leave == "close":
            parts.close()
        elif leave == "raise":
            with contextlib.suppress(KeyboardInterrupt):
                parts.throw(KeyboardInterrupt)
        del parts
        assert worker.pid not in workers()
        assert worker.death.signal == signal.SIGKILL
        assert not sandbox._pool._lent
    assert descriptors() == before


def test_a_worker_killed_in_the_middle_is_replaced_within_half_a_second():
    times = []
    for _ in range(4):
        parts = read("frames", {"count": 1000, "side": 100})
        next(parts)
        (worker,) = sandbox._pool._lent
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(MediaError, match="has crashed its decoder \\(SIGKILL\\)"):
            list(parts)
        began = time.monotonic()
        list(read("frames", {"count": 1, "side": 10}))
        times.append(time.monotonic() - began)
    assert min(times) < 0.5


def test_an_idle_worker_that_has_died_is_not_lent():
    (part,) = read("echo")
    (worker,) = [worker for worker in sandbox._pool._idle if worker.pid == part.facts["pid"]]
    os.kill(worker.pid, signal.SIGKILL)
    while worker.is_alive():
        time.sleep(0.01)
    (again,) = read("echo")
    assert again.facts["pid"] != part.facts["pid"]


def test_a_nursery_that_has_died_is_replaced():
    list(read("echo"))
    nursery = sandbox._pool._nursery._process
    nursery.kill()
    assert load_image(PNG).size == (64, 48)
    assert sandbox._pool._nursery._process.pid != nursery.pid


def test_workers_are_used_again_after_a_whole_file_and_only_so_often(monkeypatch):
    monkeypatch.setattr(pool, "JOBS_PER_WORKER", 3)
    pids = [part.facts["pid"] for _ in range(9) for part in read("echo")]
    assert len(set(pids)) >= 3
    monkeypatch.setattr(pool, "JOBS_PER_WORKER", 1000)
    pids = [part.facts["pid"] for _ in range(4) for part in read("echo")]
    assert len(set(pids)) == 1
    failure("refuse", {"how": "media", "text": "no"})
    assert len({part.facts["pid"] for _ in range(2) for part in read("echo")}) == 1


def test_32_threads_at_once_and_nothing_is_left():
    load_image(PNG)
    before = descriptors()
    expected = np.asarray(blocks())
    wrong = []

    def work(number):
        for turn in range(3):
            if (number + turn) % 4:
                if not np.array_equal(np.asarray(load_image(PNG)), expected):
                    wrong.append(number)
            else:
                with contextlib.suppress(MediaError):
                    load_image(PNG[: 100 + number])
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not sandbox._pool._lent
    assert sandbox._pool._num_taken == 0
    assert len(workers()) == len(sandbox._pool._idle) <= sandbox._pool.size
    # A worker at rest holds two descriptors of ours, its socket and its slab, and which of them rest in the end depends on who came last.
    assert abs(descriptors() - before) <= 2 * sandbox._pool.size


def test_who_holds_every_worker_and_takes_nothing_is_told_so(monkeypatch):
    monkeypatch.setattr(pool, "STANDSTILL_S", 0.05)
    held = [read("frames", {"count": 1000, "side": 100}) for _ in range(sandbox._pool.size)]
    for parts in held:
        next(parts)
    with pytest.raises(EngineBusy, match="close those iterators first"):
        load_image(PNG)
    held[0].close()
    assert load_image(PNG).size == (64, 48)
    for parts in held:
        parts.close()


def test_a_forked_copy_of_this_process_has_decoders_of_its_own():
    parts = read("frames", {"count": 3, "side": 8})
    next(parts)
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(into, f"{load_image(PNG).size} {len(list(read('frames', {'count': 2, 'side': 8})))}".encode())
            parts.close()
            sandbox._close()
        finally:
            os._exit(0)
    os.close(into)
    os.waitpid(pid, 0)
    with os.fdopen(out) as file:
        assert file.read() == "(64, 48) 2"
    assert [part.facts["number"] for part in parts] == [1, 2]


SCRIPT = """
import sys, time
from kimi_vl.media import load_image, sandbox
load_image(bytes.fromhex(sys.argv[1]))
print(sandbox._pool._nursery._process.pid, sandbox._pool._idle[0].pid, flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("killed", [False, True])
def test_no_process_outlives_its_starter(killed):
    command = [sys.executable, "-c", SCRIPT, PNG.hex(), "60" if killed else "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pids = list(map(int, process.stdout.readline().split()))
        if killed:
            process.kill()
        assert process.wait(timeout=60) == (-signal.SIGKILL if killed else 0)
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
            break
        time.sleep(0.05)
    assert len(pids) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_a_reader_that_cannot_be_loaded_is_named(monkeypatch):
    monkeypatch.setitem(READERS, "absent", Reader("kimi_vl.media.absent:read", QUICK))
    with pytest.raises(MediaError, match=r"kimi_vl.media.absent:read cannot be loaded: ModuleNotFoundError"):
        list(read("absent"))


def test_a_file_is_read_from_its_start_whatever_was_read_of_it_before():
    with open_source(PNG) as source:
        source.file.seek(20)
        assert [part.facts["bytes"] for part in sandbox.read("echo", source.file, "x")] == [len(PNG)]

"""Folders from strangers: what is read, and every way in which a file can lie (RELIABILITY P1 to P5, P10, P12, P15)."""

import json
import os
import random
import struct
import time

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kimi_vl.checkpoint import CheckpointReader, reader
from kimi_vl.errors import CheckpointError
from tests.checkpoint.files import entry, safetensors_bytes, write_folder

INDEX = "model.safetensors.index.json"
GOOD = safetensors_bytes({"a": entry("F32", [2, 2], 0, 16), "b": entry("I8", [3], 16, 19)}, bytes(range(19)))


def refused(folder, match):
    with pytest.raises(CheckpointError, match=match) as caught, CheckpointReader(folder):
        pass
    return str(caught.value)


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
)
def test_every_supported_dtype_is_read_as_the_library_wrote_it(tmp_path, dtype):
    tensors = {"x": torch.arange(24).view(2, 3, 4).to(dtype), "scalar": torch.tensor(7).to(dtype), "empty": torch.zeros(0, 5, dtype=dtype)}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with CheckpointReader(tmp_path) as opened:
        assert sorted(opened.names()) == ["empty", "scalar", "x"]
        for name, value in tensors.items():
            assert opened.spec(name) == (tuple(value.shape), dtype)
            assert opened.num_bytes(name) == value.numel() * dtype.itemsize
            assert torch.equal(opened.tensor(name), value)


def test_a_tensor_is_a_copy_that_outlives_the_reader_and_the_file(tmp_path):
    save_file({"x": torch.arange(4.0)}, tmp_path / "model.safetensors")
    with CheckpointReader(tmp_path) as opened:
        first, second = opened.tensor("x"), opened.tensor("x")
    first += 1
    (tmp_path / "model.safetensors").unlink()
    assert second.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_shards_are_read_through_the_index(tmp_path):
    for number, name in enumerate("ab"):
        save_file({name: torch.full((2,), float(number))}, tmp_path / f"{name}.safetensors")
    write_folder(tmp_path, {}, {"a": "a.safetensors", "b": "b.safetensors"})
    with CheckpointReader(tmp_path) as opened:
        assert [path.name for path in opened.files] == ["a.safetensors", "b.safetensors"]
        assert opened.tensor("b").tolist() == [1.0, 1.0]


def test_an_unknown_name_is_an_error_that_names_it(tmp_path):
    write_folder(tmp_path, {"model.safetensors": GOOD})
    with CheckpointReader(tmp_path) as opened, pytest.raises(CheckpointError, match="no tensor 'lm_head'"):
        opened.tensor("lm_head")


def test_files_are_closed_with_the_reader_and_after_a_refusal(tmp_path):
    write_folder(tmp_path, {"a.safetensors": GOOD, "b.safetensors": GOOD}, {"a": "a.safetensors", "b": "b.safetensors"})
    before = os.listdir("/proc/self/fd")
    refused(tmp_path, "places in")
    (tmp_path / INDEX).unlink()
    write_folder(tmp_path, {"model.safetensors": GOOD})
    with CheckpointReader(tmp_path):
        pass
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_truncated_while_it_is_read_is_an_error_and_not_a_dead_process(tmp_path):
    size = 3 << 20
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({"a": entry("U8", [size], 0, size)}, bytes(size)))
    with CheckpointReader(tmp_path) as opened:
        os.truncate(path, size // 2)
        with pytest.raises(CheckpointError, match="bytes early while 'a' was read"):
            opened.tensor("a")


# ------------------------------------------------------------------ headers

HEADERS = {
    "no bytes at all": (b"", "has 0 bytes"),
    "half a length": (b"\x10\0\0", "has 3 bytes"),
    "a header of zero bytes": (struct.pack("<Q", 0), "header of 0 bytes"),
    "a header of 2^63 bytes": (struct.pack("<Q", 1 << 63) + b"{}", "header of 9,223,372,036,854,775,808 bytes"),
    "a header above the ceiling": (struct.pack("<Q", (16 << 20) + 1) + b"{}", "header of 16,777,217 bytes"),
    "a header longer than the file": (struct.pack("<Q", 100) + b"{}", "the file is truncated"),
    "bad UTF-8": (safetensors_bytes(b'{"\xff": 1}'), "not UTF-8"),
    "bad JSON": (safetensors_bytes("{]"), "malformed JSON"),
    "a list": (safetensors_bytes("[]"), "an object is required"),
    "deep nesting": (safetensors_bytes('{"a":' + "[" * 200_000 + "]" * 200_000 + "}"), "nested too deeply"),
    "NaN": (safetensors_bytes('{"a": NaN}'), "NaN is not JSON"),
    "an integer of 5,000 digits": (safetensors_bytes('{"a": ' + "9" * 5000 + "}"), "malformed JSON"),
    "the same tensor twice": (
        safetensors_bytes(
            '{"a": {"dtype":"I8","shape":[1],"data_offsets":[0,1]}, "a": {"dtype":"I8","shape":[1],"data_offsets":[0,1]}}', b"x"
        ),
        "duplicate key 'a'",
    ),
    "the same field twice": (
        safetensors_bytes('{"a": {"dtype":"I8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
        "duplicate key 'dtype'",
    ),
    "an entry that is no object": (safetensors_bytes({"a": 5}), "exactly the keys"),
    "a missing field": (safetensors_bytes({"a": {"dtype": "I8", "shape": []}}), "exactly the keys"),
    "an unknown field": (safetensors_bytes({"a": {**entry("I8", [1], 0, 1), "code": "x"}}, b"x"), "exactly the keys"),
    "an unknown dtype": (safetensors_bytes({"a": entry("F4", [2], 0, 1)}, b"x"), "has dtype 'F4'"),
    "a dtype that is no string": (safetensors_bytes({"a": {**entry("I8", [1], 0, 1), "dtype": ["I8"]}}, b"x"), "has dtype"),
    "a negative dimension": (safetensors_bytes({"a": entry("I8", [-1, -1], 0, 1)}, b"x"), r"has shape .*non-negative"),
    "a fractional dimension": (safetensors_bytes('{"a":{"dtype":"I8","shape":[1.0],"data_offsets":[0,1]}}', b"x"), "has shape"),
    "a boolean dimension": (safetensors_bytes('{"a":{"dtype":"I8","shape":[true],"data_offsets":[0,1]}}', b"x"), "has shape"),
    "a million dimensions": (safetensors_bytes({"a": entry("I8", [1] * 1_000_000, 0, 1)}, b"x"), "has shape a list of 1,000,000"),
    "a shape that overflows 64 bits": (safetensors_bytes({"a": entry("F32", [2**32, 2**32], 0, 0)}), "takes 73,786,976,294,838,206,464"),
    "a shape beyond every number": (safetensors_bytes({"a": entry("F32", [10**4000] * 8, 0, 4)}, b"abcd"), r"takes more than 10\^24"),
    "descending offsets": (safetensors_bytes({"a": entry("I8", [1], 1, 0)}, b"x"), "data_offsets"),
    "three offsets": (safetensors_bytes({"a": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1, 2]}}, b"x"), "data_offsets"),
    "negative offsets": (safetensors_bytes({"a": entry("I8", [1], -1, 0)}, b"x"), "data_offsets"),
    "fewer bytes than the shape needs": (
        safetensors_bytes({"a": entry("F32", [2], 0, 4)}, b"abcd"),
        r"covers 4 bytes; F32 of shape \[2\] takes 8",
    ),
    "offsets past the end": (safetensors_bytes({"a": entry("I8", [9], 0, 9)}, b"x"), "ends at byte 9 of 1; the file is truncated"),
    "an overlap": (safetensors_bytes({"a": entry("I8", [2], 0, 2), "b": entry("I8", [2], 1, 3)}, b"abc"), "'b' overlaps"),
    "a gap": (safetensors_bytes({"a": entry("I8", [1], 0, 1), "b": entry("I8", [1], 2, 3)}, b"abc"), "'b' leaves a gap of 1 bytes"),
    "a gap at the start": (safetensors_bytes({"a": entry("I8", [1], 1, 2)}, b"ab"), "'a' leaves a gap of 1 bytes"),
    "trailing bytes": (safetensors_bytes({"a": entry("I8", [1], 0, 1)}, b"abc"), "2 bytes behind the last tensor"),
    "data without tensors": (safetensors_bytes({}, b"abc"), "3 bytes behind the last tensor"),
    "metadata that is no object": (safetensors_bytes({"__metadata__": 5}), "__metadata__"),
    "metadata with a number": (safetensors_bytes({"__metadata__": {"format": 1}}), "__metadata__"),
    "a pickle in disguise": (b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x07builtins", "header of"),
    "an HTML page": (b"<!DOCTYPE html><html>not found</html>", "header of"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_lying_header_is_refused_with_file_and_reason(tmp_path, case):
    content, reason = HEADERS[case]
    started = time.monotonic()
    message = refused(write_folder(tmp_path, {"model.safetensors": content}), reason)
    assert message.startswith(f"{tmp_path}/model.safetensors")
    assert len(message) < 500
    assert message.isprintable()
    assert time.monotonic() - started < 2


def test_hostile_tensor_names_are_shown_escaped_and_short(tmp_path):
    name = "\x1b[2J\n" + "x" * 100_000
    message = refused(write_folder(tmp_path, {"model.safetensors": safetensors_bytes({name: 5})}), "exactly the keys")
    assert message.isprintable()
    assert len(message) < 500


def mutants(count):
    """Valid files with a flipped bit, a cut, an insertion, or one JSON value swapped for a nastier one. Seeded."""
    choose = random.Random(20261122)
    nasty = [-1, 0, 1, 2**31, 2**63, 2**64, 1e308, 0.5, None, True, "", "F32", "I8", "BF16", [], [0, 0], [2**62, 4], {}, {"a": 1}]
    for _ in range(count):
        kind = choose.choice(("flip", "cut", "insert", "swap", "length"))
        if kind == "swap":
            header = {"a": entry("F32", [64, 2], 0, 512), "b": entry("I8", [3], 512, 515), "__metadata__": {"format": "pt"}}
            target = choose.choice([header, header["a"], header["b"], header["a"]["shape"], header["b"]["data_offsets"]])
            key = choose.choice(list(target) if isinstance(target, dict) else range(len(target)))
            target[key] = choose.choice(nasty)
            yield safetensors_bytes(header, bytes(515))
            continue
        content = bytearray(safetensors_bytes({"a": entry("F32", [64, 2], 0, 512), "b": entry("I8", [3], 512, 515)}, bytes(515)))
        place = choose.randrange(len(content))
        if kind == "flip":
            content[place] ^= 1 << choose.randrange(8)
        elif kind == "cut":
            del content[place:]
        elif kind == "insert":
            content[place:place] = choose.randbytes(choose.randrange(1, 9))
        else:
            content[:8] = struct.pack("<Q", choose.choice([0, 1, 2, len(content), len(content) - 8, 2**24, 2**24 + 1, 2**40, 2**64 - 1]))
        yield bytes(content)


def test_six_hundred_mutants_are_read_in_full_or_refused_and_never_read_where_the_library_refuses(tmp_path):
    path = tmp_path / "model.safetensors"
    outcomes = {"read": 0, "refused": 0}
    started = time.monotonic()
    for content in mutants(600):
        path.write_bytes(content)
        try:
            with CheckpointReader(tmp_path) as opened:
                values = {name: opened.tensor(name) for name in opened.names()}
        except CheckpointError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert sum(value.numel() * value.element_size() for value in values.values()) < len(content)
        with safe_open(path, framework="pt") as theirs:
            for name in theirs.keys():  # noqa: SIM118  (not a dict: it has no iterator)
                assert torch.equal(theirs.get_tensor(name).view(torch.uint8), values.pop(name).view(torch.uint8))
        assert not values
    assert time.monotonic() - started < 20
    assert outcomes["refused"] > 300
    assert outcomes["read"] > 50  # flipped data bytes and renamed tensors are still a valid file


@pytest.mark.parametrize("case", ["an overlap", "a gap", "trailing bytes", "offsets past the end", "a header of 2^63 bytes"])
def test_the_library_agrees_that_the_file_is_invalid(tmp_path, case):
    (tmp_path / "x").write_bytes(HEADERS[case][0])
    with pytest.raises(SafetensorError), safe_open(tmp_path / "x", framework="pt"):
        pass


# ------------------------------------------------------------------ the index


@pytest.mark.parametrize(
    "file_name",
    [
        "../outside.safetensors",
        "../../etc/x.safetensors",
        "/etc/x.safetensors",
        "sub/x.safetensors",
        "sub\\x.safetensors",
        "C:x.safetensors",
        "https://example.com/x.safetensors",
        "file:///etc/x.safetensors",
        "x\0.safetensors",
        "x\n.safetensors",
        "x.bin",
        "config.json",
        "..",
        "",
        "y" * 300 + ".safetensors",
        5,
        None,
        ["x.safetensors"],
        {"file": "x.safetensors"},
    ],
)
def test_the_index_may_name_plain_files_only_and_nothing_outside_is_opened(tmp_path, monkeypatch, file_name):
    opened = []
    monkeypatch.setattr(reader, "open_file", lambda path, original=reader.open_file: opened.append(path) or original(path))
    (tmp_path / "outside.safetensors").write_bytes(GOOD)
    folder = write_folder(tmp_path / "model", {"x.safetensors": GOOD}, {"a": "x.safetensors", "evil": file_name})
    message = refused(folder, "places 'evil' in .*only the plain name of a .safetensors file")
    assert len(message) < 500
    assert message.isprintable()
    assert opened == [folder / INDEX]


@pytest.mark.parametrize("document", ["[]", "{}", '{"weight_map": {}}', '{"weight_map": []}', '{"weight_map": 1}'])
def test_an_index_without_a_weight_map_is_refused(tmp_path, document):
    (tmp_path / INDEX).write_text(document)
    refused(tmp_path, "weight_map|an object is required")


@pytest.mark.parametrize("document", [b"\xff", b"{", b'{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', b"", b"[" * 300_000])
def test_a_garbled_index_is_refused(tmp_path, document):
    (tmp_path / INDEX).write_bytes(document)
    refused(tmp_path, "not UTF-8|malformed JSON|nested too deeply")


def test_an_oversized_index_is_refused_without_reading_it_all(tmp_path):
    with open(tmp_path / INDEX, "wb") as file:
        file.truncate(1 << 34)  # sparse: 16 GiB that take no space, and would take all memory
    refused(tmp_path, "larger than 16,777,216 bytes")


def test_a_missing_shard_is_named(tmp_path):
    write_folder(tmp_path, {"x.safetensors": GOOD}, {"a": "x.safetensors", "b": "x.safetensors", "c": "gone.safetensors"})
    refused(tmp_path, "gone.safetensors is missing")


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    folder = write_folder(
        tmp_path, {"x.safetensors": GOOD, "y.safetensors": GOOD}, {"a": "x.safetensors", "b": "x.safetensors", "c": "y.safetensors"}
    )
    refused(folder, r"y.safetensors holds 'a', which .* places in 'x.safetensors'")


def test_a_tensor_that_the_index_does_not_list_is_refused(tmp_path):
    refused(write_folder(tmp_path, {"x.safetensors": GOOD}, {"a": "x.safetensors"}), "holds 'b', which .* does not list")


def test_a_tensor_listed_in_another_shard_is_refused(tmp_path):
    other = safetensors_bytes({"c": entry("I8", [1], 0, 1)}, b"x")
    weight_map = {"a": "x.safetensors", "b": "y.safetensors", "c": "y.safetensors"}
    refused(
        write_folder(tmp_path, {"x.safetensors": GOOD, "y.safetensors": other}, weight_map),
        "holds 'b', which .* places in 'y.safetensors'",
    )


def test_a_tensor_that_only_the_index_knows_is_refused(tmp_path):
    weight_map = {"a": "x.safetensors", "b": "x.safetensors", "ghost": "x.safetensors"}
    refused(write_folder(tmp_path, {"x.safetensors": GOOD}, weight_map), "lists 'ghost' in 'x.safetensors', which does not hold it")


def test_a_folder_with_both_a_single_file_and_an_index_is_ambiguous(tmp_path):
    folder = write_folder(tmp_path, {"model.safetensors": GOOD, "x.safetensors": GOOD}, {"a": "x.safetensors", "b": "x.safetensors"})
    refused(folder, "holds both")


# ------------------------------------------------------------------ links and files that are none


@pytest.fixture
def outside(tmp_path):
    path = tmp_path / "elsewhere" / "secret.safetensors"
    path.parent.mkdir()
    path.write_bytes(GOOD)
    return path


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("link", ["model.safetensors", INDEX, "x.safetensors"])
def test_links_that_lead_outside_are_refused_and_never_opened(tmp_path, monkeypatch, outside, link, relative):
    opened = []
    monkeypatch.setattr(reader, "open_file", lambda path, original=reader.open_file: opened.append(path) or original(path))
    folder = write_folder(tmp_path / "model", {}, {"a": "x.safetensors", "b": "x.safetensors"} if link == "x.safetensors" else None)
    (folder / link).symlink_to("../elsewhere/secret.safetensors" if relative else outside)
    refused(folder, "is a link that leads outside the checkpoint folder")
    assert outside not in opened


def test_a_link_inside_the_folder_and_a_link_to_the_folder_are_followed(tmp_path):
    folder = write_folder(tmp_path / "model", {"weights.safetensors": GOOD})
    (folder / "model.safetensors").symlink_to("weights.safetensors")
    (tmp_path / "link").symlink_to(folder)
    with CheckpointReader(tmp_path / "link") as opened:
        assert opened.names() == ["a", "b"]


def hub_cache(root):
    snapshot, blobs = root / "models--me--toy" / "snapshots" / "0123abc", root / "models--me--toy" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "f00d").write_bytes(GOOD)
    return snapshot, blobs


def test_a_hub_cache_snapshot_may_link_to_its_own_blobs(tmp_path):
    snapshot, _ = hub_cache(tmp_path)
    (snapshot / "model.safetensors").symlink_to("../../blobs/f00d")
    with CheckpointReader(snapshot) as opened:
        assert opened.names() == ["a", "b"]


def test_a_hub_cache_snapshot_may_not_link_beyond_its_blobs(tmp_path, outside):
    snapshot, blobs = hub_cache(tmp_path)
    (snapshot / "model.safetensors").symlink_to("../../../elsewhere/secret.safetensors")
    refused(snapshot, "leads outside")
    (blobs / "chain").symlink_to(outside)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to("../../blobs/chain")
    refused(snapshot, "leads outside")


def test_blobs_that_are_themselves_a_link_elsewhere_are_refused(tmp_path, outside):
    snapshot, blobs = hub_cache(tmp_path)
    (blobs / "f00d").unlink()
    blobs.rmdir()
    blobs.symlink_to(outside.parent)
    (snapshot / "model.safetensors").symlink_to("../../blobs/secret.safetensors")
    refused(snapshot, "leads outside")


def test_a_loop_of_links_a_pipe_and_a_folder_are_refused_without_hanging(tmp_path):
    target = tmp_path / "model.safetensors"
    target.symlink_to("model.safetensors")
    refused(tmp_path, "is missing")
    target.unlink()
    os.mkfifo(target)  # opening it would wait for a writer for ever
    refused(tmp_path, "not a regular file")
    target.unlink()
    target.mkdir()
    refused(tmp_path, "not a regular file")


# ------------------------------------------------------------------ folders without safetensors


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "weights.pkl", "epoch.ckpt"])
def test_pickle_weights_are_refused_with_help_and_never_run(tmp_path, name):
    canary = tmp_path / "canary"
    (tmp_path / name).write_bytes(f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode())
    message = refused(tmp_path, "only pickle weights")
    assert name in message
    assert "safetensors" in message
    assert not canary.exists()


def test_a_pickle_beside_safetensors_is_not_looked_at(tmp_path):
    write_folder(tmp_path, {"model.safetensors": GOOD, "pytorch_model.bin": b"\x80"})
    with CheckpointReader(tmp_path) as opened:
        assert [path.name for path in opened.files] == ["model.safetensors"]


def test_a_folder_without_weights_says_what_it_holds(tmp_path):
    refused(tmp_path, "holds neither model.safetensors nor .*; it holds nothing")
    for n in range(9):
        (tmp_path / f"{n}.txt").write_text("")
    refused(tmp_path, "'0.txt', .*'5.txt' and 3 more")


def test_a_missing_folder_is_one_sentence(tmp_path):
    refused(tmp_path / "gone", "gone is not a readable folder: No such file or directory")


def test_an_index_of_many_files_beyond_the_systems_limit_is_one_sentence(tmp_path):
    import resource

    files = {f"{n}.safetensors": safetensors_bytes({f"t{n}": entry("I8", [1], 0, 1)}, b"x") for n in range(200)}
    write_folder(tmp_path, files, {f"t{n}": f"{n}.safetensors" for n in range(200)})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        refused(tmp_path, "cannot be opened: Too many open files")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_index_survives_json_round_trips_of_odd_names(tmp_path):
    name = 'quote " and ◁think▷'
    write_folder(tmp_path, {"x.safetensors": safetensors_bytes(json.dumps({name: entry("I8", [1], 0, 1)}), b"x")}, {name: "x.safetensors"})
    with CheckpointReader(tmp_path) as opened:
        assert opened.names() == [name]

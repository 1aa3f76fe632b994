"""Stopping a training run at any point and starting it again changes nothing (RELIABILITY group Q)."""

import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

import kimi_vl
from kimi_vl.errors import CheckpointError, ConfigError
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.training.state import Progress, StateFolder
from tests.training.test_trainer import CONFIG, batch_number, stage, trainer, weights

STEPS = 9
NANO = Path(kimi_vl.__file__).parent / "checkpoint" / "nano"


class Killed(BaseException):
    """As abrupt as Python can be to itself."""


def dies_after(batches):
    """The stream of batches of a process that is killed when it asks for one more."""
    yield from batches
    raise Killed


def run_until_killed(folder, kill_after, save_every):
    """One life of a training process: resume, train, save now and then, die. Returns the trainer if it got to the end."""
    states, t = StateFolder(folder), trainer()
    saved = states.newest()
    start = 0
    if saved:
        t.load_state(saved[0])
        start = saved[1].stage_step
    stream = map(batch_number, itertools.count(t.step))
    if kill_after is not None:
        stream = dies_after(itertools.islice(stream, kill_after))

    def save(step):
        states.save(t.step, t.state(), Progress(stage="micro", stage_step=step))

    try:
        t.train(stage(steps=STEPS), stream, start=start, save=save, save_every=save_every)
    except Killed:
        return None
    return t


@pytest.fixture(scope="module")
def uninterrupted():
    t = trainer()
    t.train(stage(steps=STEPS), map(batch_number, itertools.count()))
    return weights(t)


@pytest.mark.parametrize("save_every", [1, 4])
@pytest.mark.parametrize("kill_after", range(1, STEPS))
def test_a_run_killed_at_any_step_ends_with_the_weights_of_an_uninterrupted_one(kill_after, save_every, tmp_path, uninterrupted):
    assert run_until_killed(tmp_path, kill_after, save_every) is None
    finished = run_until_killed(tmp_path, None, save_every)
    for name, value in weights(finished).items():
        assert torch.equal(value, uninterrupted[name]), name


def test_a_run_killed_again_and_again_still_gets_there(tmp_path, uninterrupted):
    lives = 0
    while (finished := run_until_killed(tmp_path, 2, 1)) is None:
        lives += 1
        assert lives < 2 * STEPS
    for name, value in weights(finished).items():
        assert torch.equal(value, uninterrupted[name]), name


@pytest.mark.parametrize("point", range(1, 7))
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_save_cut_short_leaves_the_state_before_or_the_new_one(call, point, tmp_path, monkeypatch):
    states, t = StateFolder(tmp_path), trainer()
    states.save(1, t.state(), Progress(stage="micro", stage_step=1))
    real, calls = getattr(os, call), itertools.count(1)

    def cut(*args):
        if next(calls) == point:
            raise Killed
        return real(*args)

    monkeypatch.setattr(os, call, cut)
    t.update(batch_number(0), stage(), 1e-3)
    try:
        states.save(2, t.state(), Progress(stage="micro", stage_step=2))
    except Killed:
        complete = False
    else:
        complete = True
    monkeypatch.undo()
    with StateFolder(tmp_path) as again:
        tensors, progress = again.newest()
    assert progress.stage_step in ((2,) if complete else (1, 2))
    assert int(tensors["trainer_step"]) == progress.stage_step - 1
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_state_falls_back_to_the_one_before_and_says_so(tmp_path, caplog):
    states = StateFolder(tmp_path)
    for step in (1, 2, 3):
        states.save(step, {"x": torch.full((3,), float(step))}, Progress(stage_step=step))
    assert len(list(tmp_path.glob("state-*.safetensors"))) == 2
    newest = tmp_path / "state-000000003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    tensors, progress = states.newest()
    assert (tensors["x"].tolist(), progress.stage_step) == ([2.0] * 3, 2)
    assert "state_damaged step=3" in caplog.text
    (tmp_path / "state-000000002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="2 states and all are damaged"):
        states.newest()


def test_two_runs_cannot_share_a_folder(tmp_path):
    with StateFolder(tmp_path), pytest.raises(ConfigError, match="in use by another training run"), StateFolder(tmp_path):
        pass
    with StateFolder(tmp_path):
        pass


def test_other_settings_are_refused_with_the_difference():
    progress = Progress(stage="a1", stage_settings={"lr": 1e-3, "seed": 1}, world_size=2)
    progress.check_unchanged({"lr": 1e-3, "seed": 1}, 2)
    with pytest.raises(ConfigError, match=r"lr: 0\.001 -> 0\.002; world_size: 2 -> 4"):
        progress.check_unchanged({"lr": 2e-3, "seed": 1}, 4)


STAGE = """
steps = {steps}
lr = 1e-3
warmup_steps = 2
cooldown_share = 0.5
weight_decay = 0.1
clip_norm = 1.0
glyph_weight = 1.0
balance_rate = 1e-3
[mix]
families = {{ line = 1.0 }}
split = "train"
severity = 0.5
seed = {seed}
[budget]
patches = 256
tokens = 512
supervised = 256
images = 8
max_patches = 256
max_tokens = 256
"""


@pytest.fixture
def command(tmp_path):
    """A training command for a micro model on lines, in a folder of its own, as (arguments, state folder, out folder)."""
    values = CONFIG.to_dict()
    values["text_config"]["vocab_size"], values["media_placeholder_token_id"] = 5120, 5013
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text(json.dumps(values))
    for name in ("tiktoken.model", "tokenizer_config.json"):
        (checkpoint / name).write_bytes((NANO / name).read_bytes())

    def build(name, *, steps=12, seed=5):
        plan = tmp_path / f"read-{steps}-{seed}" / "read.toml"
        plan.parent.mkdir(exist_ok=True)
        plan.write_text(STAGE.format(steps=steps, seed=seed))
        state, out = tmp_path / name / "state", tmp_path / name / "out"
        words = [sys.executable, "-m", "kimi_vl.training.run", plan, "--checkpoint", checkpoint, "--state", state, "--out", out]
        return [*map(str, words), "--save-every", "1"], state, out

    return build


def same_weights(one: Path, two: Path) -> None:
    ours, theirs = (safetensors.torch.load_file(out / "checkpoint" / "model.safetensors") for out in (one, two))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def files_limited_to_a_megabyte():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def wait_for_a_state(process, state):
    while process.poll() is None and not list(state.glob("state-*.json")):
        time.sleep(0.02)


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_the_command_survives_sigterm_other_settings_and_a_full_disk(command):
    whole, _, whole_out = command("whole")
    subprocess.run([*whole, "--unquantised"], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, timeout=120)
    cut, state, cut_out = command("cut")
    process = subprocess.Popen(cut, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    wait_for_a_state(process, state)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 75
    changed, _, _ = command("cut", seed=6)
    refused = subprocess.run(changed, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 2
    assert "was begun with other settings" in refused.stderr
    kept = {path.name: path.read_bytes() for path in state.glob("state-*")}
    full = subprocess.run(
        cut, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, preexec_fn=files_limited_to_a_megabyte
    )  # no room for a state of 1.9 MB
    assert full.returncode == 2
    assert "was not saved" in full.stderr
    assert "Traceback" not in full.stderr
    assert {path.name: path.read_bytes() for path in state.glob("state-*")} == kept
    subprocess.run(cut, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, timeout=120)
    same_weights(whole_out, cut_out)
    int8 = KimiVLForConditionalGeneration.from_pretrained(whole_out / "checkpoint", dtype="float32")
    bf16 = KimiVLForConditionalGeneration.from_pretrained(whole_out / "checkpoint-bf16")
    assert bf16.dtype == torch.bfloat16
    for (name, one), other in zip(int8.named_parameters(), bf16.parameters(), strict=True):
        assert float((one - other.float()).abs().max()) <= 0.02 * float(one.abs().max()), name


def children(pid: int) -> list[int]:
    """The processes whose fourth word in /proc/PID/stat, behind the name in parentheses, is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended while we looked
            words = path.read_text().rpartition(")")[2].split()
            found += [int(path.parent.name)] if int(words[1]) == pid else []
    return found


def test_two_ranks_with_loader_processes_end_alike_although_one_was_killed(command):
    """All leave soon and with an error when one rank dies; started again, they end with the weights of an undisturbed run."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    whole, _, whole_out = command("whole", steps=60)
    cut, state, cut_out = command("cut", steps=60)
    several = [launcher + words[1:] + ["--workers", "1"] for words in (whole, cut)]
    subprocess.run(several[0], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=240)
    process = subprocess.Popen(several[1], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_a_state(process, state)
    os.kill(max(children(process.pid)), signal.SIGKILL)
    assert process.wait(60) != 0
    subprocess.run(several[1], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=240)
    same_weights(whole_out, cut_out)

"""The picture of a training log."""

import json

from PIL import Image

from kimi_vl.training.curves import draw, read_log, stage_starts


def record(step, stage="a", stage_step=None, **more):
    values = {"kind": "train", "step": step, "stage": stage, "stage_step": stage_step or step, "tasks": {"read": [1.0 / step, 0.5]}}
    values |= {"max_violation": 0.1, "gradient_norm": 0.2, "patches_per_s": 1e6, "lr": 1e-3}
    return values | more


def write(path, records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def test_steps_of_a_run_from_another_runs_weights_come_behind_its_own(tmp_path):
    log = write(tmp_path / "log", [record(20), record(40), record(20, "b", 20), record(60, "b", 60), record(20, "b", 20)])
    records = read_log(log)
    assert [r["step"] for r in records] == [20, 40, 60, 100, 120]
    assert stage_starts(records) == [20, 60, 120]


def test_a_log_with_and_without_mfu_becomes_a_picture(tmp_path):
    scores = [{"read": {"accuracy": 0.9}}, {"read": {"accuracy": 0.95}}, {"glyph_accuracy": 0.8}]
    validation = [{"kind": "validation", "step": 40 + k, "stage": "a", "line": score} for k, score in enumerate(scores)]
    log = write(tmp_path / "log", [record(20), record(40, mfu=0.12), *validation])
    draw(log, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20

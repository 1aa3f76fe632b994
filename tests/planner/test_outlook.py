"""What fits, where, and how fast: against the engine's plan, measurements on an H100, and hostile wishes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kimi_vl.bench.engine import official_config
from kimi_vl.checkpoint import locate_checkpoint
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import plan as engine_plan
from kimi_vl.engine.memory import SHARE
from kimi_vl.errors import CheckpointError, ConfigError, InputError
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.planner import Machine, Precision, Workload, facts_of, find_machine, machines, mistakes, parse_images, plan
from kimi_vl.planner.forecast import read_bytes
from kimi_vl.planner.formats import weight_bytes

H100 = find_machine("H100")
MEASURED = json.loads((Path(__file__).parents[2] / "benchmarks/results/planner_gpu.json").read_text(encoding="utf-8"))["rows"]


def of_size(gb, kind="cuda"):
    return Machine(name=f"{gb} GB", kind=kind, memory=int(gb * 1e9), free=int(gb * 1e9))


def only(*args, on=H100, **options):
    [verdict] = plan(*args, on=(on,), **options).verdicts
    return verdict


def test_memory_is_what_the_engine_plans():
    found = only(precision="int8", cache="fp8", workload=Workload(context=131_072), on=of_size(25.2))
    weights = sum(found.memory.weights.values())
    budget = int(SHARE * (25.2e9 - weights))
    direct = engine_plan.plan(official_config(), budget=budget, weights=0, context=131_072, kind="int8", cache="fp8")
    assert (found.memory.cache, found.memory.workspace, found.memory.graphs) == (direct.cache, direct.workspace, direct.graphs)
    assert found.memory.step_tokens == direct.limits.step_tokens
    assert found.memory.total < 25.2e9


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row['kind'] or 'bf16'}-{row['batch']}x{row['prompt']}-{row['step_tokens']}")
def test_memory_is_within_5_percent_of_what_an_h100_held(row):
    """Of the same work, what the plan says today, beside what torch had in use at most and what it held."""
    weights = sum(weight_bytes(official_config(), Precision(row["kind"] or "bf16")).values())
    patches = row.get("patches", 0)
    request = {"context": row["context"], "together": row["batch"] * row["context"], "max_running": row["batch"], "kind": row["kind"]}
    request |= {"most": row["step_tokens"], "patches": (row["batch"] * patches, patches)}
    total = engine_plan.placed(official_config(), usable=1 << 50, weights=weights, **request).total
    assert total == pytest.approx(row["most_in_use"], rel=0.05)
    assert total == pytest.approx(row["most_held"], rel=0.05)


def test_a_token_of_the_cache_takes_31_104_bytes():
    assert plan(on=()).cache_per_token == 31_104
    assert plan(cache="fp8", on=()).cache_per_token == 15_552


def test_the_longest_context_is_the_last_that_is_planned():
    machine = of_size(22)
    longest = only(precision="int8", on=machine).longest
    assert 0 < longest < 131_072
    assert only(precision="int8", workload=Workload(context=longest), on=machine).fits
    assert not only(precision="int8", workload=Workload(context=longest + 64), on=machine).fits


def test_24_gb_hold_int8_and_16_gb_int4_at_the_whole_context():
    assert only(precision="int8", on=find_machine("RTX 4090")).fits
    assert only(precision="int4", cache="fp8", on=find_machine("RTX 4080")).fits
    refused = only(precision="int8", on=find_machine("RTX 4080"))
    assert not refused.fits
    assert refused.longest == 0
    assert "loading takes" in refused.why
    assert not only(on=find_machine("RTX 5090")).fits  # bf16 takes 32.8


def test_a_batch_and_a_longer_context_never_take_less():
    totals = [only(workload=Workload(context=4096, batch=batch), on=of_size(80)).memory.cache for batch in (1, 2, 8, 64)]
    assert totals == sorted(totals)
    assert totals[2] == pytest.approx(8 * totals[0], rel=0.02)


def test_the_cheapest_is_the_cheapest_of_those_that_fit():
    found = plan(precision="int8", cache="fp8")
    priced = {v.machine.name: v.machine.launch_usd for v in found.verdicts if v.fits and v.machine.kind == "cuda" and v.machine.launch_usd}
    assert found.cheapest.launch_usd == min(priced.values())
    assert found.smallest.memory == min(v.machine.memory for v in found.verdicts if v.fits and v.machine.kind == "cuda")
    assert len(found.verdicts) == len(machines())


@pytest.mark.parametrize(
    ("context", "batch", "step_ms"), [(1089, 1, 2.361), (1089, 8, 7.229), (1089, 32, 11.677), (16_449, 1, 2.998), (120_065, 1, 4.105)]
)
def test_steps_are_predicted_within_15_percent_of_an_h100s(context, batch, step_ms):
    """benchmarks/results/engine.json, commit 5f45858."""
    speed = only(workload=Workload(context=context, batch=batch)).speed
    assert 1e3 * speed.step_s == pytest.approx(step_ms, rel=0.15)


@pytest.mark.parametrize(("prompt", "first_ms"), [(1024, 19.73), (16_384, 198.6), (65_536, 1484), (120_000, 4194)])
def test_first_tokens_are_predicted_within_10_percent_of_an_h100s(prompt, first_ms):
    speed = only(workload=Workload(context=prompt + 2, answer=2)).speed
    assert 1e3 * speed.first_token_s == pytest.approx(first_ms, rel=0.1)


def test_a_picture_costs_what_it_took_an_h100():
    found = plan(workload=Workload(context=4133, answer=2, images=((1792, 1792),)), on=(H100,))
    assert (found.seen.pictures, found.seen.patches) == (1, 16_384)
    assert 1e3 * found.verdicts[0].speed.first_token_s == pytest.approx(183.8, rel=0.1)
    assert found.memory.vision > 0


def test_a_step_reads_the_experts_that_are_expected():
    weights = weight_bytes(official_config(), Precision("bf16"))
    assert read_bytes(official_config(), weights, 1) == pytest.approx(5.16e9, rel=0.01)
    distinct = 64 * (1 - (58 / 64) ** 32)
    difference = read_bytes(official_config(), weights, 32) - read_bytes(official_config(), weights, 1)
    assert difference == pytest.approx(weights["experts"] * (distinct - 6) / 64)


def test_what_is_not_known_is_not_predicted():
    assert only(on=of_size(80)).speed.step_s is None
    mac = only(on=find_machine("M2 Ultra"), precision="int8").speed
    assert mac.first_token_s is None
    assert mac.step_s > 0
    assert "llama.cpp" in mac.basis


@pytest.mark.parametrize(("variant", "tokens"), [("instruct", 1054), ("Kimi-VL-A3B-Thinking", 1054), ("2506", 4097)])
def test_variants_see_pictures_as_large_as_they_do(variant, tokens):
    found = plan(variant, workload=Workload(images=((1792, 1792),)), on=())
    assert sum(found.parameters.values()) == 16_407_656_048
    assert abs(found.seen.tokens - tokens) < 40


def test_pages_and_clips_share_a_quarter_of_the_context():
    found = plan(workload=Workload(pages=300, video_s=600.0), on=())
    assert found.seen.tokens <= 32_768
    assert any("of 300 pages" in note for note in found.seen.notes)
    assert plan(workload=Workload(pages=2), on=()).seen.pictures == 2


def test_nano_is_planned_from_its_files():
    found = plan("nano", on=())
    assert sum(found.parameters.values()) == 31_305_748
    assert found.cache_per_token == 8 * 160 * 4  # it computes in fp32 on a CPU
    model = KimiVLForConditionalGeneration(facts_of("nano").config, device="meta", dtype=torch.float32)
    assert sum(parameter.nbytes for parameter in model.parameters()) == sum(found.memory.weights.values())


def test_calculators_for_other_models_are_wrong_by_known_factors():
    found = mistakes(official_config(), plan(on=()).parameters, 131_072)
    assert [round(mistake.factor, 1) for mistake in found[:3]] == [7.1, 8.9, 6.4]
    assert found[1].wrong == pytest.approx(276_480 * 131_072 / 1e9)
    assert found[3].wrong == pytest.approx(8 * 2**30 / 1e9)


# What is refused -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"context": -1}, "context is -1"),
        ({"context": True}, "context is True"),
        ({"batch": 0}, "batch is 0"),
        ({"batch": 10**9}, "from 1 to 4,096"),
        ({"pages": -3}, "pages is -3"),
        ({"video_s": math.nan}, "video_s is nan"),
        ({"video_s": -1.0}, "video_s is -1.0"),
        ({"images": ((0, 5),)}, "an image is"),
        ({"answer": 0}, "answer is 0"),
    ],
)
def test_absurd_numbers_are_refused(wish, said):
    with pytest.raises(InputError, match=said):
        Workload(**wish)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"context": 200_000}, "this model takes 131,072"),
        ({"context": 100, "answer": 100}, "must be shorter than the context"),
        ({"context": 4096, "images": ((1792, 1792),)}, "lengthen it, or show fewer"),
        ({"context": 4200, "answer": 200, "images": ((1792, 1792),)}, "together they must be less"),
    ],
)
def test_what_a_context_cannot_hold_is_refused(wish, said):
    with pytest.raises(InputError, match=said):
        plan(workload=Workload(**wish), on=())


@pytest.mark.parametrize("text", ["5", "1x", "0*3x3", "axb", "1e3x5", "999*1x1", "12345678x5"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(InputError):
        parse_images([text])
    assert parse_images(["2*30x40", "5X6"]) == ((30, 40), (30, 40), (5, 6))


def test_another_cache_is_refused():
    with pytest.raises(InputError, match="'bf16' or 'fp8'"):
        plan(cache="int3", on=())


@pytest.mark.parametrize(
    ("name", "said"), [("thinkng", "did you mean 'thinking'"), ("zzz", "variants are nano, instruct"), (" ", "name is empty")]
)
def test_an_unknown_variant_is_refused(name, said):
    with pytest.raises(InputError, match=said):
        facts_of(name)


def test_a_folder_of_another_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 8}))
    with pytest.raises(ConfigError, match=r"model_type is 'llama'; this package runs 'kimi_vl'"):
        facts_of(tmp_path)


@pytest.fixture
def folder(tmp_path):
    """nano's folder without its second file of weights."""
    for path in locate_checkpoint().iterdir():
        if "00002" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_folder_that_is_half_there_is_refused(folder):
    with pytest.raises(CheckpointError, match="model-00002-of-00003"):
        facts_of(folder)


def test_weights_without_their_index_are_refused(folder):
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        facts_of(folder)


def test_a_folder_without_weights_is_planned_by_its_configuration(folder):
    for path in folder.glob("model*"):
        path.unlink()
    config = KimiVLConfig.from_file(folder / "config.json")
    assert facts_of(folder).config == config == replace(config)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match="preprocessor_config"):
        facts_of(folder)

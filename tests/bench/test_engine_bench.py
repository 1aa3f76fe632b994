"""`kimi-vl bench engine` on a small network: every number is there, of the work that it names."""

import json

import pytest
import torch

from kimi_vl.bench.engine import PICTURES, QUICK, EngineBench, random_model
from kimi_vl.cli.main import main
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Engine
from kimi_vl.engine.plan import planned_limits
from kimi_vl.errors import CapacityError
from kimi_vl.model.quantise import quantise
from kimi_vl.processor.image import ImageProcessor
from tests.configs import TINY

CONFIG = KimiVLConfig.from_dict(TINY)


@pytest.fixture(scope="module")
def bench():
    config = CONFIG
    limits = planned_limits(config, free_bytes=1 << 26, max_running=8, step_tokens=256)
    processor = ImageProcessor(PICTURES)
    engine = Engine(random_model(config, torch.device("cpu"), torch.float32), limits, normalise=processor.normalised)
    return EngineBench(engine, processor, QUICK)


def test_the_command_prints_one_document_and_keeps_it(capsys, tmp_path):
    target, config = tmp_path / "bench.json", tmp_path / "config.json"
    config.write_text(json.dumps(TINY))
    code = main(["bench", "engine", "--quick", "--device", "cpu", "--config", str(config), "--max-running", "8", "--output", str(target)])
    assert code == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(target.read_text())
    assert [row["what"] for row in document["measured"]] == [
        *("decode 1 x 64", "decode 4 x 64", "first token 64", "first token 200", "image 224x168", "2 images 224x168"),
        *("throughput 8", "throughput 1"),
    ]
    assert all(row["value"] > 0 for row in document["measured"])
    assert document["device"] == "cpu"


def test_weights_may_be_quantised(capsys, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(TINY))
    options = ["--quick", "--device", "cpu", "--config", str(config), "--max-running", "8"]
    assert main(["bench", "engine", *options, "--quantize", "int8"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["quantised"] == "int8"
    assert all(row["value"] > 0 for row in document["measured"])


def test_memory_may_be_planned_for_one_long_request(capsys, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(TINY))
    options = ["--device", "cpu", "--config", str(config), "--memory", "0.5GB", "--context", "700", "--cache", "fp8", "--quantize", "int8"]
    assert main(["bench", "engine", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["what"] for row in document["measured"]] == ["decode 1 x 571", "first token 571"]
    planned = document["plan"]["planned"]
    assert sum(planned[part] for part in ("weights", "cache", "workspace", "graphs")) == planned["total"] <= document["plan"]["budget"]
    assert document["limits"]["cache"] == "fp8"
    assert document["limits"]["num_pages"] == 11 + 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory", "24"], "'24' is no size of memory"),
        (["--memory", "1MB"], "do not fit into 0.00 GB"),
        (["--memory", "1GB", "--context", "100"], "--context is 100; it must be from 131 to"),
        (["--memory", "1GB", "--step-tokens", "64"], "leave out --step-tokens"),
        (["--cache", "int4"], "invalid choice: 'int4'"),
    ],
)
def test_a_plan_that_cannot_be_is_one_line(arguments, message, capsys, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(TINY))
    assert main(["bench", "engine", "--device", "cpu", "--config", str(config), *arguments]) == 2
    assert message in (error := capsys.readouterr().err)
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_weights_made_quantised_are_those_quantised_afterwards(kind):
    torch.manual_seed(1)
    found = random_model(CONFIG, torch.device("cpu"), torch.float32, kind)
    torch.manual_seed(1)
    expected = random_model(CONFIG, torch.device("cpu"), torch.float32)
    quantise(expected.language_model, kind)
    ours, theirs = found.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert torch.equal(values.float(), theirs[name].float()), name


def test_a_measurement_runs_the_work_it_names(bench, monkeypatch):
    asked = []
    submit = bench.engine.submit

    def watched(ids, params, **options):
        asked.append((len(ids), params.max_tokens, options.get("images") is not None))
        return submit(ids, params, **options)

    monkeypatch.setattr(bench.engine, "submit", watched)
    bench.decode(4, 64)
    assert asked == [(64, 17, False)] * 4 * 3  # a warm-up and two runs
    asked.clear()
    bench.images(2, 224, 168)
    assert asked == [(33 + 8 * 6, 2, True)] * 2 * 4


def test_weights_are_random_and_spread_tokens_over_the_experts(bench):
    model = bench.engine.model
    hidden = torch.randn(256, model.config.text_config.hidden_size)
    chosen, _ = next(layer.mlp for layer in model.language_model.model.layers if hasattr(layer.mlp, "gate")).gate(hidden, model.ops)
    assert chosen.unique().numel() == model.config.text_config.n_routed_experts
    assert (model.language_model.model.norm.weight == 1).all()


def test_a_plan_that_leaves_no_page_is_refused_with_the_numbers():
    with pytest.raises(CapacityError, match=r"0\.0 GB are free beside the weights, and a step of 4,096 tokens takes"):
        planned_limits(CONFIG, free_bytes=1000, max_running=8, step_tokens=4096)


@pytest.mark.parametrize("arguments", [["--max-running", "0"], ["--step-tokens", "-5"], ["--config", "nowhere.json"]])
def test_arguments_that_cannot_work_end_in_one_line(arguments, capsys):
    assert main(["bench", "engine", "--quick", "--device", "cpu", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1

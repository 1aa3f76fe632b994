"""LoRA by PEFT: every adapter takes part, its gradient is that of the merged weights, and the merged model is saved as any other."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from kimi_vl.model import KimiVLForConditionalGeneration as Network
from tests import tolerances
from tests.hf.folders import questions
from tests.hf.test_model import picture
from tests.parity.checks import assert_within
from tests.tiny_checkpoint import write_tiny_checkpoint

# PEFT's own call of an older name, with transformers 5.23
pytestmark = [pytest.mark.hf, pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")]


@pytest.fixture
def adapted(tmp_path):
    """(model with random adapters on every linear layer, inputs with an image, the folder)."""
    peft = pytest.importorskip("peft")  # `make test-hf` has it
    folder = write_tiny_checkpoint(tmp_path / "base")
    model = AutoModelForImageTextToText.from_pretrained(folder)
    inputs = questions(AutoProcessor.from_pretrained(folder), ([picture(60, 90, 0)], "What?"), ([], "Hello?"))
    torch.manual_seed(0)
    model = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=8, target_modules="all-linear", init_lora_weights=False))
    return model, inputs, folder


def test_every_adapter_counts_and_the_merged_model_is_the_same(adapted, tmp_path):
    model, inputs, folder = adapted
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    model(**inputs, labels=labels).loss.backward()
    adapters = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert adapters
    assert [name for name, grad in adapters.items() if grad is None or not grad.any()] == []
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in adapters} >= {"kv_b_proj", "gate_proj", "down_proj", "wqkv", "linear_2"}
    with torch.no_grad():
        before = model(**inputs).logits
        base = AutoModelForImageTextToText.from_pretrained(folder)(**inputs).logits
        assert (before - base).abs().max() > 1e-2
        generated = model.generate(**inputs, max_new_tokens=5, do_sample=False)
        merged = model.merge_and_unload()
        assert_within(merged(**inputs).logits, before, 10 * tolerances.LOGITS)
        assert torch.equal(merged.generate(**inputs, max_new_tokens=5, do_sample=False), generated)
    merged.save_pretrained(tmp_path / "merged")
    first = inputs["input_ids"][1][inputs["attention_mask"][1].bool()]
    with torch.no_grad():
        expected = before[1][inputs["attention_mask"][1].bool()]
        assert_within(Network.from_pretrained(tmp_path / "merged")(first), expected, 10 * tolerances.LOGITS)


def test_gradients_are_those_of_the_merged_weight(adapted):
    """For W + s·B·A the gradient of B is s·(dL/dW)·Aᵀ, and dL/dW comes from a model without adapters."""
    model, inputs, _ = adapted
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    model(**inputs, labels=labels).loss.backward()
    found = {
        name.removesuffix(".lora_B.default.weight"): (module.weight.grad.clone(), module.weight.detach().clone())
        for name, module in ((n + ".weight", m) for n, m in model.named_modules() if n.endswith("lora_B.default"))
    }
    down = {n.removesuffix(".lora_A.default"): m.weight.detach().clone() for n, m in model.named_modules() if n.endswith("lora_A.default")}
    merged = model.merge_and_unload()
    merged.requires_grad_(True)
    merged(**inputs, labels=labels).loss.backward()
    assert len(found) > 30
    for name, (grad, _) in found.items():
        whole = merged.get_submodule(name.removeprefix("base_model.model.")).weight.grad
        expected = 4.0 * whole @ down[name].T  # lora_alpha / r
        assert (grad - expected).abs().max() <= 2e-4 * expected.abs().max() + 1e-9, name


def test_a_step_lowers_the_loss(adapted):
    model, inputs, _ = adapted
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(3):
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]

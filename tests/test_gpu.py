"""The whole model on an NVIDIA GPU against the CPU. Run with `make test-gpu`."""

from pathlib import Path

import pytest
import torch

from kimi_vl import KimiVL
from kimi_vl.ops.registry import explain

pytestmark = pytest.mark.gpu

RECEIPT = Path(__file__).parents[1] / "examples" / "receipt.png"


def test_half_precision_on_a_gpu_chooses_the_flash_kernel():
    chosen = {v.operation: v.name for v in explain(torch.device("cuda"), torch.bfloat16) if v.chosen}
    assert chosen["varlen_attention"] == "flash"


def test_fp32_on_a_gpu_equals_the_cpu():
    torch.backends.cuda.matmul.allow_tf32 = False
    cpu, gpu = KimiVL.load(device="cpu", dtype="float32"), KimiVL.load(device="cuda", dtype="float32")
    prompt = cpu.processor.prompt([{"role": "user", "content": [{"type": "image", "image": RECEIPT}, {"type": "text", "text": "Total?"}]}])
    inputs = (torch.tensor(prompt.input_ids), prompt.pixel_values, prompt.image_grid_hws)
    with torch.inference_mode():
        expected, found = cpu.model(*inputs), gpu.model(*inputs).cpu()
    assert float((found - expected).abs().max()) < 1e-3 * float(expected.abs().max())


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_nano_reads_the_receipt_on_a_gpu_as_on_the_cpu(dtype):
    question = "What do the rye bread and the cheddar cost together?"
    answer = KimiVL.load(device="cuda", dtype=dtype).ask(question, media=[RECEIPT], temperature=0.0)
    assert answer.text == "8.05"
    assert "3.45 + 4.60 = 8.05" in answer.thinking

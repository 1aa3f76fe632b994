"""What a step of rows does around the network, in kernels, against the same in torch."""

import pytest
import torch

from kimi_vl.ops import rotary_angles, rotary_frequencies
from kimi_vl.ops.sampling import uniform_number
from kimi_vl.ops.triton import rows
from tests import interpreter

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
DTYPES = [torch.bfloat16, torch.float16] if GPU else [torch.float32, torch.float16]
pytestmark = [
    pytest.mark.gpu if GPU else pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal())),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
PAGE, SPARE = 4, 1000


def on(values, dtype=torch.int64):
    return torch.tensor(values, dtype=dtype, device=DEVICE)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_enter_a_step(dtype):
    check_enter(rows, dtype)


@pytest.mark.parametrize("counts", [False, True], ids=["uncounted", "counted"])
def test_rows_leave_a_step(counts):
    check_leave(rows, counts)


def check_enter(module, dtype):
    lengths, active = [0, 3, 4, 131_071, 7], [1, 1, 1, 1, 0]
    seeds, numbers, ids = [0, -1, 12345, -(2**63), 2**63 - 1], [0, 5, 131_000, 1, 2], [3, 0, 6, 2, 1]
    table = torch.arange(5 * 32_768, dtype=torch.int32, device=DEVICE).view(5, -1).flip(0)
    embedding, frequencies = torch.randn(7, 80, device=DEVICE).to(dtype), rotary_frequencies(16, 800000.0, DEVICE)
    arguments = (on(ids), on(lengths), on(active), on(seeds), on(numbers), table, embedding, frequencies)
    x, slots, seen, cos, sin, uniforms = module.enter(*arguments, spare_page=SPARE, page_size=PAGE)
    assert torch.equal(x, embedding[on(ids)])
    pages = [int(table[b, n // PAGE]) if is_on else SPARE for b, (n, is_on) in enumerate(zip(lengths, active, strict=True))]
    assert slots.tolist() == [page * PAGE + n % PAGE for page, n in zip(pages, lengths, strict=True)]
    assert seen.tolist() == [n + 1 for n in lengths]
    assert uniforms.tolist() == [uniform_number(seed % 2**64, number) for seed, number in zip(seeds, numbers, strict=True)]
    angles = rotary_angles(on(lengths), 16, 800000.0)
    rounding = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
    torch.testing.assert_close(cos.double(), angles.double().cos(), rtol=0, atol=rounding)
    torch.testing.assert_close(sin.double(), angles.double().sin(), rtol=0, atol=rounding)


def check_leave(module, counts):
    count = 70
    drawn, active = torch.randint(-1, 50, (count,), device=DEVICE), torch.randint(0, 2, (count,), device=DEVICE)
    kept, ids, lengths, numbers = (torch.randint(0, 90, (count + 5,), device=DEVICE) for _ in range(4))
    before = [x.clone() for x in (kept, ids, lengths, numbers)]
    met = torch.randint(0, 9, (count + 5, 50), dtype=torch.int32, device=DEVICE)
    expected = met.clone()
    for row, (token, is_on) in enumerate(zip(drawn.tolist(), active.tolist(), strict=True)):
        if counts and is_on and token >= 0:
            expected[row, token] += 2
    module.leave(drawn, active, kept[:count], ids[:count], lengths[:count], numbers[:count], met[:count] if counts else None)
    assert torch.equal(met, expected)
    assert torch.equal(kept[:count], drawn)
    assert torch.equal(ids[:count], drawn.clamp(min=0).where(active > 0, before[1][:count]))
    assert torch.equal(lengths[:count], before[2][:count] + active)
    assert torch.equal(numbers[:count], before[3][:count] + active)
    for now, then in zip((kept, ids, lengths, numbers), before, strict=True):
        assert torch.equal(now[count:], then[count:]), "behind the rows nothing changes"

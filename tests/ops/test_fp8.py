"""Tokens rounded to fp8 and their products with weights in fp8, against formulas that round the same things in fp64."""

import importlib.util
import sys
from functools import partial

import pytest
import torch

from kimi_vl.ops.quantised import Quantised, dequantised, quantised
from kimi_vl.ops.triton import expert_groups, expert_launches, expert_tiles, fp8, rms_norm, routed_experts
from kimi_vl.ops.triton.gated_mlp import gated_mlp_triton
from tests import interpreter
from tests.ops import formulas
from tests.ops.test_implementations import assert_near, limit, routed

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
KIND = "bfloat16" if GPU else "float16"
DTYPE = getattr(torch, KIND)
TOLERANCE = limit(KIND)
HOPPER = GPU and torch.cuda.get_device_capability()[0] == 9
pytestmark = [
    pytest.mark.gpu if GPU else pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal())),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
on_a_gpu = pytest.mark.gpu  # of Hopper


def hostile(rows=7, width=80, dtype=DTYPE):
    """Columns of a wider matrix: a row of zeros, one of tiny values, one outlier, an outlier among tiny values, the type's largest."""
    x = torch.randn(rows, width + 16)
    x[1] = 0.0
    x[2] *= 1e-4
    x[3, 5] = 3e4
    x[4] *= 1e-3
    x[4, width - 1] = -500.0
    x[5, 0] = torch.finfo(torch.float16).max
    x[:, width:] = float("nan")
    return x.to(dtype).to(DEVICE)[:, :width]


def check_rounded(module, x):
    found = module.rounded(x)
    expected = formulas.fp8(x)
    assert found.values.dtype == torch.float8_e4m3fn
    assert found.scales.dtype == torch.float32
    values = dequantised(found, torch.float64)
    # A scale that differs in its last bit may turn a tie, by one step: of 32 where the largest is 448.
    assert float((values - expected).abs().gt(1e-6 * expected.abs()).double().mean()) < 0.01
    for row, of_row in zip(values, expected, strict=True):
        assert_near(row, of_row, 1.0001 * 32 / 448)


def as_rounded(x):
    """What is multiplied. Of values in bf16 some lie just between two of fp8, and fall to either by a scale's last bit; that they are
    rounded right has tests of its own."""
    return dequantised(fp8.rounded(x), torch.float64)


def check_swiglu(module, gate, up):
    found = module.rounded_swiglu(gate, up)
    expected = formulas.fp8(torch.nn.functional.silu(gate.double()) * up.double())
    assert_near(dequantised(found, torch.float64), expected, 1e-3)


def mixture_arguments(tokens, width=96, inner=80, shared=2):
    (x, gate_up, down, indices, weights), _ = routed(tokens, experts=6, top_k=2, width=width, inner=inner, only=[0, 1, 3, 5], dtype=DTYPE)
    beside = [torch.randn(shared * inner, width) / width**0.5 for _ in range(2)] + [torch.randn(width, shared * inner) / inner**0.5]
    rounded = [quantised(weight.to(DEVICE), "fp8") for weight in (gate_up, down, *beside)]
    x = x * torch.logspace(-2, 1, tokens, dtype=DTYPE)[:, None]  # tokens of every size: a scale that is not the token's own shows
    residual = torch.randn(tokens, width, dtype=DTYPE)
    x, residual, indices, weights = (a.to(DEVICE) for a in (x, residual, indices, weights))
    return x, residual, *rounded[:2], indices, weights, tuple(rounded[2:])


def expected_mixture(arguments, block):
    """Each shared expert by itself: a block of inner values ends where its expert does. And what every output may be off by because inner
    values that lie between two of fp8 fall to the other one."""
    x, residual, gate_up, down, indices, weights, shared = arguments
    gate_up, down, *shared = (dequantised(weight, torch.float64) for weight in (gate_up, down, *(shared or ())))
    width = down.shape[-1]
    experts = list(zip(shared[0].split(width), shared[1].split(width), shared[2].split(width, dim=1), strict=True)) if shared else []

    def summed(inner, turn):
        out = formulas.routed_experts(x, gate_up, turn(down), indices, turn(weights), rounded=as_rounded, inner=inner)
        return out + sum(formulas.gated_mlp(x, gate, up, turn(down), rounded=as_rounded, inner=inner) for gate, up, down in experts)

    out = summed(partial(formulas.fp8, block=block), lambda weight: weight)
    return out if residual is None else residual.double() + out, summed(partial(formulas.fp8_ties, block=block), torch.abs)


def each_near(found, expected, ties=None):
    """Token by token, because the tokens' sizes differ by three orders of magnitude."""
    if ties is not None:  # as far towards the expected value as turned ties explain
        found = found.double()
        found = found + (expected - found).clamp(-ties, ties)
    for row, of_row in zip(found, expected, strict=True):
        assert_near(row, of_row, TOLERANCE)


def check_tiles(module, tokens=20, rows=64, lists=None):
    x, _, gate_up, down, indices, weights, shared = arguments = mixture_arguments(tokens)
    launches = (module.Launch(rows=rows, width=64, pairs=16), module.Launch(rows=32, width=rows, pairs=16, num_stages=2))
    found = module.by_tiles(x, gate_up, down, indices, weights, launches=launches, shared=shared, lists=lists)
    each_near(found, *expected_mixture((x, None, *arguments[2:]), rows))


def test_tokens_are_rounded_each_with_its_own_scale():
    check_rounded(fp8, hostile())
    check_rounded(fp8, torch.randn(3, 5000, device=DEVICE).to(DTYPE))
    check_rounded(fp8, torch.randn(48, 5, device=DEVICE).to(DTYPE).T)  # columns
    assert fp8.rounded(hostile()[:0]).values.shape == (0, 80)


def test_rounding_is_that_of_weights():
    x = hostile()
    found, expected = fp8.rounded(x), quantised(x, "fp8")
    assert torch.allclose(found.scales, expected.scales, rtol=1e-6)
    assert found.scales[1] == 1.0
    assert float((found.values.float() != expected.values.float()).double().mean()) < 0.01


def check_norm_rounded(module):
    """As the norm alone and its rounding alone, to the last bit."""
    x, update, weight = (hostile().contiguous().clamp(-100, 100) for _ in range(3))
    expected = fp8.rounded(rms_norm.rms_norm_triton(x, weight[0], 1e-5))
    found = module.rounded_rms_norm(x, weight[0], 1e-5)
    assert torch.equal(found.values.view(torch.uint8), expected.values.view(torch.uint8))
    assert torch.equal(found.scales, expected.scales)
    total, normed, found = module.rounded_add_rms_norm(x, update, weight[0], 1e-5)
    for one, other in zip((total, normed), rms_norm.add_rms_norm_triton(x, update, weight[0], 1e-5), strict=True):
        assert torch.equal(one, other)
    expected = fp8.rounded(normed)
    assert torch.equal(found.values.view(torch.uint8), expected.values.view(torch.uint8))
    assert torch.equal(found.scales, expected.scales)


def test_a_norm_is_rounded_as_by_two_kernels():
    check_norm_rounded(fp8)


def test_nan_stays_in_its_row():
    x = torch.randn(3, 40, device=DEVICE).to(DTYPE)
    x[1, 7] = float("nan")
    values = dequantised(fp8.rounded(x), torch.float32)
    assert values[1, 7].isnan()
    assert values[::2].isfinite().all()


def test_swiglu_is_rounded_once():
    gate, up = torch.randn(9, 2 * 72, device=DEVICE).to(DTYPE).chunk(2, dim=-1)
    check_swiglu(fp8, gate, up)


@pytest.mark.parametrize("rows", [32, 64, 128])
@pytest.mark.parametrize(("tokens", "lists"), [(2, None), (16, None), (16, True), (41, None)])
def test_experts_by_tiles_of_fp8(tokens, lists, rows):
    """Also inner values that are no whole number of blocks, experts that nobody chose, and more tokens than a tile holds."""
    check_tiles(expert_tiles, tokens, rows, lists)


def test_tokens_of_zeros_and_of_outliers_by_tiles():
    x, residual, *rest = mixture_arguments(6)
    x[0], x[2, 3], x[4] = 0.0, 100.0, x[4] * 1e-3
    each_near(
        routed_experts.mixture_triton(x, residual, *rest),
        *expected_mixture((x, residual, *rest), expert_launches.fp8_tiles(len(x))[0].rows),
    )


def test_one_token_is_not_rounded():
    x, residual, gate_up, down, indices, weights, shared = arguments = mixture_arguments(1)
    exact = [dequantised(weight, torch.float64) for weight in (gate_up, down, *shared)]
    expected = formulas.mixture(x, residual, *exact[:2], indices, weights, tuple(exact[2:]))
    assert_near(routed_experts.mixture_triton(*arguments), expected, TOLERANCE)


def test_what_torch_takes():
    """Nothing on a CPU, in fp16, in int8, or of an odd width."""
    weight = quantised(torch.randn(32, 48, device=DEVICE), "fp8")
    x = torch.randn(3, 48, device=DEVICE, dtype=torch.bfloat16)
    assert len(fp8.taken(x, weight, weight)) == (2 if HOPPER else 0)
    odd = quantised(torch.randn(24, 48, device=DEVICE), "fp8")
    for other in (odd, quantised(torch.randn(32, 48, device=DEVICE), "int8"), torch.randn(32, 48, device=DEVICE)):
        assert fp8.taken(x, weight, other) == []
    assert fp8.taken(x.half(), weight) == []


@on_a_gpu
@pytest.mark.parametrize("tokens", [1, 3, 64, 700])
def test_linear(tokens):
    weight = quantised(torch.randn(176, 208, device=DEVICE) * torch.logspace(-2, 1, 176, device=DEVICE)[:, None], "fp8")
    x = hostile(max(tokens, 6), 208)[-tokens:]
    expected = as_rounded(x) @ dequantised(weight, torch.float64).T
    each_near(fp8.linear(fp8.rounded(x), weight), expected)
    few = tokens <= 2
    each_near(fp8.products_of_tokens(x, [weight])[0], x.double() @ dequantised(weight, torch.float64).T if few else expected)


@on_a_gpu
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_gated_mlp(residual, together):
    x, to_add = hostile(90, 96), torch.randn(90, 96, device=DEVICE, dtype=DTYPE) if residual else None
    both = quantised(torch.randn(2 * 144, 96, device=DEVICE) / 10, "fp8")
    gate, up = (Quantised(*pair) for pair in zip(both.values.chunk(2), both.scales.chunk(2), strict=True))
    if not together:
        up = Quantised(*(part.clone() for part in up))
    down = quantised(torch.randn(96, 144, device=DEVICE) / 12, "fp8")
    # What stands between the products is bf16 before it is rounded, and what `linear` gives has a test of its own.
    gate_XF, up_XF = (fp8.linear(fp8.rounded(x), weight).double() for weight in (gate, up))
    expected = formulas.fp8(torch.nn.functional.silu(gate_XF) * up_XF) @ dequantised(down, torch.float64).T
    each_near(gated_mlp_triton(x, gate, up, down, to_add), expected if to_add is None else expected + to_add.double())


@on_a_gpu
def test_experts_by_groups():
    """Experts that nobody chose among them."""
    x, residual, gate_up, down, indices, weights, _ = mixture_arguments(300)
    found = expert_groups.by_groups(x, gate_up, down, indices, weights, residual_TD=residual)
    of_experts = [fp8.linear(fp8.rounded(x), Quantised(*pair)).double() for pair in zip(*gate_up, strict=True)]
    gate_up_TKG = torch.stack(of_experts)[indices, torch.arange(len(x), device=DEVICE)[:, None]]
    gate, up = gate_up_TKG.chunk(2, dim=-1)
    inner_TKF = formulas.fp8(torch.nn.functional.silu(gate) * up)
    y_TKD = torch.einsum("tkf,tkdf->tkd", inner_TKF, dequantised(down, torch.float64)[indices])
    each_near(found, residual.double() + (weights[..., None].double() * y_TKD).sum(1))


@on_a_gpu
def test_a_mixture_beyond_one_tile():
    """The shared experts are computed beside the routed ones, by what has a test of its own."""
    x, residual, *rest, shared = mixture_arguments(40)
    expected, ties = expected_mixture((x, residual, *rest, None), expert_launches.fp8_tiles(40)[0].rows)
    each_near(routed_experts.mixture_triton(x, residual, *rest, shared), expected + gated_mlp_triton(x, *shared).double(), ties)


@on_a_gpu
def test_a_mixture_by_groups():
    """The sum of what has tests of its own."""
    x, residual, *rest, shared = mixture_arguments(600)
    routed_TD = expert_groups.by_groups(x, *rest, residual_TD=residual)
    each_near(routed_experts.mixture_triton(x, residual, *rest, shared), routed_TD.double() + gated_mlp_triton(x, *shared).double())


MUTANTS = (
    (
        "a row by another's scale",
        fp8,
        lambda m: check_rounded(m, hostile()),
        "tl.store(scales + row, scale)",
        "tl.store(scales + row, 1.0)",
    ),
    (
        "up gates",
        fp8,
        lambda m: check_swiglu(m, *torch.randn(9, 80, dtype=DTYPE).chunk(2, dim=-1)),
        "tl.sigmoid(x_D) *",
        "tl.sigmoid(-x_D) *",
    ),
    ("tokens without their scales", expert_tiles, check_tiles, "gate_FX *= scale_X[None]\n", "gate_FX *= 0.01\n"),
    ("the scale of the turn before", expert_tiles, check_tiles, "start // BLOCK_F + 1, is_pair_X", "start // BLOCK_F, is_pair_X"),
    ("one scale for all of a pair", expert_tiles, check_tiles, "scale_X = next_X", "scale_X = scale_X"),
    (
        "inner values without a scale",
        expert_tiles,
        check_tiles,
        "inner_FX /= scale_X[None]",
        "inner_FX /= 1.01 * scale_X[None]",
    ),
)


@pytest.mark.skipif(GPU, reason="mistakes are planted where a kernel that reads elsewhere does no harm")
@pytest.mark.parametrize(("mistake", "module", "check", "right", "wrong"), MUTANTS, ids=[m[0] for m in MUTANTS])
def test_a_mistake_is_caught(mistake, module, check, right, wrong, tmp_path, monkeypatch):
    with open(module.__file__, encoding="utf-8") as file:
        source = file.read()
    assert source.count(right) == 1, "the mutant names a passage that is not there, or not once"
    # Its operators would be those that are there already.
    source = source.replace(right, wrong).replace('"kimi_vl::', f'"{tmp_path.name}::')
    (tmp_path / "mutant.py").write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mutant", tmp_path / "mutant.py")
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutant", loaded)
    spec.loader.exec_module(loaded)
    with pytest.raises(AssertionError):
        check(loaded)

"""Weights in four bits: the format, and the kernels that read it, against formulas in fp64, with mistakes planted in them."""

import importlib.util
import sys

import pytest
import torch

from kimi_vl.ops import experts
from kimi_vl.ops.quantised import Packed, dequantised, one_of, packed_rows, quantised, quantised_experts
from kimi_vl.ops.triton import packed, packed_experts, routed_experts
from tests import interpreter
from tests.ops import formulas
from tests.ops.test_implementations import assert_near, limit, routed

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
KINDS = ("bfloat16", "float16") if GPU else ("float32", "float16")
needs_kernels = [
    pytest.mark.gpu if GPU else pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal())),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def with_kernels(test):
    for mark in needs_kernels:
        test = mark(test)
    return test


def nearest(weight):
    """Every group of 128 columns by each of the four scales in turn, in fp64: the one of the least squared error."""
    out = []
    for group in weight.double().split(128, dim=-1):
        largest, found = group.abs().amax(-1, keepdim=True), []
        for clip in (1.0, 0.9, 0.8, 0.7):
            scale = (largest * (clip / 7.5)).float().bfloat16().double()
            steps = (group / torch.where(scale > 0, scale, 1.0) - 0.5).round().clamp(-8, 7) + 0.5
            found.append(steps * scale)
        errors = torch.stack([(values - group).square().sum(-1) for values in found])
        best = errors.argmin(0)
        out.append(torch.stack(found).gather(0, best[None, ..., None].expand(1, *group.shape))[0])
    return torch.cat(out, dim=-1)


@pytest.mark.parametrize("width", [128, 1408, 1, 24, 130, 300])
def test_every_group_has_the_scale_of_the_least_error(width):
    weight = torch.randn(2, 7, width) * torch.logspace(-6, 3, 14).view(2, 7, 1)
    weight[1, 2], weight[0, 3, :5] = 0.0, 4.0
    rounded = packed_rows(weight)
    assert rounded.values.shape == (2, 7, 64 * -(-width // 128))
    assert (rounded.values.dtype, rounded.scales.dtype, rounded.width) == (torch.uint8, torch.bfloat16, width)
    found, expected = dequantised(rounded, torch.float64), nearest(weight)
    # Codes of values that lie between two steps, and scales of equal error, may differ; errors may not.
    errors = [(values - weight.double()).square().sum(-1) for values in (found, expected)]
    torch.testing.assert_close(*errors, rtol=1e-5, atol=0.0)
    assert torch.equal(found[1, 2], torch.zeros(width, dtype=torch.float64))


def test_normal_weights_lose_a_tenth():
    weight = torch.randn(300, 1408).bfloat16()
    error = (dequantised(packed_rows(weight), torch.float32) - weight.float()).norm() / weight.float().norm()
    assert abs(float(error) - 0.101) < 0.001


def test_a_byte_holds_columns_that_lie_64_apart():
    codes = torch.randint(0, 16, (3, 256))
    codes[:, ::128], codes[:, 1::128] = 0, 15  # so that the largest magnitude is no clip
    packed_codes = packed_rows((codes - 7.5) * 0.25)
    found, groups = packed_codes.values.unflatten(-1, (2, 64)), codes.unflatten(-1, (2, 128))
    assert torch.equal(found & 15, groups[..., :64].byte())
    assert torch.equal(found >> 4, groups[..., 64:].byte())
    assert torch.equal(dequantised(packed_codes, torch.float32), (codes - 7.5) * 0.25)


def test_rounding_in_blocks_is_rounding_at_once(monkeypatch):
    weight = torch.randn(3, 7, 150)
    whole = packed_rows(weight)
    for values in (150, 400, 10**6):  # one row, two, and all of them
        monkeypatch.setattr("kimi_vl.ops.quantised.BLOCK_VALUES", values)
        found = packed_rows(weight)
        assert torch.equal(found.values, whole.values)
        assert torch.equal(found.scales, whole.scales)


def test_experts_are_those_of_their_matrices():
    weight = torch.randn(3, 10, 70).bfloat16()
    found = quantised_experts(weight, "int4")
    for expert in range(3):
        one = one_of(found, expert)
        assert isinstance(one, Packed)
        assert torch.equal(dequantised(one, torch.float32), dequantised(packed_rows(weight[expert]), torch.float32))
    assert dequantised(found, torch.bfloat16).shape == weight.shape


def packed_mixture(tokens, kind, *, shared=2, width=160, inner=136, only=(0, 1, 3, 5)):
    """Arguments of mixture, and the same with weights written out in fp64. Behind a row's end stand codes that nobody may read as weights,
    and experts that nobody chose have scales that are none."""
    dtype = getattr(torch, kind)
    (x, gate_up, down, indices, weights), _ = routed(tokens, experts=6, top_k=2, width=width, inner=inner, only=list(only), dtype=dtype)
    beside = [torch.randn(shared * inner, width) / width**0.5 for _ in range(2)] + [torch.randn(width, shared * inner) / inner**0.5]
    x, indices, weights = (a.to(DEVICE) for a in (x, indices, weights))
    residual = torch.randn(tokens, width).to(dtype).to(DEVICE)
    many = [quantised_experts(weight.float().to(DEVICE), "int4") for weight in (gate_up, down)]
    beside = [quantised(weight.to(DEVICE), "int8") for weight in beside] if shared else []
    exact = [dequantised(weight, torch.float64) for weight in (*many, *beside)]
    for weight in many:
        _spoil(weight, [expert for expert in range(6) if expert not in only])
    arguments = (x, residual, *many, indices, weights, tuple(beside) or None)
    return arguments, (x, residual, *exact[:2], indices, weights, tuple(exact[2:]) or None)


def _spoil(weight, unused):
    codes = torch.cat((weight.values.unflatten(-1, (-1, 64)) & 15, weight.values.unflatten(-1, (-1, 64)) >> 4), dim=-1)
    codes.flatten(-2)[..., weight.width :] = 15
    low, high = codes.chunk(2, dim=-1)
    weight.values.copy_((low | high << 4).flatten(-2))
    weight.scales[unused] = float("nan")


def check_way(module, kind, way, tokens, **options):
    arguments, exact = packed_mixture(tokens, kind)
    x, residual, gate_up, down, indices, weights, shared = arguments
    found = getattr(module, way)(x, gate_up, down, indices, weights, shared=shared, residual_TD=residual, **options)
    assert_near(found, formulas.mixture(*exact), limit(kind))


def check_vectors(module, kind="float16", width=256):
    launch = module.Launch(rows=32, width=width)
    check_way(module, kind, "by_vectors", 2, gate_up_launch=launch, down_launch=launch)


def check_tiles(module, kind="float16"):
    check_way(module, kind, "by_tiles", 20)


def check_written(module, kind="float16", width=200):
    weight = quantised_experts(torch.randn(3, 70, width, device=DEVICE), "int4")
    expected = dequantised(weight, torch.float64)
    _spoil(weight, [])
    found = module.written(weight, getattr(torch, kind))
    assert found.shape == (3, 70, width)
    assert torch.equal(found, expected.float().to(found.dtype))
    assert torch.equal(module.written(one_of(weight, 1), found.dtype), found[1])


@with_kernels
@pytest.mark.parametrize("kind", KINDS)
def test_experts_by_vectors(kind):
    for width in (128, 256, 512):  # a group at once, both, and more than there are
        check_vectors(packed_experts, kind, width)


@with_kernels
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("tokens", "lists"), [(2, None), (16, None), (16, True), (41, None)])
def test_experts_by_tiles(tokens, lists, kind):
    """With and without lists, and more tokens than a tile holds."""
    launch = packed_experts.Launch(rows=64, width=128, pairs=16)
    check_way(packed_experts, kind, "by_tiles", tokens, lists=lists, launches=(launch, launch))


@with_kernels
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [128, 24, 200, 256])
def test_what_is_written_out_is_the_matrix(width, kind):
    check_written(packed, kind, width)


@with_kernels
@pytest.mark.parametrize("shared", [0, 2])
@pytest.mark.parametrize("tokens", [0, 1, 3, 40, 600])
def test_a_mixture_of_experts_in_int4(tokens, shared):
    """As vectors, as tiles with and without lists, with shared experts along or beside or none, and written out for a prompt; and the
    references."""
    kind = "bfloat16" if GPU else "float16"
    arguments, exact = packed_mixture(tokens, kind, shared=shared)
    expected = formulas.mixture(*exact)
    assert_near(routed_experts.mixture_triton(*arguments), expected, limit(kind))
    assert_near(experts.mixture(*arguments), expected, limit(kind))


@with_kernels
@pytest.mark.skipif(not hasattr(torch.nn.functional, "grouped_mm"), reason="needs torch's grouped product")
def test_experts_by_groups():
    kind = "bfloat16" if GPU else "float16"
    (x, residual, *many, _), (*exact, _) = packed_mixture(70, kind)
    found = routed_experts.by_groups(x, *many, residual_TD=residual)
    assert_near(found, formulas.mixture(*exact, None), limit(kind))


MUTANTS = (
    ("halves of a byte the other way round", packed, check_written, "((word_C & 15) << 19)", "((word_C >> 4) << 19)"),
    ("the scale of the first group", packed, check_written, "tl.load(scales + r * groups + g,", "tl.load(scales + r * groups,"),
    ("a middle that is a code", packed, check_written, "return low_C - 23.5,", "return low_C - 23.0,"),
    (
        "shared experts without their scales",
        packed_experts,
        check_vectors,
        "sum_D += shared_D * tl.load(shared",
        "sum_D += shared_D + 0.0 * tl.load(shared",
    ),
    ("up rows of the gate", packed_experts, check_vectors, "row_sums(gate + F * groups * 64, scales", "row_sums(gate, scales"),
    ("columns behind the end of a row", packed_experts, check_tiles, "mask=is_pair_1X & (f_C1 + 64 < F)", "mask=is_pair_1X & (f_C1 < F)"),
    ("the scale of the turn before", packed_experts, check_tiles, "scale_D = next_D", "scale_D = scale_D"),
    ("halves of the same columns", packed_experts, check_tiles, "tl.load(x_1X + d_C1 + 64, mask", "tl.load(x_1X + d_C1, mask"),
)


@with_kernels
@pytest.mark.skipif(GPU, reason="mistakes are planted where a kernel that reads elsewhere does no harm")
@pytest.mark.parametrize(("mistake", "module", "check", "right", "wrong"), MUTANTS, ids=[m[0] for m in MUTANTS])
def test_a_mistake_is_caught(mistake, module, check, right, wrong, tmp_path, monkeypatch):
    with open(module.__file__, encoding="utf-8") as file:
        source = file.read()
    assert source.count(right) == 1, "the mutant names a passage that is not there, or not once"
    (tmp_path / "mutant.py").write_text(source.replace(right, wrong), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mutant", tmp_path / "mutant.py")
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutant", loaded)
    spec.loader.exec_module(loaded)
    with pytest.raises(AssertionError):
        check(loaded)

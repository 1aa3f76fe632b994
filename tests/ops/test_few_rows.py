"""The kernels of one or two decoding rows against their formulas in fp64, and mistakes planted in them."""

import importlib.util
import sys

import pytest
import torch

from kimi_vl.ops.quantised import quantised
from kimi_vl.ops.triton import few_rows, paged_latent_attention, route, rows
from tests import interpreter
from tests.ops import formulas, test_triton_rows
from tests.ops.test_implementations import FP8, assert_near, assert_neighbours, limit, paged, projected, spread

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
KINDS = ("bfloat16", "float16") if GPU else ("float32", "float16")
pytestmark = [
    pytest.mark.gpu if GPU else pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal())),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
HEADS, NOPE, VALUE = 3, 16, 32


def random(*shape, kind, std=1.0):
    return (torch.randn(*shape) * std).to(getattr(torch, kind)).to(DEVICE)


def check_linear(module, kind, tokens=2, normed=True, added=True):
    x, weight, norm = random(tokens, 80, kind=kind), random(13, 80, kind=kind, std=0.1), random(80, kind=kind)
    residual = random(tokens, 13, kind=kind) if added else None
    found = module.linear(x, weight, norm=(norm, 1e-5) if normed else None, residual_TR=residual)
    inputs = formulas.rms_norm(x, norm, 1e-5) if normed else x.double()
    expected = inputs @ weight.double().T
    assert_near(found, expected if residual is None else expected + residual.double(), limit(kind))


def check_warps(module, kind, tokens=5, added=True, rows=37):
    x, residual = random(tokens, 80, kind=kind), random(tokens, rows, kind=kind) if added else None
    whole = random(rows, 80, kind=kind, std=0.1)
    for weight in (whole, *(quantised(whole.float(), kind) for kind in ("int8", "fp8"))):
        found = module.linear_by_warps(x, weight, residual_TR=residual)
        values = weight.double() if weight is whole else weight.values.double() * weight.scales.double()[:, None]
        assert_near(found, x.double() @ values.T + (residual.double() if added else 0.0), limit(kind))


def check_map_values(module, kind, tokens=5):
    attended, key_value_up = random(tokens, HEADS, 32, kind=kind), random(HEADS * (NOPE + VALUE), 32, kind=kind, std=0.2)
    value_up = key_value_up.unflatten(0, (HEADS, -1))[:, NOPE:].double()
    found = module.map_values(attended, key_value_up, NOPE)
    assert_near(found, torch.einsum("THL,HVL->THV", attended.double(), value_up).flatten(1), limit(kind))


def check_quantised(module, kind, tokens=2, rows=37):
    """By vectors and by tiles."""
    x, residual = random(tokens, 80, kind=kind), random(tokens, rows, kind=kind)
    for weights in ("int8", "fp8"):
        weight = quantised(random(rows, 80, kind="float32", std=0.1), weights)
        expected = x.double() @ (weight.values.double() * weight.scales.double()[:, None]).T + residual.double()
        if tokens <= 2:
            assert_near(module.linear(x, weight, residual_TR=residual), expected, limit(kind))
        assert_near(module.linear_by_tiles(x, weight, residual_TR=residual), expected, limit(kind))
        assert_near(module.linear_by_tiles(x, weight), expected - residual.double(), limit(kind))


def check_latent_query(module, kind, tokens=2, kept=None):
    (q_rope, latents, norm_weight, eps, cos, sin), _ = projected(
        tokens, heads=HEADS, nope=NOPE, rank=32, rope=16, dtype=getattr(torch, kind)
    )
    q_nope, key_value_up = random(tokens, HEADS, NOPE, kind=kind), random(HEADS * (NOPE + VALUE), 32, kind=kind, std=0.2)
    q_rope, latents, norm_weight, cos, sin = (x.to(DEVICE) for x in (q_rope, latents, norm_weight, cos, sin))
    whole = torch.cat((torch.cat((q_nope, q_rope), dim=-1).flatten(1), latents), dim=1)
    slots, pages = torch.randperm(12)[:tokens].to(DEVICE), random(3, 4, 48, kind=kind).to(kept or getattr(torch, kind))
    turned, after = formulas.write_latent(q_rope, latents, norm_weight, eps, cos, sin, slots, pages)
    q_latent, found = module.latent_query(whole, key_value_up, (norm_weight, eps), cos, sin, slots, pages, HEADS, NOPE)
    key_up = key_value_up.unflatten(0, (HEADS, -1))[:, :NOPE].double()
    assert_near(q_latent, torch.einsum("THN,HNL->THL", q_nope.double(), key_up), limit(kind))
    assert_near(found, turned, limit(kind))
    if kept:
        assert_neighbours(pages, after)
    else:
        assert_near(pages, after, limit(kind))


def check_join_values(module, kind, lengths=(70, 9)):
    arguments, options = paged([1] * len(lengths), list(lengths), page_size=8, heads=HEADS, dtype=getattr(torch, kind))
    arguments = [a.to(DEVICE) for a in arguments]
    launch = paged_latent_attention.Launch(1, block_rows=16)
    parts = paged_latent_attention.attend_parts(*arguments, **options, launch=launch, num_splits=3)
    key_value_up = random(HEADS * (NOPE + VALUE), 32, kind=kind, std=0.2)
    found = module.join_values(*parts, key_value_up, NOPE, getattr(torch, kind))
    attended = formulas.paged_latent_attention(*arguments, **options)
    value_up = key_value_up.unflatten(0, (HEADS, -1))[:, NOPE:].double()
    assert_near(found, torch.einsum("THL,HVL->THV", attended, value_up).flatten(1), limit(kind))


def check_score(module, kind, tokens=3, added=True, normed=True):
    x, update, norm = random(tokens, 48, kind=kind), random(tokens, 48, kind=kind), random(48, kind=kind)
    weight, bias = random(12, 48, kind="float32", std=0.2), random(12, kind="float32", std=0.3)
    options = {"renormalise": True, "scaling_factor": 2.446}
    given = {"update_TD": update} if added else {}
    total, found, *chosen = module.score(x, (norm, 1e-5) if normed else None, weight, bias, 3, **options, **given)
    expected = (x.double() + update.double()).to(x.dtype) if added else x
    assert torch.equal(total, expected)
    inputs = formulas.rms_norm(expected, norm, 1e-5) if normed else expected
    assert_near(found, inputs, limit(kind))
    assert_near(spread(chosen, 12), formulas.route(found, weight, bias, 3, **options), limit("float32"))


def check_enter(module, kind):
    test_triton_rows.check_enter(module, getattr(torch, kind))


def check_leave(module, kind):
    test_triton_rows.check_leave(module, counts=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("tokens", [1, 2])
def test_linear(tokens, normed, added, kind):
    check_linear(few_rows, kind, tokens, normed, added)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 2, 17, 70])
def test_linear_with_quantised_weights(tokens, kind):
    check_quantised(few_rows, kind, tokens)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("tokens", "added"), [(1, True), (3, False), (9, True), (16, False)])
def test_linear_by_warps(tokens, added, kind):
    check_warps(few_rows, kind, tokens, added)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 8, 16])
def test_map_values(tokens, kind):
    check_map_values(few_rows, kind, tokens)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 2, 5, 12])
@pytest.mark.parametrize("kept", [None, FP8], ids=str)
def test_latent_query(tokens, kind, kept):
    check_latent_query(few_rows, kind, tokens, kept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [(1,), (16,), (70, 9), (3, 40, 17)])
def test_join_values(lengths, kind):
    check_join_values(few_rows, kind, lengths)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("added", "normed"), [(True, True), (False, True), (True, False), (False, False)])
def test_score(added, normed, kind):
    for tokens in (1, 5, 32):
        check_score(route, kind, tokens, added, normed)


MUTANTS = (
    ("the update forgotten", route, check_score, "+ tl.load(update + t * D + d, mask=d < D", "+ tl.load(update + t * D + d, mask=d < 0"),
    ("the sum of another token", route, check_score, "tl.store(total + t * D", "tl.store(total + (2 - t) * D"),
    ("rows without their scales", few_rows, check_quantised, "sum_R *= scale_R", "sum_R *= 0.01"),
    ("tiles of another token", few_rows, check_quantised, "tl.load(x + (t * D)[None]", "tl.load(x + (t * 0 * D)[None]"),
    (
        "the norm's weight forgotten",
        few_rows,
        check_linear,
        "x_D = normed(x_D, norm_D",
        "x_D = normed(x_D, 1.0 + 0.0 * norm_D",
    ),
    ("the residual of another token", few_rows, check_linear, "tl.load(residual + t * R", "tl.load(residual + (TOKENS - 1 - t) * R"),
    (
        "the map of the values for the keys",
        few_rows,
        check_latent_query,
        "(head * (N + V) + n)[:, None]",
        "(head * (N + V) + V + n)[:, None]",
    ),
    ("rows written one place on", few_rows, check_latent_query, "tl.load(slots + t),", "tl.load(slots + t) + 1,"),
    (
        "a warp's part of x for all",
        few_rows,
        check_warps,
        "x_PCT = tl.permute(tl.reshape(x_TD",
        "x_PCT = tl.permute(tl.reshape(x_TD * (d < 64)[None]",
    ),
    ("the values of another head", few_rows, check_map_values, "r // HEAD * STRIDE", "(R - 1 - r) // HEAD * STRIDE"),
    (
        "queries of another token",
        few_rows,
        lambda *a: check_latent_query(*a, tokens=5),
        "(all_T * stride + head",
        "((num_tokens - 1 - all_T) * stride + head",
    ),
    ("the map of the keys for the values", few_rows, check_join_values, "(N + V) + N + v)[:, None]", "(N + V) + v)[:, None]"),
    (
        "parts of another head",
        few_rows,
        check_join_values,
        "parts + t, row, num_tokens",
        "parts + t, t * num_heads, num_tokens",
    ),
    ("rows that rest write where they were", rows, check_enter, "tl.load(active + b) > 0, page", "tl.load(active + b) >= 0, page"),
    ("the number of the token before", rows, check_enter, "tl.load(numbers + b) + 1)", "tl.load(numbers + b))"),
    ("rows that rest go on", rows, check_leave, "0), mask=is_row & (active_B > 0)", "0), mask=is_row & (active_B >= 0)"),
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
        check(loaded, "float16")

"""The ways that one Triton implementation can be cut, which sizes and machines choose between: each computes the same."""

from functools import partial

import pytest
import torch

from kimi_vl.ops.experts import group_by_expert
from kimi_vl.ops.triton import (
    averages,
    draw_rows,
    expert_groups,
    expert_launches,
    expert_tiles,
    expert_vectors,
    grouping,
    paged_latent_attention,
    rms_norm,
    route,
    swiglu_products,
    weigh_rows,
)
from tests import interpreter
from tests.ops import formulas
from tests.ops.test_implementations import FP8, assert_near, drawn, limit, paged, routed, scored, spread, weighed

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
KINDS = ("bfloat16", "float16") if GPU else ("float32", "float16")
pytestmark = [
    pytest.mark.gpu if GPU else pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal())),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def on_device(args):
    return [a.to(DEVICE) for a in args]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_splits", [1, 2, 7, 40])
@pytest.mark.parametrize("launch", [paged_latent_attention.DECODE, paged_latent_attention.CHUNKS], ids=["decode", "chunks"])
@pytest.mark.parametrize("kept", [None, FP8], ids=str)
def test_parts_of_a_sequence_join_to_the_whole(launch, num_splits, kind, kept):
    new = [1, 1, 1] if launch.tile_tokens == 1 else [6, 1, 3]
    args, options = paged(new, [200, 1, 130], page_size=8, heads=5, dtype=getattr(torch, kind), kept=kept)
    args = on_device(args)
    out = paged_latent_attention.attend(*args, **options, launch=launch, num_splits=num_splits)
    assert_near(out, formulas.paged_latent_attention(*args, **options), limit(kind))


GROUPED = [pytest.param(expert_groups.by_groups, id="groups")] if hasattr(torch.nn.functional, "grouped_mm") else []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(expert_vectors.by_vectors, id="vectors"),
        *(
            pytest.param(partial(expert_tiles.by_tiles, launches=(expert_launches.tile(tokens),) * 2), id=f"tiles for {tokens}")
            for tokens in (8, 128, 512)
        ),
        *GROUPED,
    ],
)
def test_experts_by_any_way(way, kind):
    args, _ = routed(20, experts=6, top_k=3, width=48, inner=24, only=[0, 1, 3, 5], dtype=getattr(torch, kind))
    args = on_device(args)
    assert_near(way(*args), formulas.routed_experts(*args), limit(kind))


@pytest.mark.parametrize(("tokens", "experts", "top_k"), [(1, 5, 2), (40, 5, 5), (300, 64, 6), (5000, 3, 2), (150, 300, 3)])
def test_pairs_are_grouped_as_sorting_does_it(tokens, experts, top_k, monkeypatch):
    """The order within an expert among it; also where a program takes several turns."""
    (_, _, _, indices, _), _ = routed(tokens, experts=experts, top_k=top_k, only=range(max(experts - 1, top_k)))
    for programs in (grouping.GROUP_PROGRAMS, 2):
        monkeypatch.setattr(grouping, "GROUP_PROGRAMS", programs)
        places, tokens, ends = grouping.group_by_expert(indices.to(DEVICE), experts)
        expected_order, expected_places, expected_ends = group_by_expert(indices, experts)
        assert places.tolist() == expected_places.tolist()
        assert tokens.tolist() == (expected_order // top_k).tolist()
        assert ends.tolist() == expected_ends.tolist()
        assert places.dtype == tokens.dtype == ends.dtype == torch.int32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [(16, 16, 16), (32, 16, 32), (128, 128, 64)], ids=str)
@pytest.mark.parametrize("counts", [[0, 33, 1, 0, 16, 0], [128, 1], [0, 0, 5]], ids=str)
def test_pairs_in_tiles_of_any_size_find_their_expert(counts, tile, kind, monkeypatch):
    for name, size in zip(("PAIRS", "COLUMNS", "DEPTH"), tile, strict=True):
        monkeypatch.setattr(swiglu_products, name, size)
    experts, pairs, dtype = len(counts), sum(counts), getattr(torch, kind)
    x, gate_up = torch.randn(50, 40).to(dtype), (torch.randn(experts, 48, 40) / 40**0.5).to(dtype)
    tokens, ends = torch.randint(50, (pairs,), dtype=torch.int32), torch.tensor(counts).cumsum(0).int()
    found = swiglu_products.grouped_swiglu(*on_device([x, tokens, gate_up, ends]))
    own = gate_up.double().repeat_interleave(torch.tensor(counts), 0)
    gate, up = torch.einsum("xd,xgd->xg", x.double()[tokens.long()], own).chunk(2, dim=-1)
    assert_near(found.cpu(), torch.nn.functional.silu(gate) * up, limit(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [(16, 16, 16), (128, 128, 64)], ids=str)
@pytest.mark.parametrize(("tokens", "width", "inner"), [(1, 40, 24), (33, 64, 16), (200, 24, 88)])
def test_gate_and_up_of_tokens_in_tiles_of_any_size(tokens, width, inner, tile, kind, monkeypatch):
    for name, size in zip(("PAIRS", "COLUMNS", "DEPTH"), tile, strict=True):
        monkeypatch.setattr(swiglu_products, name, size)
    wide, gate_up = torch.randn(tokens, width + 8), torch.randn(2 * inner, width) / width**0.5
    x, gate_up = (a.to(getattr(torch, kind)) for a in (wide, gate_up))
    x, gate_up = on_device([x, gate_up])
    found = swiglu_products.swiglu_product(x[:, :width], gate_up)
    gate, up = (x[:, :width].double() @ gate_up.double().T).chunk(2, dim=-1)
    assert_near(found, torch.nn.functional.silu(gate) * up, limit(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 8])
def test_parts_are_averaged_by_their_masses(count, kind):
    """Masses from e^-60 to e^60; of the last rows nothing is wanted."""
    parts = torch.randn(count, 11, 5, 24, device=DEVICE).to(getattr(torch, kind))
    log_masses = torch.randn(count, 5, 11, device=DEVICE).mT * 20
    out = parts.new_full((9, 5, 24), float("nan"))
    averages.write_average([*parts], [*log_masses], out)
    expected = (parts.double() * log_masses.double().softmax(0)[..., None]).sum(0)
    assert_near(out, expected[:9], limit(kind))


def test_experts_of_a_token_do_not_depend_on_the_tokens_beside_it():
    args, _ = routed(12, dtype=torch.float16)
    x, gate_up, down, indices, weights = on_device(args)
    way = partial(expert_tiles.by_tiles, launches=(expert_launches.tile(12),) * 2)
    together = way(x, gate_up, down, indices, weights)
    fewer = way(x[5:], gate_up, down, indices[5:], weights[5:])
    assert torch.equal(together[5:], fewer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("block_tokens", "parts"), [(16, 1), (16, 3), (16, 8), (32, 2), (64, 1)])
def test_the_router_by_any_tile(block_tokens, parts, kind):
    """Twice, because a launch counts on what the one before left."""
    (x, *rest), options = scored(37, width=200, experts=20, top_k=4, dtype=getattr(torch, kind))
    args = on_device([x, *rest[:2]])
    expected = formulas.route(*args, rest[2], **options)
    for _ in range(2):
        found = route.by_tiles(*args, rest[2], **options, block_tokens=block_tokens, parts=parts)
        assert_near(spread(found, 20), expected, limit("float32"))
        assert (found[0].diff(dim=1) > 0).all(), "in the order of their numbers"


@pytest.mark.parametrize("tokens", [3, 40])
def test_equal_scores_fall_to_the_lower_number(tokens):
    """torch.topk leaves it open; here it must not depend on the machine."""
    x, weight = torch.zeros(tokens, 8, device=DEVICE, dtype=torch.float16), torch.randn(6, 8, device=DEVICE)
    bias = torch.tensor([0.0, 0.5, 0.25, 0.5, 0.25, 0.25], device=DEVICE)
    indices, weights = route.route_triton(x, weight, bias, 4, renormalise=True, scaling_factor=2.0)
    assert indices.tolist() == [[1, 2, 3, 4]] * tokens
    assert weights.tolist() == [[0.5] * 4] * tokens


@pytest.mark.parametrize("tokens", [2, 35])
def test_a_token_of_nan_is_sent_to_experts_that_exist(tokens):
    x, weight = torch.randn(tokens, 8, device=DEVICE, dtype=torch.float16), torch.randn(5, 8, device=DEVICE)
    x[::2] = float("nan")
    indices, weights = route.route_triton(x, weight, torch.zeros(5, device=DEVICE), 3, renormalise=True, scaling_factor=2.0)
    assert indices[::2].tolist() == [[0, 1, 2]] * len(x[::2])
    assert weights[::2].isnan().all()
    assert weights[1::2].isfinite().all()


def test_a_gradient_through_a_kernel_is_an_error_and_not_a_missing_one():
    x = torch.randn(3, 16, device=DEVICE, dtype=torch.float16, requires_grad=True)
    out = rms_norm.rms_norm_triton(x, torch.ones(16, device=DEVICE, dtype=torch.float16), 1e-5)
    with pytest.raises(RuntimeError, match="has no gradient"):
        out.sum().backward()


def test_a_row_s_token_depends_on_the_row_alone():
    """To the bit: also where the number to draw with lies on the border between two tokens."""
    (logits, *rest), options = drawn(*[1.0] * 6, vocabulary=5000, logits=lambda x: x[:1].expand(6, -1) / 9, numbers=[0.3] * 6)
    logits, uniforms, temperature = on_device([logits.half(), *rest])
    alone = draw_rows.draw_rows_triton(logits[:1], uniforms[:1], temperature[:1], **options)
    filters = [torch.tensor(column, device=DEVICE) for column in ([0, 0, 40, 0, 9, 0], [1.0, 1.0, 1.0, 0.5, 0.9, 1.0], [0.0] * 5 + [0.1])]
    together = draw_rows.draw_rows_triton(logits, uniforms, temperature, **options)
    beside_filters = draw_rows.draw_rows_triton(logits, uniforms, temperature, *filters, **options)
    assert together.tolist() == alone.tolist() * 6
    assert beside_filters[:2].tolist() == alone.tolist() * 2


def test_what_is_excluded_or_spoilt_stays_so_whatever_it_weighs():
    (logits, *rest), _ = weighed((1.7, 0.5, 0.25, 5), (0.3, -2.0, 0.0, 5), dtype=torch.float16)
    logits[:, ::3], logits[:, 1::3] = float("-inf"), float("nan")
    found = weigh_rows.weigh_rows_triton(*on_device([logits, *rest])).cpu()
    assert torch.equal(found == float("-inf"), logits == float("-inf"))
    assert torch.equal(found.isnan(), logits.isnan())

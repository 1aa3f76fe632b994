"""The Triton kernels at the sizes of the official decoder, on a GPU, against the plain references on the same GPU."""

import pytest
import torch

from kimi_vl.ops import attention, experts, latent, norm, rotary, sampling, select
from kimi_vl.ops.registry import explain
from tests.ops.test_implementations import FP8, assert_drawn, assert_near, limit, spread

pytestmark = pytest.mark.gpu
KINDS = ("bfloat16", "float16")
D, H, N, R, L, E, K, F, W = 2048, 16, 128, 64, 512, 64, 6, 1408, 163_840
PAGE = 64
SCALE = (N + R) ** -0.5
NEW_TOKENS = {"decode": [1] * 4, "chunks": [130, 1, 37, 1]}


def operations(kind):
    return select(torch.device("cuda"), getattr(torch, kind))


def random(*shape, kind, std=1.0):
    return torch.empty(*shape, dtype=getattr(torch, kind), device="cuda").normal_(std=std)


def pages_of(lengths, kind):
    """Pages in no order with NaN behind every length, and their table with numbers of no page behind it."""
    counts = [-(-length // PAGE) for length in lengths]
    pages, table = random(sum(counts), PAGE, L + R, kind=kind), torch.full((len(lengths), max(counts) + 3), 1 << 30, dtype=torch.int32)
    order = torch.randperm(sum(counts)).tolist()
    for b, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        own = [order.pop() for _ in range(count)]
        table[b, :count] = torch.tensor(own)
        pages[own[-1], (length - 1) % PAGE + 1 :] = float("nan")
    return pages, table.cuda()


def queries(num_tokens, kind):
    return random(num_tokens, H, L + R, kind=kind).split([L, R], dim=-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("lengths", "causal", "widths"),
    [
        ([4096], True, (N + R, N)),
        ([700, 2048, 2048, 40, 3001, 1537], True, (N + R, N)),
        ([3000, 1000, 2500, 2500], False, (72, 72)),
    ],
    ids=["prompt", "prompts", "pictures"],
)
def test_varlen_attention(lengths, causal, widths, kind):
    """Values are a view of a projection, as in the model."""
    q, k = random(2, sum(lengths), H, widths[0], kind=kind)
    v = random(sum(lengths), H, 2 * widths[1], kind=kind)[..., widths[1] :]
    boundaries = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32, device="cuda")
    call, options = (q, k, v, boundaries, max(lengths)), {"causal": causal, "scale": widths[0] ** -0.5}
    expected = attention.varlen_attention_reference(*call, **options)
    assert_near(operations(kind).varlen_attention(*call, **options, lengths=lengths), expected, limit(kind))
    assert_near(operations(kind).varlen_attention(*call, **options), expected, limit(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("new", "rows"), [(130, 3000), (1600, 1601), (2048, 6144), (1700, 9000), (3000, 24_100)])
def test_expanded_latent_attention(new, rows, kind):
    call = random(new, H, N + R, kind=kind), random(rows, L + R, kind=kind), random(2 * H * N, L, kind=kind, std=L**-0.5)
    expected = attention.expanded_latent_attention_reference(*call, scale=SCALE)
    assert_near(operations(kind).expanded_latent_attention(*call, scale=SCALE), expected, limit(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("new", NEW_TOKENS.values(), ids=NEW_TOKENS)
@pytest.mark.parametrize("kept", [None, FP8], ids=str)
def test_paged_attention(new, kind, kept):
    lengths = [20_011, 1, 1024, 65]
    lengths = [max(length, count) for length, count in zip(lengths, new, strict=True)]
    boundaries = torch.tensor([0, *torch.tensor(new).cumsum(0).tolist()], dtype=torch.int32, device="cuda")
    pages, table = pages_of(lengths, kind)
    lengths = torch.tensor(lengths, dtype=torch.int32, device="cuda")
    args = (*queries(sum(new), kind), pages if kept is None else pages.to(kept), table, boundaries, lengths)
    found = operations(kind).paged_latent_attention(*args, scale=SCALE)
    assert_near(found, attention.paged_latent_attention_reference(*args, scale=SCALE), limit(kind))


def test_a_graph_of_paged_attention_serves_any_lengths():
    pages, table = pages_of([9000, 700, 300], "bfloat16")
    query, boundaries = queries(3, "bfloat16"), torch.arange(4, dtype=torch.int32, device="cuda")
    lengths = torch.tensor([1, 1, 1], dtype=torch.int32, device="cuda")
    function = operations("bfloat16").paged_latent_attention
    function(*query, pages, table, boundaries, lengths, scale=SCALE)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = function(*query, pages, table, boundaries, lengths, scale=SCALE)
    for now in ([9000, 700, 300], [64, 65, 63], [5000, 0, 1]):
        lengths.copy_(torch.tensor(now))
        graph.replay()
        expected = attention.paged_latent_attention_reference(*query, pages, table, boundaries, lengths, scale=SCALE)
        assert_near(found, expected, limit("bfloat16"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 2, 3, 32, 100, 256, 600, 3000])
def test_routed_experts(tokens, kind):
    args = (random(tokens, D, kind=kind), random(E, 2 * F, D, kind=kind, std=D**-0.5), random(E, D, F, kind=kind, std=F**-0.5))
    indices, weights = torch.rand(tokens, E, device="cuda").topk(K, dim=-1).indices, torch.rand(tokens, K, device="cuda")
    found = operations(kind).routed_experts(*args, indices, weights)
    expected = experts.routed_experts_loop(*args, indices, weights)
    assert_near(found, expected, limit(kind))
    assert torch.equal(operations(kind).routed_experts(*args, indices, weights), found), "the same twice"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 32, 33, 512, 3000])
def test_mixture(tokens, kind):
    """Of experts by tiles, by groups, and beside the shared ones."""
    x, residual = random(2, tokens, D, kind=kind)
    weights = (random(E, 2 * F, D, kind=kind, std=D**-0.5), random(E, D, F, kind=kind, std=F**-0.5))
    gate, up = random(2, 2 * F, D, kind=kind, std=D**-0.5)
    shared = gate, up, random(D, 2 * F, kind=kind, std=F**-0.5)
    indices, factors = torch.rand(tokens, E, device="cuda").topk(K, dim=-1).indices, torch.rand(tokens, K, device="cuda")
    call = (x, residual, *weights, indices, factors, shared)
    found = operations(kind).mixture(*call)
    assert_near(found, experts.mixture(*call), limit(kind))
    assert torch.equal(operations(kind).mixture(*call, routed_experts=experts.routed_experts_dense), found), "the same twice"
    for call in ((x, *shared, residual), (x, gate, up.clone(), shared[2])):
        assert_near(operations(kind).gated_mlp(*call), experts.gated_mlp(*call), limit(kind))


@pytest.mark.parametrize("tokens", [1, 64, 1000])
def test_a_mixture_and_the_router_can_be_recorded(tokens):
    ops, factor = operations("bfloat16"), {"renormalise": True, "scaling_factor": 2.446}
    x, router, bias = random(tokens, D, kind="bfloat16"), random(E, D, kind="float32", std=D**-0.5), random(E, kind="float32", std=0.1)
    weights = (random(E, 2 * F, D, kind="bfloat16", std=D**-0.5), random(E, D, F, kind="bfloat16", std=F**-0.5))

    gate, up = random(2, 2 * F, D, kind="bfloat16", std=D**-0.5)
    shared = gate, up, random(D, 2 * F, kind="bfloat16", std=F**-0.5)

    def mixture():
        return ops.mixture(x, x, *weights, *ops.route(x, router, bias, K, **factor), shared)

    mixture()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = mixture()
    x.copy_(random(tokens, D, kind="bfloat16"))
    graph.replay()
    assert torch.equal(found, mixture())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 32, 33, 256, 1024, 4000, 16_384])
def test_router(tokens, kind):
    x, router, bias = random(tokens, D, kind=kind), random(E, D, kind="float32", std=D**-0.5), random(E, kind="float32", std=0.1)
    options = {"renormalise": True, "scaling_factor": 2.446}
    found = spread(operations(kind).route(x, router, bias, K, **options), E)
    expected = spread(experts.route(x, router, bias, K, **options), E)
    scores = torch.nn.functional.linear(x.float(), router).sigmoid() + bias
    best = scores.topk(K + 1, dim=-1).values
    is_clear = best[:, K - 1] - best[:, K] > 1e-6  # closer than that, either may be chosen
    assert is_clear.float().mean() > 0.99
    assert_near(found[is_clear], expected[is_clear], limit("float32"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 256, 5000])
def test_norms_and_cache_rows(tokens, kind):
    ops = operations(kind)
    x, update, weight = random(tokens, D, kind=kind), random(tokens, D, kind=kind), random(D, kind=kind)
    assert_near(ops.rms_norm(x, weight, 1e-5), norm.rms_norm(x, weight, 1e-5), limit(kind))
    for found, expected in zip(ops.add_rms_norm(x, update, weight, 1e-5), norm.add_rms_norm(x, update, weight, 1e-5), strict=True):
        assert_near(found, expected, limit(kind))
    angles = torch.rand(tokens, R // 2, device="cuda") * 1000
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    call = (random(tokens, H, N + R, kind=kind)[..., N:], random(tokens, L + R, kind=kind), random(L, kind=kind), 1e-6, cos, sin)
    expected_query, expected_rows = latent.latent_rows(*call)
    query, rows = ops.latent_rows(*call)
    assert torch.equal(query, expected_query), "rotated and rounded as torch does it"
    assert_near(rows, expected_rows, limit(kind))
    slots = torch.randperm(2 * tokens, device="cuda")[:tokens]
    slots[::3] = -1
    pages = random(2 * tokens, 1, L + R, kind=kind)
    after = pages.clone()
    kept = slots >= 0
    after.view(-1, L + R)[slots[kept]] = rows[kept]
    assert torch.equal(ops.write_latent(*call, slots, pages), query)
    assert torch.equal(pages, after)
    rounded, large = torch.zeros(pages.shape, dtype=FP8, device="cuda"), random(L, kind=kind, std=300.0)
    ops.write_latent(*call[:2], large, *call[3:], slots, rounded)
    after.zero_().view(-1, L + R)[slots[kept]] = ops.latent_rows(*call[:2], large, *call[3:])[1][kept]
    assert after.abs().max() > 448 or not kept.any(), "some values are larger than fp8 holds"
    assert torch.equal(rounded.view(torch.uint8), latent.kept(after, FP8).view(torch.uint8))


SAMPLING = [  # temperature, top_k, top_p, min_p
    (1.0, 0, 1.0, 0.0),
    (0.0, 0, 1.0, 0.0),
    (0.6, 50, 0.95, 0.0),
    (1.3, 0, 0.9, 0.0),
    (1.0, 0, 1.0, 0.05),
    (1.8, 100_000, 0.99, 1e-4),
    (1e-6, 0, 1.0, 0.0),
]


@pytest.mark.parametrize("filters", [False, True], ids=["without filters", "with filters"])
@pytest.mark.parametrize("rows", [1, 33, 256])
def test_drawn_rows_from_a_graph(rows, filters):
    """Against `token_probabilities`, row by row in fp64 on the CPU; every eighth row has NaN and gets no token."""
    chosen = [SAMPLING[(b + (2 if rows == 1 and filters else 0)) % len(SAMPLING)] for b in range(rows)]
    kinds = (torch.float32, torch.int64, torch.float32, torch.float32)
    columns = [torch.tensor(column, dtype=kind, device="cuda") for column, kind in zip(zip(*chosen, strict=True), kinds, strict=True)]
    logits, uniforms = random(rows, W, kind="bfloat16"), torch.zeros(rows, dtype=torch.float64, device="cuda")
    excluded, function = 163_605, operations("bfloat16").draw_rows

    def draw():
        return function(logits, uniforms, *(columns if filters else columns[:1]), excluded=excluded)

    draw()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = draw()
    for std in (0.5, 3.0):
        logits.copy_(random(rows, W, kind="bfloat16", std=std))
        logits[:, excluded] = 30.0
        logits[7::8, 100_000] = float("nan")
        uniforms.uniform_()
        graph.replay()
        first = found.clone()
        left, probs = logits.index_fill(1, torch.tensor(excluded, device="cuda"), float("-inf")), []
        for row, parameters in zip(left, chosen, strict=True):
            temperature, top_k, top_p, min_p = parameters if filters else (parameters[0], 0, 1.0, 0.0)
            if row.isnan().any():
                probs.append(torch.zeros(W, dtype=torch.float64))
            elif temperature == 0:
                probs.append(torch.nn.functional.one_hot(row.cpu().argmax(), W).double())
            else:
                given = {"temperature": float(torch.tensor(temperature)), "top_p": float(torch.tensor(top_p))}  # as rounded to fp32
                probs.append(sampling.token_probabilities(row, **given, top_k=top_k, min_p=min_p))
        assert_drawn(first.cpu(), probs, uniforms.cpu())
        graph.replay()
        assert torch.equal(found, first), "the same twice"


@pytest.mark.parametrize("rows", [1, 256])
def test_weighed_rows_of_the_official_vocabulary(rows):
    """Rows with and without penalties and biases, in a table of which they are the first."""
    logits = random(rows, W, kind="bfloat16", std=3.0)
    met = torch.randint(0, 4, (rows + 1, W), dtype=torch.int32, device="cuda")[:rows]
    which = torch.arange(rows, device="cuda") % 4
    repetition, presence, frequency = 1 + 0.3 * (which == 0), 0.5 * (which == 1), 0.25 * (which < 2)
    biased = torch.stack([torch.randperm(W, device="cuda")[:1024] for _ in range(rows)]).int()
    biased[which == 3] = -1
    biased[:, 300:] = -1
    call = logits, met, *(x.float() for x in (repetition, presence, frequency)), biased, torch.randn(rows, 1024, device="cuda")
    torch.testing.assert_close(operations("bfloat16").weigh_rows(*call), sampling.weigh_rows(*call), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("patches", [1, 4096, 16_390])
def test_rotated_queries_and_keys_of_the_tower(patches, kind):
    angles = torch.rand(patches, 36, device="cuda") * 100
    call = random(patches, 3, 16, 72, kind=kind), angles.cos(), angles.sin()
    for found, expected in zip(operations(kind).rotate_qk(*call), rotary.rotate_qk(*call), strict=True):
        assert_near(found, expected, limit(kind))


def test_half_precision_on_a_gpu_chooses_the_kernels():
    chosen = {v.operation: v.name for v in explain(torch.device("cuda"), torch.bfloat16) if v.chosen}
    for operation in (
        "rms_norm",
        "add_rms_norm",
        "rotate_qk",
        "latent_rows",
        "write_latent",
        "paged_latent_attention",
        "route",
        "routed_experts",
        "gated_mlp",
        "mixture",
        "weigh_rows",
        "draw_rows",
    ):
        assert chosen[operation] == "triton"

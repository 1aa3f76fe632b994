"""The plan of an engine's memory: weights and pages to the byte, and the largest step tensor by tensor."""

import dataclasses
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kimi_vl.bench.engine import official_config, random_model
from kimi_vl.checkpoint.memory import estimate_bytes
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Engine
from kimi_vl.engine.plan import longest_context, pictures_bytes, plan, vision_bytes, workspace_bytes
from kimi_vl.errors import CapacityError
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.cache import Continued, PagedLatentCache, PagedStep
from kimi_vl.model.quantise import quantise
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops import cudnn
from kimi_vl.ops.quantised import Quantised
from kimi_vl.ops.registry import IMPLEMENTATIONS, Operations
from kimi_vl.ops.triton import (
    averages,
    expand_latents,
    expert_sums,
    expert_tiles,
    expert_vectors,
    fp8,
    gated_mlp,
    grouping,
    packed,
    routed_experts,
    swiglu_products,
)
from tests.configs import TINY

CONFIG = KimiVLConfig.from_dict(TINY)
CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.mark.parametrize("kind", [None, "int8", "fp8", "int4"])
@pytest.mark.parametrize("cache", [None, "fp8"])
def test_weights_and_pages_are_planned_to_the_byte(kind, cache):
    model = random_model(CONFIG, CPU, torch.bfloat16, kind)
    weights = estimate_bytes(CONFIG, torch.bfloat16, quantised=kind)
    assert sum(x.nbytes for x in (*model.parameters(), *model.buffers())) == weights
    found = plan(CONFIG, budget=10**9, weights=weights, context=300, max_running=3, kind=kind, cache=cache)
    engine = Engine(model, found.limits, rows=True)
    assert sum(pages.nbytes for pages in engine.runner.cache.layers_GOZ) == found.cache
    assert found.limits.num_pages == 5 + 2  # a page of 64 tokens more for each of the others
    assert found.total == found.weights + found.cache + found.workspace + found.graphs


def test_steps_are_as_large_as_the_budget_lets_them_be():
    config, weights = official_config(), 17_300_000_000
    common = {"weights": weights, "context": 131_072, "kind": "int8"}
    found = {budget: plan(config, budget=budget * 10**9, cache="fp8", **common) for budget in (23, 24, 80)}
    assert [found[budget].limits.step_tokens for budget in (23, 24, 80)] == sorted(p.limits.step_tokens for p in found.values())
    assert found[23].limits.step_tokens < found[80].limits.step_tokens == 131_072
    assert all(p.total <= budget * 0.98e9 for budget, p in found.items())
    larger = dataclasses.replace(found[24].limits, step_tokens=2 * found[24].limits.step_tokens)
    more = workspace_bytes(config, larger.step_tokens, 1, context=131_072, kind="int8") - found[24].workspace
    assert found[24].total + more > 24 * 0.98e9
    assert plan(config, budget=80 * 10**9, **common).cache == 2 * found[80].cache


@pytest.mark.parametrize(("cache", "context"), [("fp8", 131_072), (None, 120_000)])
def test_16_gb_hold_the_longest_context_with_experts_in_int4_and_rows_in_fp8(cache, context):
    config, common = official_config(), {"budget": 16 * 10**9, "kind": "int4", "max_running": 8}
    weights = estimate_bytes(config, torch.bfloat16, quantised="int4")
    assert weights == 10_287_385_824
    assert plan(config, weights=weights, context=context, cache=cache, **common).total < 0.98 * 16e9
    if cache is None:
        with pytest.raises(CapacityError, match=r"131,072 tokens do not fit into 16\.00 GB"):
            plan(config, weights=weights, context=131_072, **common)


def test_what_does_not_fit_is_refused_with_the_bytes_of_every_part():
    with pytest.raises(CapacityError, match=r"131,072 tokens do not fit into 16\.00 GB: in steps of 1,024 .*weights 17\.30, cache 2\.04"):
        plan(official_config(), budget=16 * 10**9, weights=17_300_000_000, context=131_072, kind="int8", cache="fp8")


class Live(TorchDispatchMode):
    """The most bytes of tensors that lived at once, those that were there before not counted."""

    def __init__(self, before):
        super().__init__()
        self._known, self._now, self.most = {x.untyped_storage()._cdata for x in before}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for storage in [x.untyped_storage() for x in tree_leaves(out) if isinstance(x, torch.Tensor)]:
            if storage._cdata not in self._known:
                self._known.add(storage._cdata)
                self._now += storage.nbytes()
                weakref.finalize(storage, self._left, storage._cdata, storage.nbytes())
        self.most = max(self.most, self._now)
        return out

    def _left(self, place, size):
        self._known.discard(place)
        self._now -= size


class NoKernel:
    """Allocates nothing and computes nothing: shapes are all that counts here."""

    def __getitem__(self, grid):
        return lambda *args, **options: None


@pytest.fixture
def official(monkeypatch):
    """The first three layers of the official decoder on no device, with the implementations of a GPU."""
    for module in (averages, expand_latents, expert_sums, expert_tiles, expert_vectors, fp8, gated_mlp, grouping, packed, swiglu_products):
        for name in [name for name in vars(module) if name.endswith("_kernel")]:
            monkeypatch.setattr(module, name, NoKernel())
    for module in (gated_mlp, routed_experts):
        monkeypatch.setattr(module, "has_grouped_mm", lambda device, dtype: True)
    monkeypatch.setattr(swiglu_products, "TensorDescriptor", lambda *args: None)
    monkeypatch.setattr(fp8, "taken", lambda x, *weights: list(weights) if all(_is_fp8(weight) for weight in weights) else [])
    text = official_config().text_config
    sizes = (text.intermediate_size, text.n_shared_experts * text.moe_intermediate_size)
    both = {size: torch.empty(2 * size, text.hidden_size, dtype=torch.bfloat16, device=META) for size in sizes}
    # The loader lays gate and up behind each other; what was written out lies anywhere.
    monkeypatch.setattr(gated_mlp, "adjacent", lambda gate, up: both[up.shape[0]] if isinstance(up, torch.nn.Parameter) else None)
    text = dataclasses.replace(official_config().text_config, num_hidden_layers=3)
    config = dataclasses.replace(official_config(), text_config=text)
    model = KimiVLForConditionalGeneration(config, device="meta", dtype=torch.bfloat16).requires_grad_(False)
    chosen = {i.operation: i.function for i in reversed(IMPLEMENTATIONS)}
    chosen |= {i.operation: i.function for i in IMPLEMENTATIONS if i.name == "triton"}
    chosen |= {"varlen_attention": cudnn.varlen_attention_cudnn, "expanded_latent_attention": cudnn.expanded_latent_attention_cudnn}
    chosen["gated_mlp"] = gated_mlp.gated_mlp
    chosen["mixture"] = lambda *args, routed_experts: MIXTURE(*args)
    model.ops = Operations(**{field.name: chosen[field.name] for field in dataclasses.fields(Operations)})
    return model


def _is_fp8(weight):
    return isinstance(weight, Quantised) and weight.values.dtype == torch.float8_e4m3fn


MIXTURE = routed_experts.mixture  # inside of the operator, whose tensors a mode does not see


def most_bytes(model, tokens, context, cache):
    """Of a step that computes the last tokens of a context, and the logits behind them."""
    pages = -(-context // 64)
    kept = PagedLatentCache(model.config.text_config, pages, 64, dtype=torch.bfloat16, device=META, kind=cache)
    with torch.inference_mode(), Live([*model.parameters(), *model.buffers(), *kept.layers_GOZ]) as live:
        numbers = [torch.empty(tokens, dtype=torch.int64, device=META) for _ in range(2)]
        boundaries = torch.empty(2, dtype=torch.int32, device=META)
        fresh = tokens == context
        continued = () if fresh else (Continued(tokens, context, torch.empty(pages, dtype=torch.int64, device=META)),)
        kept.begin(PagedStep(numbers[0], tokens if fresh else 0, boundaries[None, :0], boundaries[:1], boundaries[:0], continued))
        layout = TokenLayout(numbers[1], boundaries, tokens, (tokens,) if fresh else ())
        embedded = torch.empty(tokens, model.config.text_config.hidden_size, dtype=torch.bfloat16, device=META)
        hidden, _ = model.language_model.model(embedded, layout, model.ops, kept)
        model.language_model.lm_head(hidden[-1:]).float()
    return live.most


@pytest.mark.parametrize(
    ("kind", "tokens", "context", "least"),
    [
        (None, 131_072, 131_072, 0.98),
        (None, 65_000, 65_000, 0.98),  # padded
        (None, 16_384, 131_008, 0.98),
        (None, 65_536, 131_072, 0.85),  # a fresh prompt of 65,535 takes more
        (None, 1535, 32_000, 0.95),  # by the flash kernel
        ("int8", 131_072, 131_072, 0.98),
        ("int8", 16_384, 131_008, 0.98),
        ("int8", 1024, 131_008, 0.98),
        ("int4", 16_384, 131_008, 0.98),
        ("int4", 1024, 131_008, 0.98),
        ("fp8", 8192, 131_008, 0.98),
        ("fp8", 1024, 32_000, 0.95),
    ],
)
def test_the_workspace_is_what_the_tensors_of_the_largest_step_take(official, kind, tokens, context, least):
    if kind:
        quantise(official.language_model, kind)
    planned = workspace_bytes(official.config, tokens, 1, context=context, kind=kind)
    assert least * planned <= most_bytes(official, tokens, context, "fp8" if kind else None) <= 1.005 * planned


@pytest.mark.parametrize("grid", [(128, 128), (48, 64)])
def test_what_pictures_take_is_counted_from_the_towers_widest_tensors(official, grid):
    # The kernel returns queries and keys; its reference computes in fp32, which no GPU does.
    halves = {"rotate_qk": lambda qkv, cos, sin: (torch.empty_like(qkv[:, 0]), torch.empty_like(qkv[:, 1]))}
    official.ops = dataclasses.replace(official.ops, **halves)
    patches = grid[0] * grid[1]
    with torch.inference_mode(), Live([*official.parameters(), *official.buffers()]) as live:
        official.image_features(torch.empty(patches, 3, 14, 14, dtype=torch.bfloat16, device=META), [grid])
    assert 0.95 * vision_bytes(official.config, patches) <= live.most <= 1.005 * vision_bytes(official.config, patches)


def test_a_batch_takes_pages_for_all_and_a_steps_work_for_one():
    config, common = official_config(), {"budget": 80 * 10**9, "weights": 33 * 10**9, "context": 4096, "most": 8192}
    alone, eight = plan(config, **common), plan(config, **common, together=8 * 4096, max_running=8)
    assert eight.limits.num_pages == 8 * alone.limits.num_pages + 7
    assert eight.limits.step_tokens == 8192 == 2 * alone.limits.step_tokens
    seen = plan(config, **common, patches=(400_000, 16_384))
    assert seen.workspace == pictures_bytes(config, seen.limits.step_tokens, 400_000, 16_384) > alone.workspace


@pytest.mark.parametrize(("most", "limit", "found"), [(1000, 2000, 1000), (1000, 999, 960), (1000, 640, 640), (1000, 63, 0), (10, 5, 0)])
def test_the_longest_context_is_the_last_that_fits(most, limit, found):
    assert longest_context(most, lambda tokens: tokens <= limit) == found

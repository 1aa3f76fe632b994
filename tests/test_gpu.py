"""The whole model on an NVIDIA GPU against the CPU. Run with `make test-gpu`."""

import contextlib
import dataclasses
import gc
from pathlib import Path

import pytest
import torch

from kimi_vl import KimiVL
from kimi_vl.bench.engine import official_config, random_model
from kimi_vl.checkpoint.memory import estimate_bytes
from kimi_vl.engine import BatchEngine, BatchPrompt, Engine, Generation, Limits, SamplingParams
from kimi_vl.engine.plan import plan
from kimi_vl.engine.prompts import RecordedPrompts
from kimi_vl.engine.recording import Recordings
from kimi_vl.model.cache import PagedLatentCache
from kimi_vl.ops.registry import IMPLEMENTATIONS, explain

pytestmark = pytest.mark.gpu

RECEIPT = Path(__file__).parents[1] / "examples" / "receipt.png"


def test_half_precision_on_a_gpu_chooses_cudnn_where_it_takes_the_decoders_heads_and_flash_elsewhere():
    chosen = {v.operation: v.name for v in explain(torch.device("cuda"), torch.bfloat16) if v.chosen}
    is_able = torch.cuda.get_device_capability()[0] in (9, 10) and torch.backends.cudnn.version() >= 91100
    assert chosen["varlen_attention"] == ("cudnn" if is_able else "flash")


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


@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {"temperature": 0.8, "seed": 3, "thinking": "on", "max_thinking_tokens": 8}], ids=str
)
def test_a_question_is_answered_by_the_engine_as_by_the_plain_path_in_fp32(options):
    torch.backends.cuda.matmul.allow_tf32 = False
    llm = KimiVL.load(device="cuda", dtype="float32")
    by_engine = [llm.ask(question, media=[RECEIPT], max_tokens=60, **options) for question in QUESTIONS]
    assert llm._desk is not None
    assert llm._desk.engine.scheduler.is_idle  # a step that was launched ahead may still be under way
    llm._uses_engine = False
    assert by_engine == [llm.ask(question, media=[RECEIPT], max_tokens=60, **options) for question in QUESTIONS]


def test_a_question_has_the_same_answer_before_and_after_its_steps_are_recorded():
    llm = KimiVL.load(device="cuda", dtype="bfloat16")
    found = [llm.ask(QUESTIONS[3], media=[RECEIPT], temperature=0.8, seed=3, max_tokens=60) for _ in range(4)]
    assert all(answer == found[0] for answer in found)
    assert all(recorded is not None for recorded in llm._desk.engine.runner._recordings._graphs.values())


def test_nano_reads_the_receipt_with_tokens_and_weights_in_fp8():
    question = "What do the rye bread and the cheddar cost together?"
    assert KimiVL.load(device="cuda", dtype="bfloat16", quantize="fp8").ask(question, media=[RECEIPT], temperature=0.0).text == "8.05"


QUESTIONS = ["Read the text.", "Total?", "What is the date?", "What do the rye bread and the cheddar cost together?"]


def questions(llm):
    """Prompts about the receipt, one without it, and one of twice its length; the token that ends an answer."""
    prompts = []
    for question, pictures in [*((q, 1) for q in QUESTIONS), ("Hello", 0), (QUESTIONS[3], 2)]:
        content = [{"type": "image", "image": RECEIPT}] * pictures + [{"type": "text", "text": question}]
        prompt = llm.processor.prompt([{"role": "user", "content": content}])
        prompts.append(BatchPrompt(prompt.input_ids, prompt.pixel_values, prompt.image_grid_hws))
    return prompts, sorted(llm.processor.tokenizer.end_ids)


def answers(model, prompts, end_ids, *, graphs, rows=8, compiled=False, **options):
    engine = BatchEngine(model, rows=rows, capacity=2048, end_ids=end_ids, graphs=graphs, compiled=compiled)
    return [sampled for row in engine.generate(prompts, max_tokens=150, **options) for sampled in row]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.8, "seed": 3}, {"temperature": 1.0, "top_p": 0.9, "seed": 4}], ids=str)
def test_recorded_steps_give_the_tokens_of_plain_steps(dtype, options):
    llm = KimiVL.load(device="cuda", dtype=dtype)
    llm.model.choose_implementations({"routed_experts": "dense"})  # what a recording uses
    prompts, end_ids = questions(llm)
    plain = answers(llm.model, prompts, end_ids, graphs=False, samples=2, **options)
    recorded = answers(llm.model, prompts, end_ids, graphs=True, samples=2, **options)
    assert [a.token_ids for a in recorded] == [a.token_ids for a in plain]
    assert {a.finish_reason for a in recorded} == {a.finish_reason for a in plain}
    for one, other in zip(recorded, plain, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)


def test_recorded_fp32_steps_give_the_tokens_of_the_cpu():
    torch.backends.cuda.matmul.allow_tf32 = False
    cpu, gpu = KimiVL.load(device="cpu", dtype="float32"), KimiVL.load(device="cuda", dtype="float32")
    prompts, end_ids = questions(cpu)
    options = {"samples": 2, "temperature": 0.7, "seed": 5}
    expected = answers(cpu.model, prompts, end_ids, graphs=False, **options)
    found = answers(gpu.model, prompts, end_ids, graphs=True, rows=3, **options)
    same = [one.token_ids == other.token_ids for one, other in zip(found, expected, strict=True)]
    assert sum(same) >= len(same) - 1  # a draw may fall between two tokens within fp32 noise
    for one, other in zip(found, expected, strict=True):
        if one.token_ids == other.token_ids:
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)


@pytest.mark.filterwarnings("ignore:TensorFloat32")  # inductor's advice; the router's fp32 product must not be rounded
def test_recorded_compiled_steps_give_the_tokens_of_plain_steps():
    llm = KimiVL.load(device="cuda", dtype="bfloat16")
    llm.model.choose_implementations({"routed_experts": "dense"})
    prompts, end_ids = questions(llm)
    plain = answers(llm.model, prompts, end_ids, graphs=False)
    compiled = answers(llm.model, prompts, end_ids, graphs=True, compiled=True)
    same = [one.token_ids == other.token_ids for one, other in zip(compiled, plain, strict=True)]
    assert sum(same) >= len(same) - 1  # fused kernels round less often, which may turn one near-tie


def test_every_gpu_of_the_machine_gives_the_same_answers():
    found = []
    for number in range(torch.cuda.device_count()):
        llm = KimiVL.load(device=f"cuda:{number}", dtype="float32")
        prompts, end_ids = questions(llm)
        found.append([sampled.token_ids for sampled in answers(llm.model, prompts, end_ids, graphs=None)])
    assert all(answer == found[0] for answer in found)


def test_recorded_steps_read_the_weights_that_are_there_now():
    llm = KimiVL.load(device="cuda", dtype="bfloat16")
    prompts, end_ids = questions(llm)
    engine = BatchEngine(llm.model, rows=6, capacity=2048, end_ids=end_ids)
    before = engine.generate(prompts, max_tokens=20)
    matrix = llm.model.language_model.lm_head.weight
    with torch.no_grad():
        matrix.copy_(matrix.roll(1, dims=0))  # in place: every token becomes the next one
    rolled = engine.generate(prompts, max_tokens=1)
    assert [row[0].token_ids[0] for row in rolled] == [row[0].token_ids[0] + 1 for row in before]
    matrix.data = matrix.roll(-1, dims=0)  # moved: recordings must not read the old place
    again = engine.generate(prompts, max_tokens=20)
    assert [row[0].token_ids for row in again] == [row[0].token_ids for row in before]


def engine_answers(model, prompts, end_ids, params, **options):
    """All prompts at once through the engine of many requests."""
    limits = Limits(
        num_pages=200,
        page_size=64,
        max_running=8,
        step_tokens=4096,
        cache=options.pop("cache", None),
        draft_tokens=options.pop("draft_tokens", 0),
    )
    records_prompts = options.pop("records_prompts", True)
    engine = Engine(model, limits, **options)
    if not records_prompts:
        engine.runner._prompts = None
    requests = []
    for prompt in prompts:
        images = None if prompt.pixel_values is None else (prompt.pixel_values, prompt.image_grid_hws)
        requests += engine.submit(prompt.input_ids, params, end_ids=end_ids, images=images)
    while not engine.is_idle:
        for event in engine.step():
            assert event.error is None, event.error
    engine.check_integrity()
    assert engine.scheduler.pool.num_available == limits.num_pages
    return [request.answer_ids for request in requests]


def test_the_engine_of_many_requests_gives_the_answers_of_one_by_one_in_fp32():
    torch.backends.cuda.matmul.allow_tf32 = False
    llm = KimiVL.load(device="cuda", dtype="float32")
    prompts, end_ids = questions(llm)
    params = SamplingParams(max_tokens=100)
    expected = []
    for prompt in prompts:
        images = None if prompt.pixel_values is None else (prompt.pixel_values, prompt.image_grid_hws)
        generation = Generation(llm.model, prompt.input_ids, params, end_ids=end_ids, images=images)
        tokens = list(generation)
        expected.append((tokens, generation.finish_reason))
    for rows in (False, True):
        found = engine_answers(llm.model, prompts, end_ids, params, rows=rows)
        assert [tokens[: len(one)] for tokens, (one, _) in zip(found, expected, strict=True)] == [one for one, _ in expected]


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(max_tokens=100),
        SamplingParams(max_tokens=100, temperature=0.8, top_p=0.9, seed=3),
        SamplingParams(max_tokens=100, temperature=0.8, seed=3, frequency_penalty=0.5, repetition_penalty=1.1, logit_bias=((7, 2.0),)),
        SamplingParams(max_tokens=100, temperature=0.8, seed=3, presence_penalty=0.5, top_k=50, logprobs=5),
    ],
    ids=str,
)
def test_recorded_rows_give_the_tokens_of_rows_that_are_not(params):
    llm = KimiVL.load(device="cuda", dtype="bfloat16")
    prompts, end_ids = questions(llm)
    plain = engine_answers(llm.model, prompts, end_ids, params, rows=True, graphs=False, fused=True)
    # A recorded prompt is computed with padding behind it, which may turn a near-tie.
    recorded = engine_answers(llm.model, prompts, end_ids, params, rows=True, graphs=True, records_prompts=False)
    assert recorded == plain


def test_recorded_rows_over_a_cache_in_fp8_give_the_tokens_of_rows_that_are_not():
    llm = KimiVL.load(device="cuda", dtype="bfloat16")
    prompts, end_ids = questions(llm)
    found = {}
    for graphs in (False, True):
        options = {"rows": True, "graphs": graphs, "fused": True, "records_prompts": False, "cache": "fp8"}
        found[graphs] = engine_answers(llm.model, prompts, end_ids, SamplingParams(max_tokens=100), **options)
    assert found[True] == found[False]


@contextlib.contextmanager
def capped(num_bytes):
    """torch may hold so much more than it does, and no more."""
    gc.collect()
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + num_bytes) / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize(("kind", "cache"), [(None, None), ("int8", "fp8"), ("int4", "fp8")])
def test_an_engine_keeps_to_its_plan(kind, cache):
    """With three layers of the official sizes, where a step's work is a large part of the whole. What recorded steps hold is not in use
    while they do not run; and what torch holds between tensors it gives back when there is no more."""
    text = dataclasses.replace(official_config().text_config, num_hidden_layers=3)
    config, context = dataclasses.replace(official_config(), text_config=text), 40_000
    weights = estimate_bytes(config, torch.bfloat16, quantised=kind)
    found = plan(config, budget=9 * 10**9, weights=weights, context=context, kind=kind, cache=cache)
    with capped(1.05 * found.total):
        before = torch.cuda.memory_allocated()
        model = random_model(config, torch.device("cuda"), torch.bfloat16, kind)
        torch.cuda.reset_peak_memory_stats()
        engine = Engine(model, found.limits, feature_tokens=0)
        for length in (2048, context - 8):
            engine.submit(torch.randint(10, 1000, (length,)).tolist(), SamplingParams(max_tokens=8), end_ids=())
            while not engine.is_idle:
                assert not [event.error for event in engine.step() if event.error]
        in_use = torch.cuda.max_memory_allocated() - before
    assert abs(in_use - (found.total - found.graphs)) <= 0.05 * found.total, (in_use, found)


@pytest.mark.parametrize("params", [SamplingParams(max_tokens=60), SamplingParams(max_tokens=60, temperature=0.8, seed=3)], ids=str)
def test_recorded_drafts_give_the_tokens_of_those_that_are_not(params, monkeypatch):
    """Proposed is what was said without drafts, with mistakes: most of it is right, and verified in rows of another batch."""
    llm = KimiVL.load(device="cuda", dtype="bfloat16")
    prompts, end_ids = questions(llm)
    for asked in ([prompts[3]], prompts[:2]):
        options = {"rows": True, "records_prompts": False}
        without = engine_answers(llm.model, asked, end_ids, params, **options)
        texts = [[*prompt.input_ids, *said] for prompt, said in zip(asked, without, strict=True)]
        proposed = []

        class Oracle:
            def proposal(self, token_ids, most, texts=texts, proposed=proposed):
                known = [text for text in texts if text[: len(token_ids)] == token_ids]
                draft = known[0][len(token_ids) : len(token_ids) + most] if known else []
                proposed.append(draft)
                return [token if (len(token_ids) + k) % 5 else 7 for k, token in enumerate(draft)]

        monkeypatch.setattr("kimi_vl.engine.engine.Lookup", Oracle)
        plain = engine_answers(llm.model, asked, end_ids, params, **options, draft_tokens=3, graphs=False, fused=True)
        recorded = engine_answers(llm.model, asked, end_ids, params, **options, draft_tokens=3)
        assert recorded == plain
        assert any(proposed)
        # A token drawn beside others may fall differently within half precision, and all behind it with it.
        alike = [one[: len(other) // 2] == other[: len(other) // 2] for one, other in zip(recorded, without, strict=True)]
        assert any(alike)


def places(count):
    """Pages of 64 in no order, and where each of so many tokens lies in them."""
    pages = torch.randperm(19)[: -(-count // 64)]
    tokens = torch.arange(count)
    return pages.tolist(), (pages[tokens // 64] * 64 + tokens % 64).numpy()


@pytest.mark.parametrize("count", [1, 64, 65, 700])
@torch.inference_mode()
def test_a_recorded_prompt_gives_the_logits_of_one_that_is_not(count):
    model = KimiVL.load(device="cuda", dtype="bfloat16").model
    cache = PagedLatentCache(model.config.text_config, 20, 64, dtype=model.dtype, device=model.device)
    prompts = RecordedPrompts(model, cache, 19 * 64, Recordings())
    for _ in range(3):  # launched, recorded, replayed
        ids = torch.randint(10, 1000, (count,), device="cuda")
        pages, slots = places(count)
        found = prompts.run(model.embed(ids, None), slots, pages)
        expected, packed = model.prefill(ids, [count])
        assert float((found - expected).abs().max()) < 5e-2 * float(expected.abs().max())
        kept = torch.stack([layer_GOZ.view(-1, layer_GOZ.shape[-1])[slots] for layer_GOZ in cache.layers_GOZ])
        assert float((kept - packed.rows_NSZ).abs().max()) < 5e-2 * float(packed.rows_NSZ.abs().max())


@pytest.mark.parametrize("count", [65, 700])
@torch.inference_mode()
def test_a_recorded_prompt_in_fp8_gives_nearly_the_logits_of_one_that_is_not(count):
    """Padding may change a product's last bits, and these what a value is rounded to; weights in fp8 alone change nano's logits by 11 %."""
    model = KimiVL.load(device="cuda", dtype="bfloat16", quantize="fp8").model
    cache = PagedLatentCache(model.config.text_config, 20, 64, dtype=model.dtype, device=model.device)
    prompts = RecordedPrompts(model, cache, 19 * 64, Recordings())
    for _ in range(3):  # launched, recorded, replayed
        ids = torch.randint(10, 1000, (count,), device="cuda")
        pages, slots = places(count)
        found = prompts.run(model.embed(ids, None), slots, pages)
        expected, _ = model.prefill(ids, [count])
        assert float((found - expected).norm() / expected.norm()) < 0.15


BATCHED = [i for i in IMPLEMENTATIONS if i.operation == "batched_latent_attention"]


@pytest.mark.parametrize("name", [i.name for i in BATCHED])
def test_every_batched_attention_decodes_like_the_reference(name):
    """At nano's widths, with rows of 1 to 700 tokens in a window that ends inside the cache."""
    torch.manual_seed(0)
    q_latent, q_rope = torch.randn(64, 5, 160, device="cuda").bfloat16().split([128, 32], dim=-1)
    rows_BSZ = torch.randn(64, 1024, 160, device="cuda").bfloat16()[:, :768]
    lengths_B = torch.randint(1, 701, (64,), device="cuda")
    [function] = [i.function for i in BATCHED if i.name == name]
    [reference] = [i.function for i in BATCHED if i.name == "reference"]
    found = function(q_latent, q_rope, rows_BSZ, lengths_B, scale=0.125)
    expected = reference(q_latent, q_rope, rows_BSZ, lengths_B, scale=0.125)
    assert float((found - expected).abs().max()) < 1.2e-2 * float(expected.abs().max())

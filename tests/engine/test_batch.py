"""The batched engine against `Generation`, the plain path, and against the definition: the whole sequence in one forward."""

import math
from functools import partial
from itertools import chain

import pytest
import torch

from kimi_vl.engine import BatchEngine, BatchPrompt, Generation, SamplingParams, batch
from kimi_vl.errors import CapacityError, CheckpointError, InputError, PromptTooLong
from kimi_vl.model.tokens import TokenLayout
from tests.parity.networks import Case
from tests.parity.tiny_reference import make_inputs, resized

LOGPROB = 1e-4  # fp32 noise of a tiny network, 2e-5, divided by the temperature
END_IDS = range(40, 60)  # of 512, so that answers end at different steps, and some do not


@pytest.fixture(scope="module", params=[1, 2])
def case(request):
    """Random weights with logits as decided as a trained network's: near-ties would tell fp32 noise, not mistakes."""
    return Case(resized(vision={"init_pos_emb_height": 7}), [(2, 2)], seed=request.param, output_gain=3.0)


@pytest.fixture
def model(case):
    return case.model()


def mixed_prompts(config, *, seed=0):
    """Prompts of 1 to 120 tokens, the longest close below an attention window of 128, with no image, one or three."""
    grids = [[], [(4, 6)], [(2, 2), (6, 8), (2, 6)], [], [(8, 8)]]
    prompts = [BatchPrompt([11 + seed]), BatchPrompt(list(range(100, 220)))]
    for index, grid_hws in enumerate(grids):
        ids, pixels = make_inputs(config, grid_hws, seed + index)
        prompts.append(BatchPrompt(ids.tolist(), pixels, grid_hws) if grid_hws else BatchPrompt(ids.tolist()))
    return prompts


def one_by_one(model, prompt, *, end_ids, max_tokens):
    """Token ids, the end token included, and the reason, by the plain path."""
    images = None if prompt.pixel_values is None else (prompt.pixel_values, prompt.image_grid_hws)
    ids = list(prompt.input_ids)
    generation = Generation(model, ids, SamplingParams(max_tokens=max_tokens), end_ids=end_ids, images=images)
    tokens = list(generation)
    return tokens, generation.finish_reason, generation.num_tokens


@torch.inference_mode()
def full_logits(model, prompt, token_ids):
    """The logits that each token of an answer was drawn from, fp32 [tokens, W], from one forward over everything."""
    images, language = (prompt.pixel_values, prompt.image_grid_hws), model.language_model
    features_MD = None if images[0] is None else model.image_features(*images)
    prompt_TD = model.embed(torch.tensor(prompt.input_ids), features_MD)
    answer_TD = language.model.embed_tokens(torch.tensor(token_ids))
    tokens = TokenLayout.of([len(prompt.input_ids) + len(token_ids)])
    hidden_TD, _ = language.model(torch.cat((prompt_TD, answer_TD)), tokens, model.ops)
    logits_TW = language.lm_head(hidden_TD)[len(prompt.input_ids) - 1 : -1]
    logits_TW[:, model.config.media_placeholder_token_id] = -math.inf
    return logits_TW


def token_ids(answers):
    """Without the log-probabilities, whose last digits depend on how sums are cut."""
    return [[answer.token_ids for answer in row] for row in answers]


def near(found, expected):
    return found == pytest.approx(expected, abs=LOGPROB)


@pytest.mark.parametrize(("rows", "look_every"), [(1, 16), (3, 1), (3, 5), (16, 16), (40, 3)])
def test_greedy_answers_equal_those_given_one_by_one(model, case, monkeypatch, rows, look_every):
    monkeypatch.setattr(batch, "LOOK_EVERY", look_every)
    prompts = mixed_prompts(case.config, seed=case.seed)
    engine = BatchEngine(model, rows=rows, capacity=300, end_ids=END_IDS)
    answers = engine.generate(prompts, samples=2, max_tokens=24)
    reasons = set()
    for prompt, pair in zip(prompts, answers, strict=True):
        tokens, reason, count = one_by_one(model, prompt, end_ids=END_IDS, max_tokens=24)
        reasons.add(reason)
        logits = full_logits(model, prompt, pair[0].token_ids)
        for answer in pair:
            assert (answer.finish_reason, len(answer.token_ids)) == (reason, count)
            assert answer.token_ids[: len(tokens)] == tokens
            assert (answer.token_ids[-1] in END_IDS) == (reason == "stop")
            picked = logits.log_softmax(-1).gather(1, torch.tensor(answer.token_ids)[:, None])[:, 0]
            assert near(answer.logprobs, picked.tolist())
    assert reasons == {"stop", "length"}


@pytest.mark.parametrize("limits", [(1, 1), (90, 10_000), (10_000, 40)], ids=["alone", "few tokens", "few patches"])
def test_how_prompts_are_packed_for_prefill_changes_no_answer(model, case, monkeypatch, limits):
    prompts = mixed_prompts(case.config)
    engine = BatchEngine(model, rows=5, capacity=130, end_ids=END_IDS)
    expected = token_ids(engine.generate(prompts, samples=2, max_tokens=8))
    monkeypatch.setattr(batch, "PREFILL_TOKENS", limits[0])
    monkeypatch.setattr(batch, "PREFILL_PATCHES", limits[1])
    assert token_ids(engine.generate(prompts, samples=2, max_tokens=8)) == expected


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_log_probabilities_are_those_of_the_distribution_drawn_from(model, case, top_p):
    prompts = mixed_prompts(case.config)
    answers = BatchEngine(model, rows=4, capacity=130, end_ids=END_IDS).generate(
        prompts, samples=2, temperature=0.8, top_p=top_p, max_tokens=12, seed=5
    )
    for prompt, row in zip(prompts, answers, strict=True):
        for answer in row:
            for token, logprob, logits_W in zip(
                answer.token_ids, answer.logprobs, full_logits(model, prompt, answer.token_ids), strict=True
            ):
                probs_W = (logits_W.double() / 0.8).softmax(-1)
                ranked = probs_W.sort(descending=True).values
                # Tokens before the one that crosses top_p, itself included, share all of the mass.
                kept = ranked[: int((ranked.cumsum(0) < top_p).sum()) + 1]
                assert probs_W[token] >= kept[-1] - 1e-6
                assert logprob == pytest.approx(math.log(probs_W[token] / kept.sum()), abs=LOGPROB)


def test_a_seed_gives_the_same_answers_again_whatever_the_rows_and_the_neighbours(model, case):
    prompts = mixed_prompts(case.config)

    def answers(prompts, *, rows, seed):
        engine = BatchEngine(model, rows=rows, capacity=130, end_ids=END_IDS)
        return token_ids(engine.generate(prompts, samples=3, temperature=1.0, max_tokens=10, seed=seed))

    first = answers(prompts, rows=21, seed=7)
    assert answers(prompts, rows=21, seed=7) == answers(prompts, rows=2, seed=7) == first
    assert answers(prompts[:2], rows=4, seed=7) == first[:2]
    assert answers(prompts, rows=21, seed=8) != first
    assert len({tuple(ids) for ids in first[1]}) == 3  # the samples of a prompt differ
    twins = answers([prompts[1], prompts[1]], rows=6, seed=7)
    assert twins[0] != twins[1]


def chi_square_is_usual(counts, probabilities):
    """Pearson's statistic within four standard deviations of its mean; cells that expect fewer than five are joined."""
    total, pairs = sum(counts), sorted(zip(probabilities, counts, strict=True))
    cells, expected, count = [], 0.0, 0
    for p, n in pairs:
        expected, count = expected + p * total, count + n
        if expected >= 5:
            cells.append((expected, count))
            expected, count = 0.0, 0
    statistic = sum((n - e) ** 2 / e for e, n in cells)
    freedom = len(cells) - 1
    return abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.3, 0.8)])
def test_answers_are_distributed_as_the_model_says(temperature, top_p):
    config = resized(text={"vocab_size": 24}) | {"media_placeholder_token_id": 23}
    model = Case(config, [], seed=4, output_gain=0.5).model()
    engine = BatchEngine(model, rows=500, capacity=8, end_ids=[])
    [answers] = engine.generate([BatchPrompt([3, 1, 4])], samples=4000, temperature=temperature, top_p=top_p, max_tokens=3, seed=1)

    def distribution(prefix):
        logits_W = full_logits(model, BatchPrompt([3, 1, 4]), [*prefix, 0])[-1]
        probs_W = (logits_W.double() / temperature).softmax(-1)
        ranked, order = probs_W.sort(descending=True)
        ranked[1:][ranked.cumsum(0)[:-1] >= top_p] = 0
        return torch.zeros_like(ranked).scatter(0, order, ranked / ranked.sum())

    first = distribution([])
    counts = torch.zeros(24, 24, 24)
    for answer in answers:
        counts[tuple(answer.token_ids)] += 1
    assert chi_square_is_usual(counts.sum((1, 2)).tolist(), first.tolist())
    joint = first[:, None] * torch.stack([distribution([token]) for token in range(24)])
    assert chi_square_is_usual(counts.sum(2).flatten().tolist(), joint.flatten().tolist())
    assert counts.sum((1, 2))[first == 0].sum() == 0
    likeliest = joint.flatten().argmax()
    third = distribution(list(divmod(int(likeliest), 24)))
    assert chi_square_is_usual(counts.flatten(0, 1)[likeliest].tolist(), third.tolist())


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers_before_any_work(tiny_model):
    engine = BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[])
    with pytest.raises(PromptTooLong, match="20 tokens and this model takes 19") as caught:
        engine.generate([BatchPrompt([1, 2]), BatchPrompt(list(range(20)))])
    assert (caught.value.num_tokens, caught.value.limit) == (20, 19)


def test_a_capacity_above_the_context_does_not_stretch_it(golden):
    model = Case(resized(text={"max_position_embeddings": 12}), [], seed=0).model()
    engine = BatchEngine(model, rows=1, capacity=1000, end_ids=[])
    with pytest.raises(PromptTooLong, match="takes 11"):
        engine.generate([BatchPrompt(list(range(12)))])
    [[answer]] = engine.generate([BatchPrompt(list(range(10)))])
    assert (len(answer.token_ids), answer.finish_reason) == (2, "length")


@pytest.mark.parametrize(("length", "room"), [(19, 1), (18, 2), (3, 17), (1, 19)])
def test_an_answer_ends_where_its_row_is_full(tiny_model, length, room):
    engine = BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[])
    answers = engine.generate([BatchPrompt(list(range(length))), BatchPrompt([7])], max_tokens=100)
    expected, _, _ = one_by_one(tiny_model, BatchPrompt(list(range(length))), end_ids=[], max_tokens=room)
    assert (answers[0][0].token_ids, answers[0][0].finish_reason) == (expected, "length")
    assert len(answers[1][0].token_ids) == 19


def test_an_end_token_that_is_the_last_allowed_one_is_a_stop(tiny_model):
    first, _, _ = one_by_one(tiny_model, BatchPrompt([5, 6, 7]), end_ids=[], max_tokens=3)
    assert len(set(first)) == 3
    for count, token in enumerate(first, start=1):
        engine = BatchEngine(tiny_model, rows=1, capacity=20, end_ids=[token])
        [[answer]] = engine.generate([BatchPrompt([5, 6, 7])], max_tokens=count)
        assert (answer.token_ids, answer.finish_reason) == (first[:count], "stop")


def test_no_prompts_give_no_answers(tiny_model):
    assert BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[]).generate([]) == []


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([BatchPrompt([])], {}, "prompt 0 is empty"),
        ([BatchPrompt([1])], {"samples": 0}, "samples is 0"),
        ([BatchPrompt([1])], {"temperature": -1.0}, "temperature is -1"),
        ([BatchPrompt([1])], {"top_p": 0.0}, "top_p is 0"),
        ([BatchPrompt([1])], {"max_tokens": 0}, "max_tokens is 0"),
        ([BatchPrompt([1])], {"seed": -1}, "seed is -1"),
        ([BatchPrompt([1]), BatchPrompt([1], image_grid_hws=[(2, 2)])], {}, "prompt 1 has pixel_values or image_grid_hws without"),
        ([BatchPrompt([1], pixel_values=torch.zeros(4, 3, 14, 14))], {}, "prompt 0 has pixel_values or image_grid_hws without"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(tiny_model, prompts, options, message):
    with pytest.raises(InputError, match=message):
        BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[]).generate(prompts, **options)


@pytest.mark.parametrize(("rows", "capacity"), [(0, 20), (2, 1), (-1, 5)])
def test_an_engine_without_room_for_a_token_is_refused(tiny_model, rows, capacity):
    with pytest.raises(InputError, match=f"{rows} rows of {capacity}"):
        BatchEngine(tiny_model, rows=rows, capacity=capacity, end_ids=[])


def test_weights_updated_in_place_are_the_weights_of_the_next_call(model, case):
    engine, prompts = BatchEngine(model, rows=3, capacity=130, end_ids=END_IDS), mixed_prompts(case.config)
    before = token_ids(engine.generate(prompts, max_tokens=6))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.9)
    after = token_ids(engine.generate(prompts, max_tokens=6))
    assert after == token_ids(BatchEngine(model, rows=3, capacity=130, end_ids=END_IDS).generate(prompts, max_tokens=6))
    assert after != before


def test_the_model_is_left_as_it_was(tiny_model):
    tiny_model.choose_implementations({"routed_experts": "loop", "varlen_attention": "reference"})
    tiny_model.requires_grad_(True)
    chosen = tiny_model.ops
    BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[]).generate([BatchPrompt([1, 2])], max_tokens=3)
    assert tiny_model.ops is chosen
    assert not torch.is_inference_mode_enabled()
    tiny_model(torch.tensor([1, 2, 3])).sum().backward()
    assert tiny_model.language_model.lm_head.weight.grad.abs().sum() > 0


def test_blocks_that_a_trainer_has_compiled_are_not_compiled_for_our_shapes(tiny_model):
    expected = token_ids(BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[]).generate([BatchPrompt([1, 2])], max_tokens=3))

    def refuse(graph_module, example_inputs):
        raise AssertionError("compiled")

    for block in [*tiny_model.vision_tower.encoder.blocks, *tiny_model.language_model.model.layers]:
        block.compile(backend=refuse, dynamic=False)
    assert token_ids(BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[]).generate([BatchPrompt([1, 2])], max_tokens=3)) == expected


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.9}], ids=str)
def test_a_step_is_one_piece_to_a_compiler_which_means_that_it_never_asks_the_host(model, case, monkeypatch, options):
    torch.compiler.reset()
    prompts = mixed_prompts(case.config)
    model.choose_implementations({"routed_experts": "dense"})
    for block in model.language_model.model.layers:
        block.compile(backend="eager", dynamic=False)  # a trainer's
    expected = BatchEngine(model, rows=3, capacity=130, end_ids=END_IDS).generate(prompts, max_tokens=12, **options)
    pieces = []

    def keep(graph_module, example_inputs):
        pieces.append(graph_module)
        return graph_module.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=keep))
    engine = BatchEngine(model, rows=3, capacity=130, end_ids=END_IDS, compiled=True)
    for _ in range(2):
        assert token_ids(engine.generate(prompts, max_tokens=12, **options)) == token_ids(expected)
        assert len(pieces) == 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite_are_an_error_and_leave_nothing_behind(model, temperature):
    engine, prompt = BatchEngine(model, rows=2, capacity=30, end_ids=[]), BatchPrompt([5, 6, 7])
    expected = token_ids(engine.generate([prompt], max_tokens=4))
    norm = model.language_model.model.norm.weight.data
    for poison in (model.language_model.model.layers[1].self_attn.kv_a_layernorm.weight.data, norm):
        kept = poison.clone()
        poison.fill_(math.nan)
        with pytest.raises(CheckpointError, match="logits are not finite; the weights are damaged"):
            engine.generate([BatchPrompt(list(range(20)))] * 2, temperature=temperature, max_tokens=4)
        poison.copy_(kept)
        assert token_ids(engine.generate([prompt], max_tokens=4)) == expected


def test_an_interrupted_call_leaves_nothing_behind(model, case, monkeypatch):
    engine, prompts = BatchEngine(model, rows=3, capacity=130, end_ids=END_IDS), mixed_prompts(case.config)
    expected = token_ids(engine.generate(prompts, samples=2, max_tokens=20))
    decode, calls = model.decode, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return decode(*args)

    monkeypatch.setattr(model, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.generate(prompts, samples=2, max_tokens=20)
    assert token_ids(engine.generate(prompts, samples=2, max_tokens=20)) == expected


def test_running_out_of_memory_says_what_would_help(tiny_model, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    engine = BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[])
    monkeypatch.setattr(tiny_model, "decode", fail)
    with pytest.raises(CapacityError, match="out of memory while generating; take fewer rows"):
        engine.generate([BatchPrompt([1, 2])])
    monkeypatch.setattr(tiny_model, "new_batch_cache", fail)
    with pytest.raises(CapacityError, match="take fewer rows or a smaller capacity"):
        BatchEngine(tiny_model, rows=2, capacity=20, end_ids=[])


def test_the_image_placeholder_is_never_said_however_likely(model, case):
    prompts = mixed_prompts(case.config)
    favoured = model.config.media_placeholder_token_id
    model.language_model.lm_head.register_forward_hook(partial(raised, token=favoured))
    engine = BatchEngine(model, rows=4, capacity=130, end_ids=END_IDS)
    for drawn in ({"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.9}):
        answers = engine.generate(prompts, max_tokens=8, **drawn)
        assert favoured not in {token for (answer,) in answers for token in answer.token_ids}
    assert favoured not in one_by_one(model, prompts[2], end_ids=[], max_tokens=8)[0]


def raised(module, args, logits_TW, *, token):
    logits_TW = logits_TW.clone()
    logits_TW[..., token] = 1000.0
    return logits_TW


def test_a_step_in_which_no_row_grows_changes_nothing(model, case, monkeypatch):
    """Recording a graph runs such steps in the middle of a call."""
    prompts = mixed_prompts(case.config)
    plain = BatchEngine(model, rows=3, capacity=130, end_ids=END_IDS)
    expected = plain.generate(prompts, samples=2, temperature=1.0, max_tokens=20)
    step = batch._Rows.step

    def warmed(rows, mode):
        grows_B = rows.cache.grows_B.clone()
        rows.cache.grows_B.zero_()
        step(rows, mode)
        step(rows, mode)
        rows.cache.grows_B.copy_(grows_B)
        step(rows, mode)

    monkeypatch.setattr(batch._Rows, "step", warmed)
    found = plain.generate(prompts, samples=2, temperature=1.0, max_tokens=20)
    assert plain._rows.cache.lengths_B.tolist() == [0, 0, 0]  # rows without a sequence cost attention as little as can be
    assert token_ids(found) == token_ids(expected)
    for answer, other in zip(chain(*found), chain(*expected), strict=True):
        assert near(answer.logprobs, other.logprobs)


@pytest.mark.parametrize("capacity", [100, 1000, 9217])
def test_the_window_holds_the_rows_and_little_more(capacity):
    windows = {length: batch._window(length, capacity) for length in range(1, capacity + 1)}
    for length, window in windows.items():
        assert length <= window <= max(min(length + 128, capacity), 1.25 * length)
    assert len(set(windows.values())) <= 4 * math.log2(capacity / 128 + 2) + 1

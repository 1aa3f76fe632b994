"""The same work cut differently gives the same numbers: packed or alone, at once or in steps, expanded or absorbed."""

import dataclasses

import pytest
import torch

from kimi_vl.errors import ShapeError
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops import rotary_angles
from kimi_vl.ops.registry import IMPLEMENTATIONS
from tests import tolerances
from tests.parity.checks import assert_within, values
from tests.parity.networks import Case
from tests.parity.tiny_reference import make_inputs, resized

GRIDS = [(6, 10), (2, 2), (4, 14), (2, 6)]
PATCHES = [h * w for h, w in GRIDS]
CHOICES = [(i.operation, i.name) for i in IMPLEMENTATIONS if i.refuses(torch.device("cpu"), torch.float32) is None]


@pytest.fixture(scope="module")
def case():
    return Case(resized(vision={"init_pos_emb_height": 7}), GRIDS, seed=3)


@pytest.fixture
def model(case):
    return case.model()


def prefill(model, case, capacity=200):
    """A cache with the whole prompt in it, and the logits of the last position."""
    cache = model.new_cache(capacity)
    return cache, model.step(case.input_ids, cache, model.image_features(case.pixel_values, case.grids))


def test_packed_images_equal_the_same_images_one_by_one(model, case):
    together = model.image_features(case.pixel_values, GRIDS)
    alone = [model.image_features(pixels, [grid]) for pixels, grid in zip(case.pixel_values.split(PATCHES), GRIDS, strict=True)]
    assert_within(together, torch.cat(alone), tolerances.REGROUPED)


def test_the_order_of_the_images_is_the_order_of_their_features(model, case):
    order = [2, 0, 3, 1]
    pixels = torch.cat([case.pixel_values.split(PATCHES)[i] for i in order])
    shuffled = model.image_features(pixels, [GRIDS[i] for i in order])
    straight = model.image_features(case.pixel_values, GRIDS).split([p // 4 for p in PATCHES])
    assert_within(shuffled, torch.cat([straight[i] for i in order]), tolerances.REGROUPED)


@pytest.mark.parametrize("poison", [0.0, 1e4, float("nan")])
def test_other_pixels_in_one_image_leave_the_features_of_the_others_as_they_were(model, case, poison):
    before = model.image_features(case.pixel_values, GRIDS)
    pixels = case.pixel_values.clone()
    pixels[60:64] = poison  # the second image
    after = model.image_features(pixels, GRIDS)
    others = torch.cat((torch.arange(15), torch.arange(16, before.shape[0])))
    assert torch.equal(after[others], before[others])
    assert not torch.equal(after[15], before[15])


def test_rows_of_a_batch_equal_the_rows_one_by_one(model, case):
    grids = [(4, 6), (2, 4)]
    rows = [make_inputs(case.config, grids, seed) for seed in (1, 2, 5)]
    batch = model(torch.stack([ids for ids, _ in rows]), torch.cat([pixels for _, pixels in rows]), grids * 3)
    alone = torch.stack([model(ids, pixels, grids) for ids, pixels in rows])
    assert batch.shape == alone.shape == (3, rows[0][0].shape[0], 512)
    assert_within(batch, alone, tolerances.REGROUPED)


def test_other_tokens_in_one_row_leave_the_logits_of_the_other_row_as_they_were(model):
    rows = torch.arange(20).view(2, 10)
    before, after = model(rows), model(torch.stack((rows[0] + 100, rows[1])))  # the second row lies behind the first
    assert_within(after[1], before[1], tolerances.REGROUPED)
    assert (after[0] - before[0]).abs().max() > 0.1


def test_later_tokens_leave_the_logits_of_earlier_ones_as_they_were(model, case):
    whole = case.logits(model)
    changed = case.input_ids.clone()
    changed[-3:] = torch.tensor([100, 101, 102])
    other = model(changed, case.pixel_values, GRIDS)
    assert_within(other[:-3], whole[:-3], tolerances.REGROUPED)
    assert (other[-3:] - whole[-3:]).abs().max() > 0.1


def test_sequences_of_different_lengths_packed_equal_the_same_sequences_alone(model):
    decoder, lengths = model.language_model.model, [7, 1, 19]
    embeddings = values(sum(lengths), 64, seed=1)
    packed, chosen = decoder(embeddings, TokenLayout.of(lengths), model.ops)
    alone = [decoder(x, TokenLayout.of([x.shape[0]]), model.ops) for x in embeddings.split(lengths)]
    assert_within(packed, torch.cat([hidden for hidden, _ in alone]), tolerances.REGROUPED)
    for layer, indices in enumerate(chosen):
        expected = torch.cat([experts[layer] for _, experts in alone])
        assert torch.equal(indices.sort(-1).values, expected.sort(-1).values)


def test_prefill_gives_the_last_row_of_the_whole_forward(model, case):
    cache, last = prefill(model, case)
    assert cache.length == case.input_ids.shape[0]
    assert_within(last, case.logits(model)[-1], tolerances.REGROUPED)


def test_step_by_step_decode_equals_one_prefill(model, case):
    extra = torch.tensor([7, 300, 12, 12, 499, 0])
    cache, _ = prefill(model, case)
    stepped = torch.stack([model.step(token[None], cache) for token in extra])
    whole = model(torch.cat((case.input_ids, extra)), case.pixel_values, GRIDS)
    assert_within(stepped, whole[-6:], tolerances.REGROUPED)


def test_every_token_decoded_on_its_own_from_the_first_equals_one_forward(model):
    ids = torch.arange(30)
    cache = model.new_cache(30)
    stepped = torch.stack([model.step(token[None], cache) for token in ids])
    assert_within(stepped, model(ids), tolerances.REGROUPED)


@pytest.mark.parametrize("sizes", [(1, 50), (20, 31), (3, 30, 18), (10, 1, 1, 39)], ids=str)
def test_prefill_in_chunks_equals_one_prefill(model, case, sizes):
    ids, media = case.input_ids, case.config["media_placeholder_token_id"]
    assert sum(sizes) == ids.shape[0]
    features, cache = model.image_features(case.pixel_values, GRIDS), model.new_cache(ids.shape[0])
    for chunk in ids.split(sizes):
        used, features = features.split([int((chunk == media).sum()), features.shape[0] - int((chunk == media).sum())])
        last = model.step(chunk, cache, used if len(used) else None)
    whole_cache, expected = prefill(model, case, capacity=ids.shape[0])
    assert features.shape[0] == 0
    assert_within(last, expected, tolerances.REGROUPED)
    assert_within(cache.rows_NSZ, whole_cache.rows_NSZ, tolerances.REGROUPED)


def test_prompts_prefilled_together_equal_the_prompts_one_by_one(model, case):
    prompts = [torch.arange(7), case.input_ids, torch.tensor([9])]
    features = model.image_features(case.pixel_values, GRIDS)
    lengths = [len(ids) for ids in prompts]
    logits, packed = model.prefill(torch.cat(prompts), lengths, features)
    for ids, row_W, rows_NTZ in zip(prompts, logits, packed.rows_NSZ.split(lengths, dim=1), strict=True):
        cache = model.new_cache(len(ids))
        alone_W = model.step(ids, cache, features if len(ids) == lengths[1] else None)
        assert_within(row_W, alone_W, tolerances.REGROUPED)
        assert_within(rows_NTZ, cache.rows_NSZ, tolerances.REGROUPED)


@pytest.mark.parametrize(("lengths", "message"), [([3, 3], "prompts have"), ([7, 0], "prompts have"), ([], "prompts have")], ids=str)
def test_prompts_whose_lengths_do_not_add_up_are_refused(model, lengths, message):
    with pytest.raises(ShapeError, match=message):
        model.prefill(torch.arange(7), lengths)


def test_rows_decoded_together_equal_the_sequences_one_by_one(model):
    prompts = [torch.arange(3, 20), torch.tensor([9]), torch.arange(40, 45)]
    lengths = [len(ids) for ids in prompts]
    _, packed = model.prefill(torch.cat(prompts), lengths)
    batch, rows = model.new_batch_cache(5, 30), torch.tensor([3, 0, 4])
    for rows_BSZ in batch.layers_BSZ:
        rows_BSZ.fill_(1e4)  # left behind by others
    batch.fill(packed, torch.tensor([0, 17, 18]), torch.tensor(lengths), rows)
    batch.grows_B[rows] = 1
    caches = [model.new_cache(30) for _ in prompts]
    for ids, cache in zip(prompts, caches, strict=True):
        model.step(ids, cache)
    for step, window in enumerate([30, 24, 30, 21]):  # the longest row has 17 tokens and the new one, then one more each step
        batch.window = window
        ids_B = torch.arange(5) + 100 + step
        logits_BW = model.decode(ids_B, batch)
        for row, cache in zip(rows, caches, strict=True):
            assert_within(logits_BW[row], model.step(ids_B[row][None], cache), tolerances.REGROUPED)
    assert batch.lengths_B.tolist() == [5, 0, 0, 21, 9]


def test_a_row_that_does_not_grow_gives_the_same_step_again(model):
    batch = model.new_batch_cache(2, 10)
    batch.grows_B[0] = 1
    first = model.decode(torch.tensor([5, 6]), batch)
    second = model.decode(torch.tensor([7, 6]), batch)
    assert_within(second[1], first[1], tolerances.REGROUPED)
    assert (first[0] - second[0]).abs().max() > 0.1


def test_the_absorbed_form_equals_the_expanded_form(model):
    tokens = TokenLayout.of([12])
    angles = rotary_angles(tokens.positions_T, 16, 800000.0)
    for layer in model.language_model.model.layers:
        attention, x = layer.self_attn, values(12, 64, seed=2)
        expanded = attention(x, angles.cos(), angles.sin(), tokens, model.ops, None)
        cache = model.new_cache(12)
        outputs = []
        for position in range(12):  # behind the first token every step is absorbed
            row = slice(position, position + 1)
            outputs.append(attention(x[row], angles[row].cos(), angles[row].sin(), TokenLayout.of([1], start=position), model.ops, cache))
            cache.advance(1)
        assert_within(torch.cat(outputs), expanded, tolerances.REGROUPED)


@pytest.mark.parametrize(("operation", "name"), CHOICES)
def test_every_implementation_gives_the_network_the_same_logits(model, case, operation, name):
    model.choose_implementations({"varlen_attention": "reference", "routed_experts": "loop", "latent_attention": "reference"})
    expected, (_, expected_last) = case.logits(model), prefill(model, case)
    model.choose_implementations({operation: name})
    assert_within(case.logits(model), expected, tolerances.LOGITS)
    cache, _ = prefill(model, case)
    assert_within(prefill(model, case)[1], expected_last, tolerances.LOGITS)
    assert model.step(torch.tensor([5]), cache).isfinite().all()
    assert model.decode(torch.tensor([5, 6]), model.new_batch_cache(2, 4)).isfinite().all()


def test_the_routed_experts_see_each_token_alone(model):
    mixture, x = model.language_model.model.layers[1].mlp, values(25, 64, seed=9)
    together, _ = mixture(x, model.ops)
    alone = torch.cat([mixture(row[None], model.ops)[0] for row in x])
    assert_within(together, alone, tolerances.REGROUPED)
    assert {f.name for f in dataclasses.fields(model.ops)} == {operation for operation, _ in CHOICES}

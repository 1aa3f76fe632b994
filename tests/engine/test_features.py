"""Kept and held features: within what was said, whatever happens; and pictures of prompts to come among the steps of others."""

import random

import pytest
import torch

from kimi_vl.engine import Ahead, Engine, Pictures, SamplingParams
from kimi_vl.engine.features import FeatureCache
from tests.engine.small import answer, limits, submit


@pytest.mark.parametrize(("capacity", "kept"), [(12, None), (12, 0), (12, 5), (0, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_held_stays_and_the_rest_is_within_bounds(capacity, kept, seed):
    rng = random.Random(seed)
    cache, sizes, holds = FeatureCache(capacity, kept), {bytes([k]): rng.randint(1, 5) for k in range(12)}, []
    stayed = set()
    for _ in range(2000):
        digest = rng.choice(list(sizes))
        if rng.random() < 0.3 and cache.num_held + sizes[digest] <= capacity:
            cache.hold(digest)
            holds.append(digest)
        elif rng.random() < 0.4 and holds:
            cache.release(holds.pop(rng.randrange(len(holds))))
        else:
            cache.put(digest, torch.zeros(sizes[digest], 2))
        present = {one for one in sizes if one in cache._features}
        assert cache.num_tokens == sum(sizes[one] for one in present) <= capacity
        assert cache.num_held == sum(sizes[one] for one in present & set(holds))
        assert cache.num_tokens - cache.num_held <= (capacity if kept is None else kept)
        stayed &= set(holds)
        assert stayed <= present
        stayed |= present & set(holds)
    assert all(cache.get(one).shape == (sizes[one], 2) for one in present)
    for digest in holds:
        cache.release(digest)
    assert (cache.num_held, len(cache._holds)) == (0, 0)


def pictures_of(count):
    generator = torch.Generator().manual_seed(4)
    return [Pictures.of(torch.randn(16, 3, 14, 14, generator=generator), [(4, 4)]).images[0] for _ in range(count)]


@pytest.mark.parametrize("rows", [False, True])
def test_others_go_on_between_two_groups_of_pictures(model, prompts, expected, rows, monkeypatch):
    """Four tokens each, eight to a step: nobody waits for more than that."""
    engine = Engine(model, limits(step_tokens=8), rows=rows, feature_tokens=64)
    groups, encode = [], engine.runner.encode
    monkeypatch.setattr(engine.runner, "encode", lambda images: groups.append(len(images)) or encode(images))
    (request,) = submit(engine, prompts[0])
    ahead, given = Ahead(), []
    for image in pictures_of(9):
        engine.encode(ahead, image)
    while not engine.is_idle:
        tokens = sum(len(event.token_ids) for event in engine.step())
        given.append((len(groups), tokens))
        engine.check_integrity()
    assert groups == [2, 2, 2, 2, 1]
    assert [total for total, _ in given[:5]] == [1, 2, 3, 4, 5]  # one a step
    assert sum(tokens for _, tokens in given[:5]) >= 3
    assert answer(request) == expected[0]
    assert engine.runner.features.num_held == 36
    engine.let_go(ahead)
    assert engine.runner.features.num_held == 0


def test_what_is_let_go_of_is_not_encoded(model, prompts):
    engine = Engine(model, limits(step_tokens=8), feature_tokens=64)
    ahead, other = Ahead(), Ahead()
    for k, image in enumerate(pictures_of(6)):
        engine.encode(other if k % 2 else ahead, image)
    engine.step()
    engine.let_go(ahead)
    engine.let_go(ahead)
    engine.encode(ahead, pictures_of(1)[0])
    while not engine.is_idle:
        engine.step()
    assert engine.runner.encoding.encoded == 4  # two in the first step
    assert engine.runner.features.num_held == 12


def test_two_who_see_the_same_picture_hold_it_until_the_second_lets_go(model, prompts, expected):
    ids, images = prompts[5]
    pictures = Pictures.of(*images)
    engine = Engine(model, limits(), feature_tokens=0, ahead_tokens=64)
    aheads = [Ahead(), Ahead()]
    for ahead in aheads:
        engine.encode(ahead, pictures.images[0])
    (request,) = submit(engine, (ids, Pictures(pictures.images, "", aheads[0])), params=SamplingParams(max_tokens=24))
    while not engine.is_idle:
        engine.step()
    assert answer(request) == expected[5]
    assert engine.runner.encoding.encoded == 1
    assert engine.runner.features.num_held == engine.runner.features.num_tokens == 16
    engine.let_go(aheads[1])
    assert engine.runner.features.num_tokens == 0

"""Sampled replies as training batches: the log-probabilities are those of the model called reply by reply."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from kimi_vl.errors import InputError
from kimi_vl.training.network import TrainedNetwork, initialise
from kimi_vl.training.packing import Budget
from kimi_vl.training.problems import Problem
from kimi_vl.training.rollouts import Group, pack_groups, reply_log_probs
from tests.tolerances import REGROUPED
from tests.training.test_trainer import CONFIG, CPU

BUDGET = Budget(patches=64, tokens=160, supervised=48, images=8, max_patches=32, max_tokens=64)


def group(seed: int, k: int = 3, images: int = 1) -> Group:
    rng = np.random.default_rng(seed)
    grids = [(2 * int(rng.integers(1, 3)), 2 * int(rng.integers(1, 3))) for _ in range(images)]
    ids = rng.integers(0, 60, 3).tolist()
    for h, w in grids:
        ids += [60] * (h * w // 4) + rng.integers(0, 60, 2).tolist()
    patches = torch.from_numpy(rng.integers(0, 256, (sum(h * w for h, w in grids), 588), dtype=np.uint8))
    replies = [rng.integers(0, 60, rng.integers(1, 7)).tolist() for _ in range(k)]
    log_probs = [(-rng.random(len(reply))).tolist() for reply in replies]
    return Group(Problem(ids, patches, grids, "?", "!", "table", "sum", 2), replies, log_probs, rng.normal(size=k).tolist())


@pytest.fixture
def network() -> TrainedNetwork:
    network = TrainedNetwork(CONFIG, device=CPU, dtype=torch.float32, budget=BUDGET)
    initialise(network, seed=3)
    return network


def alone(network: TrainedNetwork, g: Group, reply: list[int], temperature: float) -> torch.Tensor:
    """Log-probabilities of one reply, by the model called on nothing else."""
    pixels = g.problem.patches.float().view(-1, 3, 14, 14) / 127.5 - 1
    logits = network.model(torch.tensor(g.problem.input_ids + reply), pixels, g.problem.grid_hws) / temperature
    start = len(g.problem.input_ids) - 1
    return logits[start:-1].log_softmax(-1).gather(1, torch.tensor(reply)[:, None])[:, 0]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_packed_log_probabilities_are_those_of_each_reply_alone(network, temperature):
    groups = [group(seed, images=1 + seed % 2) for seed in range(5)]
    packed = list(pack_groups(groups, CONFIG, BUDGET))
    assert len(packed) > 1
    found = []
    for rollout in packed:
        log_probs_N = reply_log_probs(network, rollout, temperature)
        assert rollout.means(log_probs_N).shape == (BUDGET.images,)
        found += [log_probs_N[rollout.reply_at_N == j] for j in range(rollout.num_replies)]
        sums = [float(x.detach().sum()) for x in found[-rollout.num_replies :]]
        assert rollout.sums(log_probs_N)[: rollout.num_replies].tolist() == pytest.approx(sums, abs=1e-5)
        assert not rollout.sums(log_probs_N)[rollout.num_replies :].any()
    expected = [alone(network, g, reply, temperature) for g in groups for reply in g.replies]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=REGROUPED, rtol=0)


def test_advantages_sampled_log_probabilities_and_lengths_stand_at_their_replies():
    groups = [group(seed) for seed in range(5)]
    seen = []
    for rollout in pack_groups(groups, CONFIG, BUDGET):
        for j in range(rollout.num_replies):
            at = rollout.reply_at_N == j
            seen.append((rollout.batch.targets_N[at].tolist(), rollout.sampled_N[at].tolist(), float(rollout.advantages_J[j])))
            assert int(rollout.lengths_J[j]) == int(at.sum())
    expected = [x for g in groups for x in zip(g.replies, g.log_probs, g.advantages, strict=True)]
    for (ids, log_probs, advantage), (reply, sampled, better) in zip(seen, expected, strict=True):
        assert ids == reply
        assert log_probs == pytest.approx(sampled)
        assert advantage == pytest.approx(better)


def test_gradients_reach_the_vision_tower_through_all_replies_of_a_picture(network):
    g = group(0)
    (rollout,) = pack_groups([g], CONFIG, BUDGET)
    reply_log_probs(network, rollout, 1.0).sum().backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    sum(alone(network, g, reply, 1.0).sum() for reply in g.replies).backward()
    assert any("vision_tower" in name for name in found)
    for name, gradient in found.items():
        expected = dict(network.named_parameters())[name].grad
        torch.testing.assert_close(gradient, expected, atol=2e-5 * max(1.0, float(expected.abs().max())), rtol=1e-4, msg=name)


def test_no_batch_is_larger_than_the_budget_and_none_is_lost():
    groups = [group(seed, k=1 + seed % 5) for seed in range(12)]
    packed = list(pack_groups(groups, CONFIG, BUDGET))
    assert sum(rollout.num_replies for rollout in packed) == sum(len(g.replies) for g in groups)
    shapes = {tuple(getattr(r.batch, f.name).shape for f in dataclasses.fields(r.batch)) for r in packed}
    assert len(shapes) == 1  # so that nothing is compiled twice


def test_replies_that_no_batch_can_hold_are_refused_with_the_numbers():
    with pytest.raises(InputError, match=r"9\] patches, tokens, supervised tokens and replies.*raise \[budget\]"):
        list(pack_groups([group(0, k=9)], CONFIG, BUDGET))


def test_nothing_to_learn_from_makes_no_batch():
    assert list(itertools.chain(pack_groups([], CONFIG, BUDGET))) == []

"""Sampled replies as training batches: each prompt's pictures once, its prompt repeated before each of its replies.

Letters as in `packing`; additionally J replies of a batch, S image tokens of all repetitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import InputError
from kimi_vl.training.network import TrainedNetwork
from kimi_vl.training.packing import GLYPH_SLOTS, Batch, Budget, Sample, assemble, filled
from kimi_vl.training.problems import Problem

NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Group:
    """A problem with its k replies: token ids and log-probabilities as they were sampled, and how much better each was."""

    problem: Problem
    replies: list[list[int]]
    log_probs: list[list[float]]
    advantages: list[float]


@dataclass(frozen=True, eq=False)
class RolloutBatch:
    """Groups packed into one batch of the budget's sizes; J is the budget's number of images, unused places are padding.

    `batch.placeholder_M` is [S], where in the tokens an image token stands, and `feature_at_S` says which of the M it is.
    """

    batch: Batch
    feature_at_S: torch.Tensor
    reply_at_N: torch.Tensor  # which reply a predicted token belongs to; J for padding
    sampled_N: torch.Tensor  # float32, log-probabilities that the sampler saw; 0 for padding
    advantages_J: torch.Tensor  # float32; 0 for padding
    lengths_J: torch.Tensor  # float32, tokens of a reply; 0 for padding
    num_replies: int

    def to(self, device: torch.device) -> RolloutBatch:
        moved = {name: value.to(device) for name, value in vars(self).items() if name != "num_replies"}
        return RolloutBatch(**moved, num_replies=self.num_replies)

    def sums(self, values_N: torch.Tensor) -> torch.Tensor:
        """Over the tokens of each reply, [J]."""
        return values_N.new_zeros(len(self.lengths_J) + 1).index_add(0, self.reply_at_N, values_N)[:-1]

    def means(self, values_N: torch.Tensor) -> torch.Tensor:
        """Over the tokens of each reply, [J]."""
        return self.sums(values_N) / self.lengths_J.clamp_min(1)


def pack_groups(groups: Sequence[Group], config: KimiVLConfig, budget: Budget) -> Iterator[RolloutBatch]:
    """All groups in order, as many to a batch as fit. Raises: InputError for a group that is larger than a whole batch."""
    limits = np.array([budget.patches, budget.tokens, budget.supervised, budget.images])
    chosen: list[Group] = []
    used = np.zeros(4, dtype=np.int64)
    for group in groups:
        size = _size(group)
        if (size > limits).any():
            raise InputError(
                f"the replies to one problem take {size.tolist()} patches, tokens, supervised tokens and replies, "
                f"which is more than the whole budget {limits.tolist()}; raise [budget]"
            )
        if (used + size > limits).any():
            yield _packed(chosen, config, budget)
            chosen, used = [], np.zeros(4, dtype=np.int64)
        chosen.append(group)
        used += size
    if chosen:
        yield _packed(chosen, config, budget)


def _size(group: Group) -> np.ndarray:
    said, k = sum(map(len, group.replies)), len(group.replies)
    return np.array([len(group.problem.patches), said + k * len(group.problem.input_ids), said, max(k, len(group.problem.grid_hws))])


def _packed(groups: Sequence[Group], config: KimiVLConfig, budget: Budget) -> RolloutBatch:
    samples: list[Sample] = []
    placeholders, features = [], []
    token = image_token = 0
    for group in groups:
        prompt = np.array(group.problem.input_ids)
        image_at = np.flatnonzero(prompt == config.media_placeholder_token_id)
        for number, reply in enumerate(group.replies):
            samples.append(_sample(group.problem, prompt, reply, with_pictures=number == 0))
            placeholders.append(image_at + token)
            features.append(np.arange(image_token, image_token + len(image_at)))
            token += len(prompt) + len(reply)
        image_token += len(image_at)
    lengths = [len(sample.predict_at) for sample in samples]
    arrays = {
        "feature_at_S": filled(features, budget.tokens, np.int64),
        "reply_at_N": filled([np.repeat(np.arange(len(lengths)), lengths)], budget.supervised, np.int64, budget.images),
        "sampled_N": filled([np.array(values) for group in groups for values in group.log_probs], budget.supervised, np.float32),
        "advantages_J": filled([np.array(group.advantages) for group in groups], budget.images, np.float32),
        "lengths_J": filled([np.array(lengths)], budget.images, np.float32),
    }
    # As many places as tokens, so that the shape stays the same; unused ones put the first feature behind the last token.
    everywhere = torch.from_numpy(filled(placeholders, budget.tokens, np.int64, budget.tokens))
    batch = replace(assemble(samples, config, budget), placeholder_M=everywhere)
    return RolloutBatch(batch, **{name: torch.from_numpy(array) for name, array in arrays.items()}, num_replies=len(samples))


def _sample(problem: Problem, prompt: np.ndarray, reply: Sequence[int], *, with_pictures: bool) -> Sample:
    """One reply behind its prompt; all of it is predicted, with equal weights."""
    patches = problem.patches.numpy() if with_pictures else problem.patches.numpy()[:0]
    return Sample(
        patches=patches,
        grid_hws=problem.grid_hws if with_pictures else [],
        glyphs=np.zeros((len(patches) // 4, GLYPH_SLOTS), dtype=np.uint8),
        ids=np.concatenate([prompt, np.array(reply)]),
        placeholders=NOTHING,
        predict_at=np.arange(len(reply)) + len(prompt) - 1,
        targets=np.array(reply),
        weights=np.ones(len(reply), dtype=np.float32),
        tasks=np.zeros(len(reply), dtype=np.int64),
    )


def reply_log_probs(network: TrainedNetwork, rollout: RolloutBatch, temperature: float) -> torch.Tensor:
    """Log-probabilities of the sampled tokens under the distribution they were sampled from, fp32 [N]; 0 for padding.

    Each picture is encoded once, whatever the number of its replies.
    """
    batch = rollout.batch
    features_MD = network.image_features(batch)
    hidden_TD, _ = network.hidden_states(batch, features_MD.index_select(0, rollout.feature_at_S))
    logits_NW = network.model.language_model.lm_head(hidden_TD.index_select(0, batch.predict_at_N)).float() / temperature
    return -F.cross_entropy(logits_NW, batch.targets_N, reduction="none") * batch.weights_N

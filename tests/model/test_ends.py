"""A prompt of which only the last token's output is wanted: the last layer computes that one, and stores all."""

import copy

import pytest
import torch

from kimi_vl.bench.engine import random_model
from kimi_vl.config import KimiVLConfig
from kimi_vl.model.cache import Ends, PagedLatentCache, PagedStep
from kimi_vl.model.tokens import TokenLayout
from tests.configs import TINY

PAGE = 4


@pytest.fixture(scope="module")
def model():
    config = copy.deepcopy(TINY)
    config["text_config"]["num_hidden_layers"] = 3
    torch.manual_seed(5)
    model = random_model(KimiVLConfig.from_dict(config), torch.device("cpu"), torch.float32)
    for parameter in model.language_model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return model


@torch.inference_mode()
def run(model, lengths, wanted):
    """Sequences that begin with this step; (hidden states, experts chosen in each layer, pages)."""
    torch.manual_seed(len(lengths))
    columns = -(-max(lengths) // PAGE)
    table = torch.randperm(len(lengths) * columns).view(len(lengths), columns).int()
    cache = PagedLatentCache(model.config.text_config, table.numel(), PAGE, dtype=torch.float32, device="cpu")
    slots = [int(table[b, n // PAGE]) * PAGE + n % PAGE for b, length in enumerate(lengths) for n in range(length)]
    none = torch.zeros(1, dtype=torch.int32)
    cache.begin(PagedStep(torch.tensor(slots), len(slots), table[:0], none, none[:0]))
    boundaries = torch.tensor([0, *lengths]).cumsum(0).int()
    ends = None
    if wanted is not None:
        chosen = torch.tensor(wanted, dtype=torch.int64)
        ends = Ends(
            boundaries[1:][chosen].long() - 1, table[chosen], torch.arange(len(wanted) + 1).int(), torch.tensor(lengths)[chosen].int()
        )
    layout = TokenLayout(torch.cat([torch.arange(n) for n in lengths]), boundaries, max(lengths), tuple(lengths))
    decoder = model.language_model.model
    hidden, chosen = decoder(decoder.embed_tokens(torch.randint(10, 400, (len(slots),))), layout, model.ops, cache, ends)
    return hidden, chosen, torch.stack(cache.layers_GOZ)


@pytest.mark.parametrize("lengths", [[1], [9], [5, 1, 12]], ids=str)
def test_ends_have_the_hidden_states_of_the_whole(model, lengths):
    whole, _, pages = run(model, lengths, None)
    wanted = list(range(len(lengths)))[::-2]
    hidden, chosen, pages_of_ends = run(model, lengths, wanted)
    last = torch.tensor(lengths).cumsum(0) - 1
    torch.testing.assert_close(hidden, whole[last[wanted]], rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(pages_of_ends, pages, rtol=0, atol=0)
    assert [len(indices) for indices in chosen] == [sum(lengths)] * (len(chosen) - 1) + [len(wanted)]


def test_a_chunk_behind_which_nothing_is_drawn_is_stored_all_the_same(model):
    _, _, pages = run(model, [7, 3], None)
    hidden, chosen, pages_of_ends = run(model, [7, 3], [])
    torch.testing.assert_close(pages_of_ends, pages, rtol=0, atol=0)
    assert hidden.shape[0] == len(chosen[-1]) == 0

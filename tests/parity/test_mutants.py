"""Each mistake of the specification's table is made on purpose, and the named checks of the suite must notice it."""

import pytest

from tests.parity.checks import CHECKS
from tests.parity.mutants import BEYOND_THE_TABLE, EQUIVALENTS, TABLE

CAUGHT = [
    pytest.param(mutant.mutate, check, id=f"{mutant.mistake}-{check.__name__.removeprefix('check_')}")
    for mutant in TABLE + BEYOND_THE_TABLE
    for check in mutant.caught_by
]


@pytest.mark.parametrize(("mutate", "check"), CAUGHT)
def test_mutant_is_caught(mutate, check, tiny_model, monkeypatch):
    mutate(monkeypatch, tiny_model)
    with pytest.raises(AssertionError, match="not close"):
        check(tiny_model)


@pytest.mark.parametrize("rewrite", EQUIVALENTS.values(), ids=EQUIVALENTS)
def test_the_same_rewrite_without_the_mistake_passes_every_check(rewrite, tiny_model, monkeypatch):
    rewrite(monkeypatch, tiny_model)
    for check in CHECKS:
        check(tiny_model)


def test_the_table_has_a_mutant_for_every_mistake_of_the_specification():
    # The specification's 18 lines hold 22 mistakes: the position table has three, the router line three.
    assert len({mutant.mistake for mutant in TABLE}) == 22
    assert all(mutant.caught_by for mutant in TABLE + BEYOND_THE_TABLE)

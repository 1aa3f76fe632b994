"""The page pool under random use: nothing is lost, nothing is given twice, and what is shared is what was published."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from kimi_vl.engine.pages import PagePool

PAGES = 6


def key(number):
    return b"key %d" % number


class Pool(RuleBasedStateMachine):
    """Beside the pool stand the holders of each page and what the page holds, as a model of their own."""

    held = Bundle("held")

    def __init__(self):
        super().__init__()
        self.pool = PagePool(PAGES, 4)
        self.holders: list[list[int]] = []
        self.content: dict[int, bytes | None] = dict.fromkeys(range(PAGES))

    @rule(target=held, count=st.integers(1, 3))
    def take(self, count):
        if self.pool.num_available < count:
            return multiple()
        pages = self.pool.take(count)
        assert len(set(pages)) == count
        assert not {page for other in self.holders for page in other} & set(pages)
        self.content |= dict.fromkeys(pages)
        self.holders.append(pages)
        return pages

    @rule(pages=held, number=st.integers(0, 3))
    def publish(self, pages, number):
        """What a page holds is said once; and no two pages that hold the same are both shared."""
        if pages and pages in self.holders and self.content[pages[0]] is None:
            self.content[pages[0]] = key(number)
            self.pool.publish(pages[0], key(number))

    @rule(target=held, numbers=st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
    def share(self, numbers):
        keys = [key(number) for number in numbers]
        found, revived = self.pool.find(keys)
        before = self.pool.num_available
        pages = self.pool.share(keys)
        assert len(pages) == found
        assert self.pool.num_available == before - revived
        assert [self.content[page] for page in pages] == keys[:found]
        self.holders.append(pages)
        return pages

    @rule(pages=consumes(held))
    def release(self, pages):
        if any(pages is other for other in self.holders):
            self.holders = [other for other in self.holders if other is not pages]
            self.pool.release(pages)

    @rule()
    def forget_all(self):
        self.pool.forget_all()
        self.content = dict.fromkeys(range(PAGES))

    @invariant()
    def is_whole(self):
        self.pool.check_integrity(self.holders)


TestPool = Pool.TestCase


def test_the_longest_unused_prefix_is_given_away_first_and_its_tail_before_its_head():
    pool = PagePool(4, 1)
    first, second = pool.take(2), pool.take(2)
    for pages, keys in ((first, (b"a", b"b")), (second, (b"c", b"d"))):
        for page, name in zip(pages, keys, strict=True):
            pool.publish(page, name)
    pool.release(first)
    pool.release(second)
    assert pool.find([b"a", b"b"]) == (2, 2)
    pool.take(1)
    assert pool.find([b"a", b"b"]) == (1, 1)
    assert pool.find([b"c", b"d"]) == (2, 2)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda pool, pages: pool._free.append(pool._free[0]), "free twice"),
        (lambda pool, pages: pool._free.pop(), "lost"),
        (lambda pool, pages: pool.release(pages), "holders are"),
        (lambda pool, pages: pool._pages.clear(), "disagree"),
    ],
)
def test_a_pool_that_is_not_whole_is_seen(break_it, message):
    pool = PagePool(4, 1)
    pages = pool.take(2)
    pool.publish(pages[0], b"a")
    pool.check_integrity([pages])
    break_it(pool, pages)
    with pytest.raises(AssertionError, match=message):
        pool.check_integrity([pages])

"""Pages of the latent cache by number: who holds them, which are free, and which keep a prefix that may be used again.

Integers and bytes only; the rows themselves are the runner's. A page is free, or held by one or more requests, or kept: held by nobody and
still filled with tokens that a later prompt may begin with. Kept pages are given away when no page is free, those first that have not been
used for the longest time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence


class PagePool:
    """`num_pages` pages of `page_size` tokens."""

    def __init__(self, num_pages: int, page_size: int) -> None:
        self.num_pages, self.page_size = num_pages, page_size
        self._free = list(reversed(range(num_pages)))
        self._holders = [0] * num_pages
        self._keys: list[bytes | None] = [None] * num_pages
        self._pages: dict[bytes, int] = {}  # by key, of held and kept pages
        self._kept: OrderedDict[int, None] = OrderedDict()  # the next to be given away first

    @property
    def num_available(self) -> int:
        """Pages that `take` can give."""
        return len(self._free) + len(self._kept)

    def pages_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.page_size)

    def take(self, count: int) -> list[int]:
        """`count` pages with nothing in them that counts, held once. The caller has looked at `num_available`."""
        pages = []
        for _ in range(count):
            if self._free:
                page = self._free.pop()
            else:
                page, _ = self._kept.popitem(last=False)
                self._forget(page)
            self._holders[page] = 1
            pages.append(page)
        return pages

    def find(self, keys: Sequence[bytes]) -> tuple[int, int]:
        """How many of the leading keys have a page, and how many of these pages are kept, so that sharing them makes fewer available."""
        pages = self._leading(keys)
        return len(pages), sum(page in self._kept for page in pages)

    def share(self, keys: Sequence[bytes]) -> list[int]:
        """Hold the pages of the leading keys, as many as there are."""
        pages = self._leading(keys)
        for page in pages:
            self._holders[page] += 1
            self._kept.pop(page, None)
        return pages

    def publish(self, page: int, key: bytes) -> None:
        """Say what a held page is filled with, to be shared from now on. Of two pages with the same tokens the first is shared."""
        if self._keys[page] is None and key not in self._pages:
            self._keys[page] = key
            self._pages[key] = page

    def release(self, pages: Iterable[int]) -> None:
        """Hold these pages once less. Of a sequence's pages the last are given away before the first, without which they are of no use."""
        for page in reversed(list(pages)):
            self._holders[page] -= 1
            if self._holders[page] == 0:
                if self._keys[page] is None:
                    self._free.append(page)
                else:
                    self._kept[page] = None

    def forget_all(self) -> None:
        """Drop every kept prefix, after new weights or a fault that may have spoilt what is in them. Held pages are shared no more."""
        self._free += self._kept
        self._kept.clear()
        self._pages.clear()
        self._keys = [None] * self.num_pages

    def check_integrity(self, held: Iterable[Iterable[int]]) -> None:
        """`held`: the pages of every request. Raises: AssertionError naming what is wrong; for tests and idle moments."""
        expected = [0] * self.num_pages
        for pages in held:
            for page in pages:
                expected[page] += 1
        assert expected == self._holders, f"holders are {self._holders}, the requests hold {expected}"
        free, kept = set(self._free), set(self._kept)
        assert len(free) == len(self._free), f"a page is free twice: {sorted(self._free)}"
        assert not free & kept, f"pages are free and kept: {sorted(free & kept)}"
        unheld = {page for page, holders in enumerate(self._holders) if not holders}
        assert free | kept == unheld, f"pages are lost or given twice: {sorted((free | kept) ^ unheld)}"
        keyed = {page: key for page, key in enumerate(self._keys) if key is not None}
        assert self._pages == {key: page for page, key in keyed.items()}, "keys and pages disagree"
        assert kept <= keyed.keys(), "a kept page has no key"
        assert not free & keyed.keys(), "a free page has a key"

    def _leading(self, keys: Sequence[bytes]) -> list[int]:
        pages = []
        for key in keys:
            if (page := self._pages.get(key)) is None:
                break
            pages.append(page)
        return pages

    def _forget(self, page: int) -> None:
        key = self._keys[page]
        if key is not None:
            del self._pages[key]
            self._keys[page] = None

"""Kernels' launchers as operators of torch, so that a compiler sees one call with declared effects instead of a launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Operator:
    """`torch.ops.<namespace>.<name>`, for as long as this object lives. Called without keywords."""

    def __init__(self, schema: str, function: Callable[..., Any]) -> None:
        self.name = schema.partition("(")[0]
        namespace, name = self.name.split("::")
        self._library = torch.library.Library(namespace, "FRAGMENT")
        self._library.define(schema.removeprefix(f"{namespace}::"))
        self._library.impl(name, function, "CompositeExplicitAutograd")
        self._overload = getattr(getattr(torch.ops, namespace), name).default
        # torch takes no formula of a gradient for an operator that mutates, not even this one, and warns in the backward pass instead.
        if not self._overload._schema.is_mutable:
            torch.library.register_autograd(self.name, self._refuse, lib=self._library)

    def __call__(self, *arguments: Any) -> Any:
        return self._overload(*arguments)

    def register_fake(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What the outputs look like for inputs without data, which torch asks while it compiles. Returns the function, to decorate it."""
        torch.library.register_fake(self.name, function, lib=self._library)
        return function

    def _refuse(self, *_: Any) -> None:
        raise RuntimeError(f"{self.name} has no gradient; choose implementations that do for training")


def operator(schema: str) -> Callable[[Callable[..., Any]], Operator]:
    """Make a function an operator: "kimi_vl::name(Tensor x, Tensor(a!) y) -> Tensor", where (a!) marks what it writes into.

    As `torch.library.custom_op`, whose first call imports torch's compiler (2.3 s, before the first token) and whose every call takes 18 us
    where this one takes 5: a prompt's kernels are launched one by one, and there are hundreds of them.
    """
    return lambda function: Operator(schema, function)

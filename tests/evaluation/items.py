"""Questions for tests of the evaluation, with as little as a test needs."""

import numpy as np

from kimi_vl.evaluation.suite import Item, Page, Response, Result


def item(answer="7", *, task="table", tag="cell", tier="T1", question="How many?", box=None, shade=0, name="a", family="table", **more):
    pages = (Page("", np.full((28, 56, 3), shade, np.uint8)),)
    return Item(name, tier, task, family, tag, pages, question, answer, box=box, **more)


def result(answer, said, *, thinking="", thinking_tokens=0, **more):
    return Result(item(answer, **more).without_pixels(), Response(said, thinking, thinking_tokens, thinking_tokens + 3))

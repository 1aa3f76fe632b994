"""`ask --dry-run`: what a question would see of its media, and what that costs. Loads the processor, not the weights."""

from __future__ import annotations

import argparse
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console

if TYPE_CHECKING:
    from kimi_vl.llm import Thinking
    from kimi_vl.media import Medium
    from kimi_vl.processor.views import Sight, View


def show_sight(args: argparse.Namespace, question: str, media: list[Medium], looking: dict[str, Any], console: Console) -> None:
    """A table, or with --json one document. Raises: KimiVLError."""
    from kimi_vl.checkpoint import locate_checkpoint
    from kimi_vl.config import KimiVLConfig
    from kimi_vl.llm import content_of, see_messages
    from kimi_vl.processor import Processor

    folder = locate_checkpoint(args.model)
    text_config = KimiVLConfig.from_file(folder / "config.json").text_config
    processor = Processor.from_pretrained(folder, text_config.vocab_size)
    context = text_config.max_position_embeddings
    thinking: Thinking = args.thinking or "auto"
    with see_messages(processor, context, content_of(question, media), thinking=thinking, **looking) as seen:
        document = seen.account()
        if args.json:
            console.document(document)
        else:
            for line in as_lines(seen.sight, document):
                console.line(line)


def as_lines(sight: Sight, document: dict[str, Any]) -> list[str]:
    """The account of what is seen as a table for people: frames of one size together."""
    rows = [("file", "what", "before", "shown", "tokens")]
    for _, group in groupby(sight.views, key=lambda view: (view.medium, view.size, view.page)):
        rows.append(_row(list(group)))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4].rjust(6)]) for row in rows]
    for view in sight.views:
        if view.shrunk:
            lines.append(f"{view.name}{f', page {view.page}' if view.page else ''}: {view.shrunk}")
    for looked in sight.looked:
        if looked.speech:
            lines.append(f"{looked.name}: {len(looked.speech):,} lines of speech between the frames, {looked.speech_tokens:,} tokens")
        lines += [f"{looked.name}: {note}" for note in looked.notes] + [f"  {detail}" for detail in looked.details]
    left = document["context"] - document["prompt_tokens"]
    lines.append(
        f"prompt: {document['prompt_tokens']:,} tokens, {document['image_tokens']:,} of them pictures; "
        f"context: {document['context']:,}, which leaves {left:,} for thinking and answer"
    )
    return lines


def _row(views: list[View]) -> tuple[str, str, str, str, str]:
    from kimi_vl.media.identify import Kind
    from kimi_vl.processor.labels import format_time

    first, last = views[0], views[-1]
    what, unit = "picture", "" if first.kind is Kind.PICTURE else " pt"  # a scan of several pages has pixels
    if first.page is not None:
        what = f"page {first.page}"
    elif len(views) > 1 or first.seconds is not None:
        what, unit = f"{len(views)} frames, {format_time(first.seconds or 0.0)} to {format_time(last.seconds or 0.0)}", ""
    before, shown = (f"{width}×{height}" for width, height in (first.size_before, first.size))
    tokens = first.cut.tokens
    cost = f"{len(views)}×{tokens} = {len(views) * tokens:,}" if len(views) > 1 else f"{tokens:,}"
    return first.name, what, before + unit, shown, cost

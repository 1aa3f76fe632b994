"""`kimi-vl ask FILE... "question"`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console
from kimi_vl.cli.drawing import check_drawing, draw
from kimi_vl.cli.options import (
    add_media_arguments,
    add_model_arguments,
    add_sampling_arguments,
    expect_files,
    explain_length,
    media_options,
    open_files,
    open_model,
    sampling_options,
    tell_citations,
    tell_looked,
)
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    from kimi_vl.llm import KimiVL
    from kimi_vl.media import Medium

FILE_NAME = re.compile(r"\S+\.(png|jpe?g|webp|gif|bmp|tiff?|pdf|heic|avif|svg|mp4|mov|mkv|docx?|txt)", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f'{parser.prog} [FILE ...] "question" [options]'
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FILE ... question",
        help="pictures, clips and PDFs, then the question in quotes; - reads one of them from standard input",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document with the answer, the thinking and the token counts")
    parser.add_argument("--dry-run", action="store_true", help="show what the model would see and what it costs, without loading it")
    parser.add_argument("--draw", metavar="PICTURE", help="draw what the answer points at, or cites of a PDF, into this file")
    add_media_arguments(parser)
    add_sampling_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Answer, streamed to the terminal or as one JSON document; or show what would be seen. Raises: KimiVLError."""
    *files, last = args.words
    question = read_question(last, files)
    expect_files(files)
    check_drawing(args.draw, files)
    looking, options = media_options(args), sampling_options(args)
    media = open_files(files, args, looking)
    try:
        if args.dry_run:
            from kimi_vl.cli.seeing import show_sight

            show_sight(args, question, media, looking, console)
        else:
            answer(args, open_model(args, console), question, media, {**looking, **options}, console)
    finally:
        for medium in media:
            medium.close()
    return 0


def answer(args: argparse.Namespace, llm: KimiVL, question: str, media: list[Medium], options: dict[str, Any], console: Console) -> None:
    """One answer, with what was left out said before it and what was found behind it."""
    import dataclasses  # takes as long to import as everything that --help needs

    stream = llm.stream(question, media, **options)
    if not args.json:
        tell_looked(stream.sight, console)
    for piece in stream:
        if not args.json:
            console.piece(piece.kind, piece.text)
    if args.json:
        console.document(dataclasses.asdict(stream.answer))
    else:
        console.end_answer()
        explain_length(stream.answer, console)
        tell_citations(stream.answer.citations, console)
    if args.draw:
        from kimi_vl.processor.findings import Findings

        found = Findings(stream.answer.citations, stream.answer.boxes, stream.answer.points)
        draw(args.draw, stream.sight, found, console)


def read_question(last: str, files: list[str]) -> str:
    """The question, which is the last argument, or standard input where that is "-".

    Raises: InputError where the last argument is a file, so that the question was forgotten, or where there is no text.
    """
    if last == "-":
        question = sys.stdin.read()
        if not question.strip():
            raise InputError("standard input holds no question; write: echo 'What is the total?' | kimi-vl ask receipt.png -")
        return question.strip()
    if not last.strip():
        raise InputError(f'the question is empty; write: kimi-vl ask {" ".join(files) or "receipt.png"} "What is the total?"')
    if FILE_NAME.fullmatch(last) or (os.path.exists(last) and not any(c.isspace() for c in last)):
        raise InputError(f'the question is missing: the last argument, {last}, is a file; write: kimi-vl ask {last} "What is the total?"')
    return last

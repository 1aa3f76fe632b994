"""`kimi-vl ask FILE... "question"`."""

from __future__ import annotations

import argparse
import os
import re
import sys

from kimi_vl.cli.console import Console
from kimi_vl.cli.options import (
    add_model_arguments,
    add_sampling_arguments,
    expect_pictures,
    explain_length,
    load_pictures,
    open_model,
    sampling_options,
)
from kimi_vl.errors import InputError

FILE_NAME = re.compile(r"\S+\.(png|jpe?g|webp|gif|bmp|tiff?|pdf|heic|avif|svg|mp4|mov|mkv|docx?|txt)", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f'{parser.prog} [FILE ...] "question" [options]'
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FILE ... question",
        help="pictures or animations, then the question in quotes; - reads it from standard input",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document with the answer, the thinking and the token counts")
    add_sampling_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Answer, streamed to the terminal or as one JSON document. Raises: KimiVLError."""
    import dataclasses  # takes as long to import as everything that --help needs

    *files, last = args.words
    question = read_question(last, files)
    expect_pictures(files)
    options = sampling_options(args)
    pictures = load_pictures(files)
    llm = open_model(args, console)
    stream = llm.stream(question, pictures, **options)
    for piece in stream:
        if not args.json:
            console.piece(piece.kind, piece.text)
    if args.json:
        console.document(dataclasses.asdict(stream.answer))
    else:
        console.end_answer()
        explain_length(stream.answer, console)
    return 0


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

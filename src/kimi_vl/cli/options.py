"""The arguments that `ask` and `chat` share, and what they become."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from kimi_vl.cli.console import Console
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    from kimi_vl.llm import Answer, KimiVL
    from kimi_vl.media import Medium
    from kimi_vl.processor.citations import Citation
    from kimi_vl.processor.grammar import Grammar
    from kimi_vl.processor.views import Sight

OFFICIAL = "moonshotai/Kimi-VL-A3B-Thinking-2506"
NOTICE = f"nano is a small demonstration model for printed English documents; the official model: --model {OFFICIAL}"

# The sampling arguments, under the names that KimiVL.ask gives them.
SAMPLING = ("thinking", "max_thinking_tokens", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "schema")

# What is looked at of the media, under the names that KimiVL.ask gives them.
LOOKING = ("clip", "pages", "frames", "fps", "policy", "media_tokens", "transcript", "skip_repeats")

MAX_CITED = 200  # characters shown of a citation
PROGRESS_AFTER_S = 1.0  # nano is loaded by then, and a line that flashes up helps nobody


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--model", metavar="NAME", help=f"a folder, or a hub id such as {OFFICIAL}; default: the embedded nano")
    group.add_argument("--device", default="auto", help="cpu, cuda or cuda:N; default: cuda where there is one")
    group.add_argument("--dtype", default="auto", help="float32, bfloat16 or float16; default: what suits weights and device")
    group.add_argument(
        "--quantize", metavar="SCHEME", help="int8, fp8 or int4: the decoder's weights in eight bits, or its experts in four; saves memory"
    )
    group.add_argument("--fit", action="store_true", help="choose weights and context that fit the memory that is free")


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("answer", "Where nothing is said, the settings are those the model's makers recommend.")
    group.add_argument("--thinking", choices=("auto", "on", "off"), help="default: auto, the model decides")
    group.add_argument("--max-thinking-tokens", type=int, metavar="N", help="close the thinking after N tokens, and answer")
    group.add_argument("--max-tokens", type=int, metavar="N", help="end after N tokens, thinking included")
    group.add_argument("--temperature", type=float, metavar="T", help="from 0, always the likeliest token, to 2")
    group.add_argument("--top-p", type=float, metavar="P", help="draw from the likeliest tokens that together reach P")
    group.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens; 0 for all")
    group.add_argument("--min-p", type=float, metavar="P", help="draw from tokens at least P times as likely as the likeliest")
    group.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same answer")
    group.add_argument("--stop", action="append", metavar="TEXT", help="end the answer before TEXT; can be given four times")
    group.add_argument("--schema", metavar="FILE", help="answer with a JSON document that is valid against the JSON schema in this file")


def add_media_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("media", "Where nothing is said, what is looked at of clips and PDFs follows docs/media.md.")
    group.add_argument("--clip", metavar="START-END", help="of videos only this stretch, such as 00:10-00:40, 1:02:03- or -30")
    group.add_argument("--pages", metavar="PAGES", help="of PDFs and TIFFs only these pages, such as 3-7,9")
    group.add_argument("--frames", type=int, metavar="N", help="of videos and animations N frames, evenly spread")
    group.add_argument("--fps", type=float, metavar="X", help="of videos and animations X frames a second, as far as they fit")
    group.add_argument(
        "--policy", metavar="HOW", help="of videos even frames (default), from every scene, or adaptive: more where much moves"
    )
    group.add_argument("--media-tokens", type=int, metavar="N", help="all media take at most N tokens of the prompt")
    group.add_argument(
        "--skip-repeats",
        action="store_true",
        default=None,
        help="of videos no frames that look like the one before",
    )
    group.add_argument(
        "--transcript",
        action="store_true",
        default=None,
        help="of videos also what is said, by the subtitles in the file, between the frames",
    )
    group.add_argument("--pdf-password", metavar="TEXT", help="opens PDFs that want a password")


def media_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options for what is looked at, checked as far as that goes without the files. Raises: InputError."""
    options = {name: getattr(args, name) for name in LOOKING if getattr(args, name) is not None}
    if options:
        from kimi_vl.processor.views import Choice

        Choice(**options)
    return options


def sampling_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options for KimiVL that the command line gave, checked before anything slow happens. Raises: InputError."""
    from kimi_vl.llm import DEFAULT_PARAMS, resolve_options

    options = {name: getattr(args, name) for name in SAMPLING if getattr(args, name) is not None}
    if args.schema is not None:
        options["schema"] = read_schema(args.schema)
    resolve_options(DEFAULT_PARAMS, **options)
    return options


def read_schema(path: str) -> Grammar:
    """The JSON schema in a file. Raises: InputError for a file that cannot be read, or whose schema is refused, with its name."""
    from kimi_vl.processor.grammar import Grammar
    from kimi_vl.processor.schema import MAX_SCHEMA_BYTES

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_SCHEMA_BYTES + 1)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise InputError(f"the schema {path} cannot be read: {reason}") from None
    try:
        return Grammar.json_schema(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def expect_files(paths: list[str]) -> None:
    """Refuse now what is missing or plainly of no supported kind, and start the process that decodes, while this one loads torch.

    Raises: MediaError.
    """
    from kimi_vl.media import sandbox
    from kimi_vl.media.sources import open_source

    if paths:
        sandbox.start()
    for path in paths:
        if path != "-" and "://" not in path and path[:5].lower() != "data:":
            open_source(path).file.close()


def open_files(paths: list[str], args: argparse.Namespace, options: dict[str, Any]) -> list[Medium]:
    """Open pictures, clips and PDFs, before the model is loaded: a damaged one, or a page that there is not, should not cost a minute.

    A path may be a web address, which is fetched, or "-", which is standard input. Raises: MediaError, InputError.
    """
    if not (paths or options or args.pdf_password):
        return []
    from kimi_vl.llm import open_media
    from kimi_vl.media.medium import Document
    from kimi_vl.processor.views import Choice

    media = open_media([sys.stdin.buffer if path == "-" else path for path in paths], args.pdf_password)
    try:
        Choice(**options).check(media)
        if args.pdf_password and not any(isinstance(medium, Document) for medium in media):
            raise InputError("pdf-password applies to none of the files: it is for PDFs, and there is none")
    except InputError:
        for medium in media:
            medium.close()
        raise
    return media


def tell_looked(sight: Sight | None, console: Console) -> None:
    """Say what was shrunk or left out."""
    for looked in sight.looked if sight else ():
        if str(looked):
            console.note(str(looked))


def tell_citations(citations: Iterable[Citation], console: Console) -> None:
    """A line for each place where an answer stands, and for what was not found."""
    for citation in citations:
        where = f"page {citation.page}" if citation.page else "no page"
        name = f"{citation.document}, " if citation.document else ""
        text = citation.text if len(citation.text) <= MAX_CITED else f"{citation.text[:MAX_CITED]}…"
        console.note(f'[{name}{where}: "{text}"]' + ("" if citation.verified else f" not verified: {citation.how}"))


def open_model(args: argparse.Namespace, console: Console) -> KimiVL:
    """Load the model of the arguments, with progress on a terminal and a line about nano. Raises: KimiVLError."""
    from kimi_vl.llm import KimiVL

    started = time.monotonic()

    def progress(done: int, total: int) -> None:
        if time.monotonic() - started > PROGRESS_AFTER_S:
            console.status(f"loading {args.model}: {done / total:.0%} of {total / 1e9:.1f} GB")

    try:
        llm = KimiVL.load(args.model, device=args.device, dtype=args.dtype, quantize=args.quantize, fit=fit_of(args), progress=progress)
    finally:
        console.status("")
    if args.fit:
        console.note(f"weights in {llm.kind or 'the precision of the files'}, {llm.context:,} tokens of context")
    if llm.name == "nano":
        console.note(NOTICE)
    return llm


def fit_of(args: argparse.Namespace) -> Literal["auto"] | None:
    """What `KimiVL.load` is told of --fit."""
    return "auto" if args.fit else None


def explain_length(answer: Answer, console: Console) -> None:
    """Say that an answer was cut short, and what would help."""
    if answer.finish_reason != "length":
        return
    if answer.thinking and not answer.text:
        console.note("all tokens went into thinking; raise --max-tokens, or set --max-thinking-tokens or --thinking off")
    else:
        console.note(f"the answer was cut after {answer.usage.completion_tokens:,} tokens; raise --max-tokens, if the context has room")

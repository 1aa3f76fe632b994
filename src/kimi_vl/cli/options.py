"""The arguments that `ask` and `chat` share, and what they become."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    from kimi_vl.llm import Answer, KimiVL
    from kimi_vl.media import Frames
    from kimi_vl.processor.grammar import Grammar

OFFICIAL = "moonshotai/Kimi-VL-A3B-Thinking-2506"
NOTICE = f"nano is a small demonstration model for printed English documents; the official model: --model {OFFICIAL}"

# The sampling arguments, under the names that KimiVL.ask gives them.
SAMPLING = ("thinking", "max_thinking_tokens", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "schema")

PROGRESS_AFTER_S = 1.0  # nano is loaded by then, and a line that flashes up helps nobody


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--model", metavar="NAME", help=f"a folder, or a hub id such as {OFFICIAL}; default: the embedded nano")
    group.add_argument("--device", default="auto", help="cpu, cuda or cuda:N; default: cuda where there is one")
    group.add_argument("--dtype", default="auto", help="float32, bfloat16 or float16; default: what suits weights and device")
    group.add_argument(
        "--quantize", metavar="SCHEME", help="int8, fp8 or int4: the decoder's weights in eight bits, or its experts in four; saves memory"
    )


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


def expect_pictures(paths: list[str]) -> None:
    """Refuse now what is missing or plainly no picture, and start the process that decodes, while this one goes on to load torch.

    Raises: MediaError.
    """
    from kimi_vl.media import sandbox
    from kimi_vl.media.sources import open_source

    if paths:
        sandbox.start()
    for path in paths:
        if path != "-" and "://" not in path:
            open_source(path).file.close()


def load_pictures(paths: list[str]) -> list[Frames]:
    """Read pictures and clips, before the model is loaded: a damaged one should not cost a minute.

    A path may be a web address, which is fetched, or "-", which is standard input. Raises: MediaError.
    """
    if not paths:
        return []
    from kimi_vl.media import load_frames
    from kimi_vl.media.fetch import Fetcher, RequestFetcher

    fetcher = RequestFetcher(Fetcher())
    return [load_frames(sys.stdin.buffer if path == "-" else path, fetcher=fetcher) for path in paths]


def open_model(args: argparse.Namespace, console: Console) -> KimiVL:
    """Load the model of the arguments, with progress on a terminal and a line about nano. Raises: KimiVLError."""
    from kimi_vl.llm import KimiVL

    started = time.monotonic()

    def progress(done: int, total: int) -> None:
        if time.monotonic() - started > PROGRESS_AFTER_S:
            console.status(f"loading {args.model}: {done / total:.0%} of {total / 1e9:.1f} GB")

    try:
        llm = KimiVL.load(args.model, device=args.device, dtype=args.dtype, quantize=args.quantize, progress=progress)
    finally:
        console.status("")
    if llm.name == "nano":
        console.note(NOTICE)
    return llm


def explain_length(answer: Answer, console: Console) -> None:
    """Say that an answer was cut short, and what would help."""
    if answer.finish_reason != "length":
        return
    if answer.thinking and not answer.text:
        console.note("all tokens went into thinking; raise --max-tokens, or set --max-thinking-tokens or --thinking off")
    else:
        console.note(f"the answer was cut after {answer.usage.completion_tokens:,} tokens; raise --max-tokens, if the context has room")

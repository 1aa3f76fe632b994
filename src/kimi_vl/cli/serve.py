"""`kimi-vl serve`: the server and its page."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console
from kimi_vl.cli.options import NOTICE, PROGRESS_AFTER_S, add_model_arguments, fit_of
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    from kimi_vl.server import ServerOptions
    from kimi_vl.server.tracing import Tracing

KEY = "KIMI_VL_API_KEY"
# What --otel does, by the variables that would have it otherwise; where to, as whom and how much is for OpenTelemetry to read.
OTEL = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
}
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    group = parser.add_argument_group("server")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on; one that others can reach wants an API key")
    group.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0: any that is free")
    group.add_argument(
        "--api-key-file", metavar="FILE", help=f"lines NAME=KEY, one tenant each; or one key in the environment variable {KEY}"
    )
    group.add_argument("--model-name", metavar="NAME", help="what requests call the model; default: the name it was loaded by")
    group.add_argument("--max-running", type=int, metavar="N", help="answers that are computed at once")
    group.add_argument("--allow-host", action="append", metavar="NAME", help="answer for this Host header; can be given often")
    group.add_argument("--allow-media-host", action="append", metavar="NAME", help="fetch pictures from this host only; can be given often")
    group.add_argument("--allow-media-folder", action="append", metavar="DIR", help="requests may name files in this folder")
    group.add_argument("--data", metavar="DIR", help="keep uploads, responses and batches here; default: until the server ends")
    group.add_argument("--lenient", action="store_true", help="pass over unknown parameters, and say so in a header")
    group.add_argument("--otel", action="store_true", help="send traces by OTLP; where to, and more: the variables OTEL_*")
    group.add_argument(
        "--set", action="append", default=[], metavar="LIMIT=N", help="another limit, such as queue_s=10; see docs/serving.md"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    options = server_options(args)
    tracing = _tracing() if args.otel else None

    from kimi_vl.llm import AsyncKimiVL
    from kimi_vl.server import create_app
    from kimi_vl.server.logs import configure
    from kimi_vl.server.run import run as serve

    configure()
    started = time.monotonic()

    def progress(done: int, total: int) -> None:
        if time.monotonic() - started > PROGRESS_AFTER_S:
            console.status(f"loading {args.model}: {done / total:.0%} of {total / 1e9:.1f} GB")

    try:
        model = AsyncKimiVL.load(
            args.model,
            device=args.device,
            dtype=args.dtype,
            quantize=args.quantize,
            fit=fit_of(args),
            max_running=args.max_running,
            progress=progress,
        )
    finally:
        console.status("")
    if model.name == "nano":
        console.note(NOTICE)
    return serve(create_app(model, options, tracing))


def server_options(args: argparse.Namespace) -> ServerOptions:
    """The options of the command line. Raises: InputError, ConfigError, before anything slow happens."""
    from kimi_vl.server.options import ServerOptions

    values: dict[str, Any] = {"host": args.host, "port": args.port, "keys": _keys(args.api_key_file), "lenient": args.lenient}
    values |= {"model_name": args.model_name, "data": args.data}
    values |= {"hosts": _tuple(args.allow_host), "media_hosts": _tuple(args.allow_media_host)}
    values["media_folders"] = tuple(args.allow_media_folder or ())
    numbers = {field.name: field.type for field in fields(ServerOptions) if field.type in ("int", "float", "int | None")}
    for pair in args.set:
        name, _, text = pair.partition("=")
        try:
            values[name] = float(text) if numbers.get(name) == "float" else int(text)
        except ValueError:
            raise InputError(f"--set {pair[:60]!r} must be the name of a limit and a number, such as queue_s=10") from None
    return ServerOptions.from_dict(values)


def _tracing() -> Tracing:
    """Raises: InputError for what cannot be done as the environment has it."""
    for name, value in OTEL.items():
        if (wanted := os.environ.get(name) or value) != value:
            raise InputError(f"{name} is {wanted[:60]!r}, and --otel knows {value!r} only; set it to that, or leave --otel out")
    for name in ENDPOINTS:
        if (address := os.environ.get(name)) and not address.startswith(("http://", "https://")):
            raise InputError(f"{name} is {address[:60]!r}; it must be an address such as http://localhost:4318")

    from kimi_vl.server.export import exported

    return exported()


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _keys(path: str | None) -> tuple[tuple[str, str], ...]:
    """Names and secrets. Raises: InputError for a file that cannot be read, or a line that is no pair."""
    alone = os.environ.get(KEY)
    keys = [("default", alone)] if alone else []
    if path is None:
        return tuple(keys)
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the API keys in {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}") from None
    for number, line in enumerate(lines, start=1):
        if line and not line.startswith("#"):
            name, equals, secret = line.partition("=")
            if not (name.strip() and equals and secret.strip()):
                raise InputError(f"{path}, line {number} must be NAME=KEY")
            keys.append((name.strip(), secret.strip()))
    return tuple(keys)

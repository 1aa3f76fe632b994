"""Logs for machines: one JSON object on a line of stderr, without anything that a user wrote."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from opentelemetry.trace import format_trace_id, get_current_span


class _Stderr:
    """No request fails because nobody reads the log."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def traced(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A line that is written for something that is traced says so."""
    asked = get_current_span().get_span_context()
    return {**event, "trace_id": format_trace_id(asked.trace_id)} if asked.is_valid else event


def configure() -> None:
    """For this process; what uvicorn says comes along from warnings on."""
    logging.basicConfig(level=logging.WARNING, handlers=[_others()])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            traced,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
    )


def _others() -> logging.Handler:
    """What is said by `logging`, as lines of the same kind."""
    handler = logging.StreamHandler(cast("TextIO", _Stderr()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(),
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
        )
    )
    return handler

"""Log lines are facts too: one JSON object a line on stderr, dotted names, no prose."""

from __future__ import annotations

import logging
import sys

import orjson
import structlog

from trunkline.telemetry.redaction import Redactor
from trunkline.telemetry.traces import current


class _Shield:
    """What no line of this process may show."""

    def __init__(self) -> None:
        self.redactor = Redactor()

    def written(self, line: object, **options: object) -> bytes:
        return self.redactor.text(orjson.dumps(line, default=str).decode()).encode()


_SHIELD = _Shield()


def shield(*secrets: tuple[str, str]) -> None:
    """From here on these values, each with the word for its kind, are struck out of every line, and of what others send to be stored."""
    _SHIELD.redactor = _SHIELD.redactor.with_(*secrets)


def shielded() -> Redactor:
    """One that knows all that this process was told in confidence so far."""
    return _SHIELD.redactor


def struck(body: bytes) -> bytes:
    """JSON as it may leave this process."""
    return struck_text(body.decode()).encode()


def struck_text(text: str) -> str:
    return _SHIELD.redactor.text(text)


def _traced(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """With the trace that the line is a part of, and its task."""
    if span := current():
        event.setdefault("trace", span.trace_id)
        if span.task:
            event.setdefault("task", span.task)
    return event


def set_up_logs(service: str, level: str = "info") -> None:
    """Set up structlog for this process; every line carries the service's name."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _traced,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_SHIELD.written),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)

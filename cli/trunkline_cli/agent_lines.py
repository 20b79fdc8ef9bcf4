"""How an agent tells what it does: one line each, a dotted name and what belongs to it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

from trunkline_cli.plain import one_line

LOGGER: Final = "trunkline"
_OWN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""What every record has; the rest is what was said with it."""


def set_up(level: str, *, as_json: bool) -> None:
    """Ours and the program's own lines, on stderr."""
    handler = logging.StreamHandler()
    handler.format = document if as_json else line  # type: ignore[method-assign]  # a formatter of one function
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(LOGGER).setLevel(level.upper())


def line(record: logging.LogRecord) -> str:
    """For people: `09:30:00 agent.task_taken task=… type=…`, and where something broke, where."""
    at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
    level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()} "
    rest = "".join(f" {name}={value}" for name, value in _said_with(record).items())
    broke = _broke(record)
    return one_line(f"{at} {level}{record.getMessage()}{rest}") + (f"\n{broke}" if broke else "")


def document(record: logging.LogRecord) -> str:
    """For programs."""
    at = datetime.fromtimestamp(record.created, UTC).isoformat()
    head = {"timestamp": at, "level": record.levelname.lower(), "event": record.getMessage()}
    broke = _broke(record)
    return json.dumps(head | _said_with(record) | ({"exception": broke} if broke else {}), default=str)


def _said_with(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _broke(record: logging.LogRecord) -> str:
    return logging.Formatter().formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""

"""What a task of a type is asked to be, as flags: of one task, and of those that a schedule makes."""

from __future__ import annotations

import argparse
import re
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline_cli.orchestrator import Object
from trunkline_cli.paging import positive
from trunkline_cli.said import json_object
from trunkline_cli.terms import add_terms, terms

_SPAN: Final = re.compile(r"(\d{1,9})([smhd]?)")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_task(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    parser.add_argument("--type", required=needed, help="the kind of work, such as bugfix or deployment; it decides whose agents do it")
    parser.add_argument(
        "--payload", required=needed, metavar="JSON|@FILE", help="what the work needs to know: an object, or @FILE with one"
    )
    parser.add_argument("--priority", choices=("P0", "P1", "P2", "P3"), help="how pressing it is (default: P2)")
    parser.add_argument("--source", help="where the wish came from, such as github or ops (default: user)")
    parser.add_argument("--sla", type=positive, metavar="SECONDS", help="promised within so many seconds; being late stops nothing")
    parser.add_argument("--metadata", metavar="JSON|@FILE", help="what else is to be kept with it")
    add_terms(parser)


def task_body(args: argparse.Namespace, **more: str | int | None) -> Object:
    """What is sent. Raises Invalid."""
    metadata = json_object("--metadata", args.metadata) if args.metadata else None
    said: Object = {"priority": args.priority, "source": args.source, "sla_target": args.sla, "metadata": metadata, **more}
    needed: Object = {"type": args.type, "payload": json_object("--payload", args.payload)}
    return needed | {name: value for name, value in said.items() if value is not None} | terms(args)


def seconds(flag: str, text: str) -> int:
    """`90`, `90s`, `15m`, `2h`, `3d`. Raises Invalid."""
    found = _SPAN.fullmatch(text.strip())
    if not found:
        raise Invalid(f"{flag} takes a number of seconds, or one with s, m, h or d behind it: 90, 15m, 2h, 3d.")
    return int(found[1]) * _UNITS[found[2]]

"""Runs the rows of the bench and prints them: `python -m bench [row ...] [--json] [--quick]`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from rich.console import Console

from bench.figures import Figure, as_json, keep, show
from bench.plan import Plan

ROWS: Final = (
    "job", "sandbox", "named", "stream", "permission", "claude", "together", "door", "recovery", "memory", "read", "list", "api", "limiter",
    "deciding", "readers", "replay", "realtime", "webhooks", "instances", "leases", "fair", "verify", "rebuild", "scale",
)  # fmt: skip
Measure = Callable[[Plan], list[Figure]]


def main(words: list[str] | None = None) -> int:
    """0 when every row could be measured, whatever the figures say."""
    args = _parser().parse_args(words)
    console = Console(stderr=args.json)
    load = os.getloadavg()[0]
    rows: dict[str, list[Figure]] = {}
    for row in args.rows or ROWS:
        rows[row] = _measured(row, args.quick, console)
        if not args.json:
            show(row, rows[row], console)
    if not args.quick and not args.no_history:
        keep(rows, load)
    if args.json:
        print(as_json(rows, load))
    _conclude(rows, load, console)
    return 0


def _measured(row: str, quick: bool, console: Console) -> list[Figure]:
    measure: Measure = import_module(f"bench.{row}").measure
    began = time.monotonic()
    if not console.is_terminal:
        figures = measure(Plan(quick, lambda text: print(f"… {text}", file=sys.stderr, flush=True)))
    else:
        with console.status(row) as status:
            figures = measure(Plan(quick, status.update))
    print(f"{row}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return figures


def _conclude(rows: Mapping[str, list[Figure]], load: float, console: Console) -> None:
    judged = [one for figures in rows.values() for one in figures if one.met is not None]
    missed = [one.name for one in judged if not one.met]
    console.print(f"{len(judged) - len(missed)} of {len(judged)} targets met; load before: {load:.2f} on {os.cpu_count()} processors.")
    for name in missed:
        console.print(f"  missed: {name}", markup=False, highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Measure Trunkline against the floor and its targets.")
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="row", help=f"which: {', '.join(ROWS)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, progress on stderr")
    parser.add_argument("--quick", action="store_true", help="a smoke test of less than a minute; nothing is kept")
    parser.add_argument("--no-history", action="store_true", help="do not append to bench/history.jsonl")
    return parser


if __name__ == "__main__":
    sys.exit(main())

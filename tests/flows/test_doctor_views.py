"""The doctor on a running stack: what is well is said to be, what is not is found, and views are the log folded anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows.jobs import WORK, submit
from tests.flows.test_cli import ENVIRONMENT, Person, person
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]
LOOKS = ("clock", "store", "streams", "services", "work", "stuck tasks", "orphans", "audit chain", "running server")


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT, *ONE_PROCESS) as running:
        make_bare(running.forge, "acme/web", {"README.md": "# Web\n"})
        submit(running, "acme/web", WORK).succeeded()
        person(running, "agent", "ann").creates("P1")
        yield running


def looked(running: Stack, *words: str) -> dict[str, dict[str, Any]]:
    code, out, err = Person(running).types("doctor", "--json", *words)
    assert err == ""
    found = {check["name"]: check for check in json.loads(out)}
    assert code == (0 if all(check["state"] in ("ok", "warn") for check in found.values()) else 1)
    return found


def test_a_stack_that_is_well_is_said_to_be_and_its_views_are_the_log(running: Stack) -> None:
    found = looked(running, "--views")
    assert {name: found[name]["state"] for name in (*LOOKS, "views")} == dict.fromkeys((*LOOKS, "views"), "ok"), found
    assert found["views"]["differences"] == []
    assert "rows are the same" in found["views"]["found"]


def test_a_view_that_was_tampered_with_is_shown_beside_what_the_log_says(running: Stack) -> None:
    running.stop()
    with sqlite3.connect(running.folder / "data" / "relay" / "relay-0.db") as db:
        db.execute("UPDATE task SET view = json_set(view, '$.branch', 'trunkline/other') WHERE status = 'succeeded'")
        db.execute("DELETE FROM approval")
    db.close()
    running.start()
    found = looked(running, "--views")
    assert (found["views"]["state"], "remove its file" in found["views"]["remedy"]) == ("refused", True)
    task, approval = sorted(found["views"]["differences"], key=lambda each: -len(each["view"]))[::-1]
    assert (task["view"], task["live"]) == ("task", "branch=trunkline/other")
    assert task["anew"].startswith("branch=trunkline/")
    assert (approval["view"], approval["live"]) == ("approval", "(not there)")

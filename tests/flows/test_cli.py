"""The command line against the whole product: a task is asked for, held, allowed, reported on and watched, all from terminals."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
import requests

from tests.flows.jobs import ACTING, WORK, until
from tests.unit.cli.terminal import in_a_pipe, on_a_terminal
from trunkline.testing import warm
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import Stack, stack
from trunkline_cli.__main__ import main

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

SECRET = "a-secret-for-tests-of-the-command-line"
ENVIRONMENT = {
    "TRUNKLINE_RATE_LIMITS": "on",
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": ACTING,
    "ORCHESTRATOR_JWT_SECRET": SECRET,
}


@dataclass(frozen=True)
class Person:
    """Somebody at a terminal of their own, on the machine of a running stack."""

    stack: Stack
    token: str = ""
    place: str = ""

    @property
    def environment(self) -> dict[str, str]:
        token = {"TRUNKLINE_TOKEN": self.token} if self.token else {}
        return {"TRUNKLINE_URL": self.stack.url, "TRUNKLINE_DATA_DIR": self.place or str(self.stack.folder / "data"), **token}

    def types(self, *words: str) -> tuple[int, str, str]:
        """One command: exit code, output, and what was said beside. In this process, as most of a command's time is its start."""
        out, err = io.StringIO(), io.StringIO()
        with patch.dict(os.environ, self.environment), redirect_stdout(out), redirect_stderr(err):
            code = main(list(words))
        return code, out.getvalue(), err.getvalue()

    def reads(self, *words: str) -> Any:
        """The one JSON document of a command that went well."""
        code, out, err = self.types(*words, "--json")
        assert (code, err) == (0, ""), err
        return json.loads(out)

    def creates(self, priority: str = "P2", type: str = "bugfix") -> tuple[str, str]:
        """A task and its approval, if it was held."""
        answer = self.reads("tasks", "create", "--type", type, "--payload", '{"issue": "7"}', "--priority", priority)
        return answer["task_id"], answer.get("approval_id", "")

    def reports(self, task: str, status: str, **more: str) -> None:
        """As an agent does that knows HTTP only."""
        url, shown = f"{self.stack.url}/tasks/{task}/status", {"Authorization": f"Bearer {self.token}"}
        answer = requests.patch(url, params={"status": status, **more}, headers=shown, timeout=30)
        assert answer.status_code == 200, answer.text


class Watching:
    """`trunkline watch` in the background, its output in a file."""

    def __init__(self, who: Person, task: str, place: Path) -> None:
        self._output = place / f"{uuid4().hex}.txt"
        with self._output.open("wb") as file:
            self._process = warm.start(["trunkline_cli", "watch", task], os.environ | who.environment, file)

    def await_said(self, text: str) -> None:
        until(lambda: text in self.said, 30, self)

    @property
    def said(self) -> str:
        return self._output.read_text()

    @property
    def labels(self) -> list[str]:
        """The second column, where there is any."""
        return [line[10:19].strip() for line in self.said.splitlines()]

    def end(self) -> int:
        try:
            return self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()

    def __str__(self) -> str:
        return self.said


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT) as running:
        yield running


@pytest.fixture(scope="module")
def operator(running: Stack) -> Person:
    """Whoever sits at the machine: no token, and the key in the data directory."""
    return Person(running)


def person(running: Stack, role: str, name: str = "") -> Person:
    """Somebody with a token, minted as the handbook says. Everybody has limits of their own, so no test takes another's."""
    with patch.dict(os.environ, {"ORCHESTRATOR_JWT_SECRET": SECRET}):
        code, out, err = Person(running).types("token", "--subject", name or f"{role}-{uuid4().hex[:8]}", "--role", role)
    assert code == 0, err
    return Person(running, out.strip())


def test_a_held_task_is_allowed_from_a_terminal_and_watched_to_its_end(running: Stack, operator: Person, tmp_path: Path) -> None:
    ann, bob = person(running, "agent", "ann"), person(running, "approver", "bob")
    task, approval = ann.creates("P1")
    watching = Watching(operator, task, tmp_path)
    watching.await_said(f"({approval})")

    assert [each["approval_id"] for each in bob.reads("approvals")["approvals"] if each["task_id"] == task] == [approval]
    code, _, err = ann.types("approve", approval)
    assert (code, "whoever asked may not decide" in err) == (2, True)
    code, out, _ = bob.types("approve", approval, "--reason", "looks right")
    assert (code, out) == (0, f"{approval}: Approved by bob\n")
    assert bob.types("approve", approval)[0] == 1, "decided only once"
    watching.await_said("released")
    ann.reports(task, "in_progress")
    ann.reports(task, "completed")

    assert watching.end() == 0
    assert " ".join(watching.labels).split() == "created assigned held approved released started done".split()
    assert "looks right" in watching.said and "\x1b" not in watching.said
    [decided] = [each for each in operator.reads("approvals", "--history", "--all")["history"] if each["approval_id"] == approval]
    assert (decided["approved_by"], decided["decision_reason"]) == ("bob", "looks right")


def test_a_refused_task_ends_with_the_reason_and_exit_code_one(running: Stack, operator: Person, tmp_path: Path) -> None:
    task, approval = person(running, "agent").creates("P0")
    watching = Watching(operator, task, tmp_path)
    watching.await_said("held")

    assert operator.types("reject", approval, "--reason", "not on a Friday")[0] == 0

    assert watching.end() == 1
    assert "cancelled" in watching.labels
    assert "not on a Friday" in watching.said
    assert operator.reads("tasks", task)["task"]["status"] == "cancelled"
    assert operator.types("cancel", task)[:2] == (1, f"{task} is over already: it was cancelled. Nothing of it is left to stop.\n")


def test_a_watch_outlives_the_gateway(running: Stack, operator: Person, tmp_path: Path) -> None:
    ann = person(running, "agent")
    task, _ = ann.creates()
    watching = Watching(operator, task, tmp_path)
    watching.await_said("assigned")

    running.kill("gateway")
    running.await_ready()
    ann.reports(task, "failed", error="It broke.")

    assert watching.end() == 1
    assert "It broke." in watching.said and watching.said.count("created") == 1


def test_what_is_published_is_on_the_timeline_and_ends_nothing(running: Stack, operator: Person) -> None:
    ann = person(running, "agent", "ann")
    task, _ = ann.creates()
    words = ("task.completed", "--payload", '{"n": 1}', "--task", task, "--trace", "t-1", "--source", "somebody")
    assert ann.types("events", "publish", *words)[:2] == (0, "task.completed: Event published successfully\n")
    ann.reports(task, "in_progress")
    ann.reports(task, "completed")
    code, out, _ = operator.types("watch", task, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [event["published_by"] for event in events if event["event_type"] == "task.completed" and "published_by" in event] == ["ann"]
    assert events[-1]["event_type"] == "task.completed" and "published_by" not in events[-1]


def test_tasks_are_found_by_what_they_are(running: Stack, operator: Person) -> None:
    ann = person(running, "agent")
    task, _ = ann.creates(type="documentation")
    filters = ("--type", "documentation", "--status", "assigned", "--agent", "faq_agent", "--priority", "P2")
    found = operator.reads("tasks", *filters)
    assert task in [each["task_id"] for each in found["tasks"]] and found["count"] == len(found["tasks"])
    lines = operator.types("tasks", *filters)[1].splitlines()
    assert [line.split("\t")[:5] for line in lines if task in line] == [[task, "assigned", "documentation", "P2", "faq_agent"]]
    assert len(operator.reads("tasks", "--limit", "1")["tasks"]) == 1
    assert operator.reads("tasks", "--all")["next_cursor"] is None
    assert f"task_id\t{task}" in operator.types("tasks", task)[1]
    assert operator.types("cancel", task)[0] == 0
    assert operator.types("watch", task)[0] == 1


def test_a_task_for_later_waits_for_its_moment(running: Stack, operator: Person) -> None:
    later = operator.reads("tasks", "create", "--type", "documentation", "--payload", "{}", "--in", "2h")["task"]
    assert (later["status"], later["start_at"] > later["created_at"]) == ("pending", True)
    at = operator.reads("tasks", "create", "--type", "documentation", "--payload", "{}", "--at", later["start_at"])
    assert at["task"]["start_at"] == later["start_at"] and later["start_at"] in at["message"]
    for task in (later["task_id"], at["task_id"]):
        assert operator.reads("tasks", task)["task"]["status"] == "pending"
        assert operator.types("cancel", task)[0] == 0
    code, _, err = operator.types("tasks", "create", "--type", "documentation", "--payload", "{}", "--at", "2099-01-01")
    assert code == 2 and "30 days" in err, (code, err)


def test_a_schedule_is_made_listed_paused_and_deleted_from_a_terminal(running: Stack, operator: Person) -> None:
    task = ("--type", "documentation", "--payload", '{"issue": "7"}')
    made = operator.reads("schedules", "create", "--cron", "0 6 * * 1-5", "--zone", "Europe/Berlin", "--missed", "once", *task)
    schedule, shown = made["schedule_id"], made["schedule"]
    assert (shown["cron"], shown["time_zone"], shown["missed"]) == ("0 6 * * 1-5", "Europe/Berlin", "once")
    assert shown["task"]["payload"] == {"issue": "7"} and shown["next_at"]
    row = next(line for line in operator.types("schedules")[1].splitlines() if schedule in line)
    assert row.split("\t")[1] == "0 6 * * 1-5 Europe/Berlin"
    assert operator.reads("schedules", "pause", schedule)["schedule"]["next_at"] is None
    assert operator.reads("schedules", "resume", schedule)["schedule"]["next_at"] == shown["next_at"]
    moved = operator.reads("schedules", "change", schedule, "--cron", "30 7 * * *", "--type", "faq", "--payload", "{}")["schedule"]
    assert (moved["cron"], moved["time_zone"], moved["missed"]) == ("30 7 * * *", "Europe/Berlin", "once")
    assert (moved["task"]["type"], moved["changed_by"]) == ("faq", "operator")
    assert operator.types("schedules", "change", schedule, "--priority", "P1")[0] == 2, "a task is changed as a whole"
    assert operator.types("schedules", "change", schedule)[0] == 2, "of nothing"
    assert f"schedule_id\t{schedule}" in operator.types("schedules", "show", schedule)[1]
    other = operator.reads("schedules", "create", "--every", "1h", *task)["schedule_id"]
    assert [one["schedule_id"] for one in operator.reads("schedules")["schedules"]] == [schedule, other]
    for one in (schedule, other):
        assert operator.types("schedules", "delete", one)[0] == 0
    assert operator.reads("schedules")["count"] == 0
    for wrong in (
        ("--cron", "often"),
        ("--cron", "0 6 * * *", "--zone", "Mars/Olympus"),
        ("--every", "5s"),
        ("--every", "1h", "--type", "none"),
    ):
        code, _, err = operator.types("schedules", "create", *task, *wrong)
        assert code == 2 and err, wrong


def test_the_same_key_makes_one_task(running: Stack, operator: Person) -> None:
    words = ("tasks", "create", "--type", "bugfix", "--payload", "{}", "--idempotency-key", uuid4().hex)
    assert operator.reads(*words)["task_id"] == operator.reads(*words)["task_id"]


def test_a_job_on_a_repository_belongs_to_whoever_ran_it_and_is_watched_on_the_same_timeline(running: Stack, operator: Person) -> None:
    make_bare(running.forge, "acme/cli", {"README.md": "sample\n"})
    code, out, err = operator.types("run", "acme/cli", WORK, "--watch")
    assert code == 0, (out, err)
    job = out.splitlines()[0]
    assert "step 0" in out and "pull request #1" in out.splitlines()[-1]
    found = operator.reads("tasks", f"task_{UUID(job).hex}")["task"]
    assert (found["status"], found["created_by"]) == ("completed", "operator")
    assert operator.types("watch", job)[0] == 0


def test_whoever_has_no_credential_is_told_what_to_do_and_sees_nothing(running: Stack, tmp_path: Path) -> None:
    stranger = Person(running, place=str(tmp_path))
    for words in (["tasks"], ["approvals"], ["approve", f"approval_{'0' * 32}"], ["events", "publish", "a.b"]):
        code, out, err = stranger.types(*words)
        assert (code, out) == (2, "")
        assert "`trunkline token" in err


def test_who_may_only_read_is_told_so(running: Stack) -> None:
    reader = person(running, "user")
    code, out, err = reader.types("events", "publish", "a.b")
    assert (code, out, "Another credential" in err) == (2, "", True)
    assert reader.types("approve", f"approval_{'0' * 32}")[0] == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["tasks", "nope"], 2),
        (["tasks", f"task_{'0' * 32}"], 2),
        (["watch", f"task_{'0' * 32}"], 2),
        (["approve", f"approval_{'0' * 32}"], 2),
        (["approve", "../tasks"], 2),
        (["cancel", f"task_{'0' * 32}"], 2),
        (["tasks", "create", "--type", "nonsense", "--payload", "{}"], 2),
        (["tasks", "create", "--type", "bugfix", "--payload", "{"], 2),
        (["tasks", "--status", "nonsense"], 2),
        (["events", "publish", "Not Dotted"], 2),
        (["events", "publish", "a.b", "--task", f"task_{'0' * 32}"], 2),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(words: list[str], code: int, operator: Person) -> None:
    found, out, err = operator.types(*words)
    assert (found, out) == (code, "")
    assert len(err.split()) > 3 and "Traceback" not in err


def test_a_limit_that_does_not_end_soon_is_said(running: Stack) -> None:
    reader = person(running, "user")
    codes = {code: err for code, _, err in (reader.types("approvals", "--json") for _ in range(7))}
    assert set(codes) == {0, 3}
    assert "limit" in codes[3].lower()


def test_a_script_gets_text_and_codes(running: Stack, operator: Person, tmp_path: Path) -> None:
    task, _ = operator.creates()
    done = in_a_pipe(["tasks", "--all"], operator.environment)
    assert (done.returncode, done.stderr, task in done.stdout, "\x1b" in done.stdout) == (0, "", True, False)
    stranger = Person(running, place=str(tmp_path))
    done = in_a_pipe(["tasks", "--json"], stranger.environment)
    assert (done.returncode, done.stdout, "`trunkline token" in done.stderr) == (2, "", True)


def test_a_person_gets_colours(operator: Person) -> None:
    task, _ = operator.creates("P1")
    code, said = on_a_terminal(["tasks", "--limit", "5"], operator.environment)
    assert (code, "\x1b[1;35mheld\x1b[0m" in said, task in said) == (0, True, True)
    assert operator.types("cancel", task)[0] == 0
    code, said = on_a_terminal(["watch", task], operator.environment)
    assert (code, "\x1b[1;31m" in said) == (1, True)

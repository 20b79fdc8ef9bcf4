"""A running installation is written down, and put back elsewhere: the same work, told in the same order, and nothing is done twice."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.flows.jobs import WORK, Job, submit, until
from tests.flows.reader import Reader, Seen, history
from tests.flows.test_cli import ENVIRONMENT, Person, person
from trunkline.testing.repositories import branches, make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]


@dataclass
class Before:
    """What there was before the backup."""

    job: Job
    history: list[tuple[str, dict[str, Any]]]
    held: tuple[str, str]
    tasks: Any
    sandbox: str
    file: Path


@pytest.fixture(scope="module")
def first() -> Iterator[Stack]:
    with stack(ENVIRONMENT, *ONE_PROCESS) as running:
        yield running


@pytest.fixture(scope="module")
def before(first: Stack) -> Iterator[Before]:
    make_bare(first.forge, "acme/web", {"README.md": "# Web\n"})
    job = submit(first, "acme/web", WORK)
    job.succeeded()
    held, seen = person(first, "agent", "ann").creates("P1"), history(first.url, f"{job.path}/stream")
    with tempfile.TemporaryDirectory(prefix="trunkline-backups-") as folder:
        os.chmod(folder, 0o755)
        file = Path(folder) / "one.backup"
        root = person(first, "admin", "root")
        sandbox = root.reads("sandboxes", "create", "ann@example.com")["sandboxId"]
        until(lambda: root.reads("sandboxes", "show", sandbox)["status"] == "ready", 20)
        code, out, err = Person(first).types("backup", str(file))
        assert (code, "messages in" in out, "key of the vault" in err, "the files of 1 named" in err) == (0, True, True, True), err
        yield Before(job, seen, held, Person(first).reads("tasks"), sandbox, file)


@pytest.fixture(scope="module")
def second(first: Stack, before: Before) -> Iterator[Stack]:
    """Put back with nothing but the file and the key of the vault, while the first is away; both know the same repositories."""
    folder = before.file.parent
    key = folder / "vault.key"
    key.write_bytes((first.folder / "data" / "vault.key").read_bytes())
    first.stop()
    running = Stack(folder, {**ENVIRONMENT, "TRUNKLINE_FORGE_ROOT": str(first.forge)}, ONE_PROCESS)
    with patch.dict(os.environ, {"TRUNKLINE_VAULT_KEY_FILE": str(key)}):
        restore(running, before.file)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def restore(running: Stack, file: Path) -> None:
    """Into a place where an earlier try was killed, and once more behind its end."""
    operator = Person(running, place=str(running.folder / "data"))
    cut(running, "another")
    code, out, err = operator.types("restore", str(file))
    assert (code, "another backup was begun" in err) == (2, True), err
    cut(running, operator.reads("restore", str(file), "--check")["backup"])
    with pytest.raises(RuntimeError, match="not restored to its end"):
        running.start()
    files = running.folder / "files"
    code, _, err = operator.types("restore", str(file), "--files", "--data-dir", str(files))
    assert (code, (files / "operator.key").stat().st_mode & 0o777, (files / "nats").exists()) == (0, 0o600, False), err
    for words in ("Restored into", "Was restored, to its end, into"):
        code, out, err = operator.types("restore", str(file))
        assert (code, words in out) == (0, True), err


def cut(running: Stack, backup: str) -> None:
    """As one leaves it that was killed: marked, and with a stream in its store that nobody can read."""
    data = running.folder / "data"
    half = data / "nats" / "store" / "jetstream" / "CONTROL" / "streams" / "EVENTS" / "meta.inf"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_text("{}")
    (data / "restoring").write_text(backup)


def test_the_secrets_of_an_installation_are_nowhere_in_its_backup(first: Stack, before: Before) -> None:
    data, written = first.folder / "data", before.file.read_bytes()
    kept = [(data / name).read_text().strip() for name in ("operator.key", "vault.key")]
    kept += [json.loads((data / "nats" / "secrets.json").read_text())["control"], ENVIRONMENT["ORCHESTRATOR_JWT_SECRET"]]
    assert [secret for secret in kept if secret.encode() in written] == []
    assert (before.file.stat().st_mode & 0o777, b"acme" in written) == (0o600, False)


def test_everything_is_as_it_was_and_old_places_are_places_still(second: Stack, before: Before) -> None:
    assert Person(second).reads("tasks") == before.tasks
    told = history(second.url, f"{before.job.path}/stream")
    assert [data for _, data in told] == [data for _, data in before.history]
    assert [id.partition("-")[2] for id, _ in told] == [id.partition("-")[2] for id, _ in before.history]
    known = before.history[2][0]
    rest = resumed(second, before.job, known)
    assert rest == [data for _, data in before.history[3:]]


def test_named_sandboxes_whose_files_stayed_where_they_were_are_not_believed_to_be_there(second: Stack, before: Before) -> None:
    root = person(second, "admin", "root")
    until(lambda: root.reads("sandboxes", "show", before.sandbox)["status"] == "error", 20)
    assert root.reads("sandboxes", "show", before.sandbox)["code"] == "SANDBOX_VANISHED"


def resumed(running: Stack, job: Job, after: str) -> list[dict[str, Any]]:
    reader = Reader(running.url, f"{job.path}/stream", [Seen(after, {"type": "known"}, 0.0)]).start()
    return [one.data for one in reader.join()[1:]]


def test_what_was_held_can_be_decided_there_and_nothing_is_done_a_second_time(first: Stack, second: Stack, before: Before) -> None:
    task, approval = before.held
    pulls, made = sorted((before.job.bare / "trunkline" / "pulls").glob("*.json")), branches(before.job.bare)
    code, _, err = person(second, "approver", "bob").types("approve", approval)
    assert code == 0, err
    until(lambda: Person(second).reads("tasks", task)["task"]["status"] == "assigned", 20)
    assert sorted((before.job.bare / "trunkline" / "pulls").glob("*.json")) == pulls
    assert branches(before.job.bare) == made


def test_what_happened_is_read_out_of_the_log_into_a_file_and_shown_from_it(second: Stack, before: Before) -> None:
    place, job = before.file.parent / "job.jsonl.gz", before.job.id
    code, out, err = Person(second).types("replay", job, "--out", str(place))
    assert (code, "records" in out) == (0, True), err
    code, out, _ = Person(second).types("replay", "--from-file", str(place), "--speed", "max")
    told = [line.split()[4] for line in out.splitlines()]
    assert (code, told[0], told[-1]) == (0, "task.submitted", "task.succeeded")
    assert all(job in line for line in out.splitlines())
    code, out, _ = Person(second).types("replay", job, "--since", "2020-01-01", "--speed", "1000", "--json")
    assert (code, json.loads(out.splitlines()[0])["subject"].rpartition(".")[2]) == (0, "task")
    code, _, err = Person(second).types("replay", "--from-file", str(place), "--into", str(second.folder / "data"))
    assert (code, "the very log" in err) == (2, True), err

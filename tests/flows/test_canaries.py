"""Canaries that are put in by every door are found nowhere: files, streams, logs, answers, processes, repositories, core files."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.flows.canaries import Search, canary, eventually, memory, messages, watched_processes
from tests.flows.canary_walk import OPERATOR, VAULT, Walk, by_others, walk_through, walking

pytestmark = [pytest.mark.flow, pytest.mark.timeout(240)]

SAFES: Final = {
    "data/nats/secrets.json": "password of nats",
    "data/nats/nats.conf": "password of nats",
    f"data/{OPERATOR}": "key of the operator",
    f"data/{VAULT}": "key of the vault",
}
"""Files that exist to hold a secret, and which."""
KEPT: Final = {"data/sandbox/kept/": "file"}
"""Workspaces as agents left them: what an agent wrote into one stays in it, and goes nowhere from there without somebody's leave."""


@dataclass
class Walked:
    """A walk that is over, while everything still runs."""

    walk: Walk
    folder: Path
    processes: dict[str, set[bytes]] = field(repr=False)

    @property
    def data(self) -> Path:
        return self.walk.stack.folder / "data"

    def search(self, *allowed: dict[str, str]) -> Search:
        known = {place: door for each in allowed for place, door in each.items()}
        return Search([*self.walk.canaries.values(), *by_others(self.walk)], known)


@pytest.fixture(scope="module")
def walked() -> Iterator[Walked]:
    with tempfile.TemporaryDirectory(prefix="tlc-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with walking(folder) as walk:
            with watched_processes() as processes:
                walk_through(walk)
            yield Walked(walk, folder, processes)


def test_what_is_looked_for_would_be_found() -> None:
    one = canary("test", middle="+/=")
    search = Search([one])
    for name, spelling in one.spellings.items():
        search.look(name, b"before " + spelling + b" after")
    assert {found.rpartition("in ")[2] for found in search.found} == set(one.spellings)


def test_every_door_was_gone_through(walked: Walked) -> None:
    """What came by them had its effect, and is seen with a mark in its place."""
    jobs, hub = walked.walk.jobs, walked.walk.hub
    talked = jobs["talks"].said
    assert talked.count("[redacted:anthropic_api_key]") >= 14
    for line in ("refused: it holds [redacted:", "echo [redacted:", "you said: use [redacted:", '{"path": "[redacted:', "found [redacted:"):
        assert line in talked, talked
    assert "it adds what looks like a secret: settings.env:1" in jobs["writes"].said
    ends = {name: job.reader.seen[-1].data for name, job in jobs.items()}
    assert {name: end["type"] for name, end in ends.items()} == {
        **dict.fromkeys(("talks", "given"), "result"),
        **dict.fromkeys(("writes", "refused-by-git", "refused-by-github"), "error"),
    }
    assert "The forge refuses the branch" in ends["refused-by-git"]["error"]
    assert "GitHub says: Resource not accessible with [redacted:" in ends["refused-by-github"]["error"]
    assert walked.walk.value("given token") in {seen.token for seen in hub.steps("push")}
    assert {seen.token[:4] for seen in hub.steps("push")} == {"ghs_", "ghp_"}


def test_what_an_agent_on_nats_says_is_stored_with_marks_in_it(walked: Walked) -> None:
    walk, mark = walked.walk, "[redacted:github-token]"
    told = [event["payload"] for event in walk.done("GET", f"/tasks/{walk.on_nats}/events?limit=1000")["events"]]
    words = [event["output"] for event in told if event.get("kind") == "message"]
    assert words == [f"{mark} and [redacted:nats_password]", mark]
    asked = [(event["subject"], event["about"]["details"]) for event in told if "requested_by" in event and "about" in event]
    assert asked == [(mark, {}), (mark, {"x": mark})]
    task = walk.done("GET", f"/tasks/{walk.on_nats}")["task"]
    assert task["result"]["outcome"] == {"x": mark}
    part = walk.done("GET", f"/tasks/{task['child_task_ids'][0]}")["task"]
    assert (part["payload"], part["error"]) == ({"x": mark}, f"it broke: {mark}")


def test_no_message_of_any_stream_holds_one(walked: Walked) -> None:
    search = walked.search()
    for place, data in asyncio.run(messages(walked.walk.stack)).items():
        search.look(place, data)
    assert search.found == set()
    assert search.places > 100


def test_no_file_holds_one(walked: Walked) -> None:
    """Neither below the data directory nor among temporary files; but the safes, which only their owner may read."""
    search = walked.search(SAFES, KEPT)
    search.look_at_files(walked.data, "data")
    search.look_at_files(walked.folder / "tmp", "temporary files")
    search.look_at_files(walked.walk.stack.faults, "faults")
    assert search.found == set()
    assert {place: (walked.data.parent / place).stat().st_mode & 0o777 for place in SAFES} == dict.fromkeys(SAFES, 0o600)


def test_no_line_of_any_log_holds_one(walked: Walked) -> None:
    """All services and `up` itself, standard output and error, down to what is logged for debugging."""
    search = walked.search()
    search.look("the log", walked.walk.stack.log().encode())
    assert search.found == set()
    assert all(f'"service":"{name}"' in walked.walk.stack.log() for name in ("gateway", "sandbox", "relay"))


def test_no_answer_shows_one(walked: Walked) -> None:
    """Answers and refusals, headers included, and every stream from its beginning."""
    search = walked.search()
    for place, data in walked.walk.answers:
        search.look(place, data)
    assert search.found == set()


def test_no_process_shows_one(walked: Walked) -> None:
    """Every process of the machine from when all services were ready: no command line, no environment, neither an agent's nor git's nor
    that of a service, which has read what it was given before it is ready."""
    search = walked.search()
    for what, shown in walked.processes.items():
        for data in shown:
            search.look(f"{what} {data[:60]!r}", data)
    assert search.found == set()
    names = {os.path.basename(line.split(b"\0")[0].decode(errors="replace")) for line in walked.processes["cmdline"]}
    assert {"git", "nats-server", "bwrap"} <= names


def test_the_memory_of_the_nursery_holds_none(walked: Walked) -> None:
    """All services are forked from it, and are given their secrets by no way that leads through it. It has one thread, as it must."""
    tree = psutil.Process(walked.walk.stack.process.pid).children(recursive=True)  # type: ignore[union-attr]
    [nursery] = [each for each in tree if each.cmdline()[1:3] == ["-m", "trunkline_cli.nursery"]]
    held = b"".join(memory(nursery.pid))
    assert b"TRUNKLINE_READY_FD" in held
    assert [one.door for one in walked.walk.canaries.values() if one.core.encode() in held] == []
    assert nursery.num_threads() == 1


def test_no_object_of_any_repository_holds_one(walked: Walked) -> None:
    search = walked.search(KEPT)
    forge = search.look_at_repositories(walked.walk.forge, "forge")
    kept = search.look_at_repositories(walked.data, "data")
    assert search.found == set()
    assert (forge, kept) == (6, 6)


def test_a_service_that_is_killed_with_a_signal_that_makes_cores_leaves_none(walked: Walked) -> None:
    """Nor is there memory in what a program of the system would be given."""
    stack = walked.walk.stack
    assert stack.process
    tree = [psutil.Process(stack.process.pid), *psutil.Process(stack.process.pid).children(recursive=True)]
    words = {"serve", "trunkline_cli.nursery"}
    ours = {child.pid for child in tree if words & set(child.cmdline()) or "nats-server" in child.name()} | {stack.process.pid}
    assert len(ours) >= 8
    assert {Path(f"/proc/{pid}/coredump_filter").read_text().strip() for pid in ours} == {"00000000"}
    assert {psutil.Process(pid).rlimit(psutil.RLIMIT_CORE) for pid in ours} == {(0, 0)}

    victim = stack.pid("sandbox")
    folder = Path(f"/proc/{victim}/cwd").readlink()
    os.kill(victim, signal.SIGABRT)
    eventually(lambda: not psutil.pid_exists(victim), "the service lives")
    assert [path for place in (folder, stack.folder, walked.folder) for path in place.rglob("core*") if path.is_file()] == []

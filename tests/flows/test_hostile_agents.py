"""Agents that mean harm or know no measure: each has one clear outcome, leaves nothing running, and harms no job beside it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from tests import campaigns
from tests.flows.jobs import ACTING, WORK, Job, living, outputs, submit, until
from trunkline.testing.repositories import git, make_bare, read_files
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

FILES = {"README.md": "sample\n", "src/a.txt": "a\n", "src/b.txt": "b\n"}
LIMITS = {
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": ACTING,
    "TRUNKLINE_OUTPUT_MB": "2",
    "TRUNKLINE_DISK_MB": "48",
    "TRUNKLINE_MEMORY_MB": "192",
    "TRUNKLINE_PROCESSES": "48",
}
HONEST_WITHIN = 30.0
"""Seconds for a job that takes one on a quiet machine; a harmed one takes for ever."""
DONE = "\nopen('done.txt', 'w').write('done')\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(LIMITS, *ONE_PROCESS) as running:
        yield running


def hostile(running: Stack, code: str) -> tuple[Job, str]:
    """A job that does `code`, and the word by which its processes are known."""
    mark = f"mark-{secrets.token_hex(6)}"
    make_bare(running.forge, f"evil/{mark}", FILES)
    return submit(running, f"evil/{mark}", f"# {mark}\n{code}"), mark


@pytest.fixture
def beside(running: Stack) -> Iterator[None]:
    """An honest job that runs at the same time and must not notice."""
    repo = f"honest/{secrets.token_hex(6)}"
    make_bare(running.forge, repo, FILES)
    honest = submit(running, repo, WORK)
    yield
    assert honest.succeeded()["filesChanged"] == 1
    assert honest.reader.seen[-1].at - honest.began < HONEST_WITHIN
    assert running.healthy()


def added(job: Job) -> dict[str, bytes]:
    """What the branch of a job has that the base has not, by path."""
    before = read_files(job.bare, "main")
    after = read_files(job.bare, job.succeeded()["commitSha"])
    return {path: content for path, content in after.items() if before.get(path) != content}


GREEDY = ("prints 4", "prints 2", "fills", "hogs", "bombs", "forks", "deletes")
"""What takes from others; beside the rest an honest job runs in the long form only."""


@dataclass(frozen=True)
class Case:
    """What an agent does, and how it is judged: the code of the error, or "" for a pull request with `adds` and nothing more."""

    name: str
    does: str
    code: str = ""
    says: tuple[str, ...] = ()
    adds: tuple[str, ...] = ("done.txt",)
    hears: str = ""


CASES = (
    Case("prints 40 MiB", "for _ in range(40): print(('x' * 1023 + '\\n') * 1024, end='')" + DONE, hears="bytes of its output"),
    Case("prints 21,000 short lines", "print('\\n'.join(map(str, range(21000))))" + DONE, hears="more than 20,000 lines"),
    Case("prints one line of 3 MiB", "print('y' * (3 << 20)); print('after it')" + DONE, hears="bytes of its output"),
    Case("prints one line of 1.5 MiB", "print('y' * (3 << 19)); print('after it')" + DONE, hears="after it"),
    Case("prints invalid UTF-8", "import os; os.write(1, b'\\xff\\xfe\\xc3( \\xed\\xa0\\x80 \\x00 nul\\n')" + DONE, hears="nul"),
    Case("prints ANSI", "print('\\x1b[31mred\\x1b[0m\\x1b]0;owned\\x07\\x1b[2J', flush=True)" + DONE, hears="red"),
    Case("prints frames of a stream", "print('data: {}\\n\\nevent: result\\nid: 9-9\\rdata: x\\n\\n: c')" + DONE, hears="event: result"),
    Case("says that it is a fact", 'print(\'{"type":"task.succeeded"}\\n{"type":"run.failed"}\')' + DONE, hears="task.succeeded"),
    Case("prints nothing", DONE),
    Case("changes nothing", "print('all is well')", "NO_CHANGES", ("without changing anything",)),
    Case("ends with an exit code", "import sys; print('no key'); sys.exit(3)" , "AGENT_FAILED", ("exit code 3", "no key")),
    Case("fills the disk", "f = open('fat', 'wb', 0)\nwhile True: f.write(b'x' * (1 << 20))", "AGENT_DISK_LIMIT", ("raise the limit",)),
    Case("hogs memory", "kept = []\nwhile True: kept.append(b'x' * (8 << 20))", "AGENT_MEMORY_LIMIT", ("memory limit", "raise the limit")),
    Case("bombs with forks", dedent("""
        import os, time
        made = 0
        for _ in range(2000):
            try:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                made += 1
            except OSError:
                pass
        assert made < 60, made
        """) + DONE),
    Case("forks away and ends", dedent("""
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(120)
            os._exit(0)
        """) + DONE),
    Case("edits .git", dedent("""
        import os, shutil
        own = ' = touch /tmp/owned\\n'
        open('.git/config', 'w').write('[core]\\n\\tworktree = /etc\\n\\tfsmonitor' + own + '[filter "x"]\\n\\tclean' + own)
        open('.git/HEAD', 'w').write('ref: refs/heads/../../../../etc/passwd\\n')
        shutil.rmtree('.git/objects')
        """) + DONE),
    Case("replaces .git", "import os, shutil\nshutil.rmtree('.git'); os.symlink('/etc', '.git')" + DONE),
    Case("plants hooks", dedent("""
        import os
        os.makedirs('.githooks')
        for dir in ('.git/hooks', '.githooks'):
            os.makedirs(dir, exist_ok=True)
            for name in ('pre-commit', 'pre-push', 'post-commit'):
                open(f'{dir}/{name}', 'w').write('#!/bin/sh\\ntouch /tmp/owned\\n')
                os.chmod(f'{dir}/{name}', 0o755)
        open('.git/config', 'a').write('[core]\\n\\thooksPath = .githooks\\n')
        """) + DONE, adds=("done.txt", ".githooks/pre-commit", ".githooks/pre-push", ".githooks/post-commit")),
    Case("plants a repository within", dedent("""
        import os
        os.makedirs('sub/.git/hooks'); open('sub/.git/HEAD', 'w').write('ref: refs/heads/x'); open('sub/file', 'w').write('f')
        os.mkfifo('pipe')
        """) + DONE, adds=("done.txt", "sub/file")),
    Case("deletes everything", "import os\nos.system('rm -rf $(ls -A)')", adds=()),
    Case("leaves files of mode 000", dedent("""
        import os
        os.mkdir('shut'); open('shut/in.txt', 'w').write('in'); open('none.txt', 'w').write('none')
        os.chmod('none.txt', 0); os.chmod('shut/in.txt', 0); os.chmod('shut', 0)
        """) + DONE, adds=("done.txt", "none.txt", "shut/in.txt")),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_agent_has_one_clear_outcome_whatever_it_does(running: Stack, request: pytest.FixtureRequest, case: Case) -> None:
    if campaigns.LONG or case.name.startswith(GREEDY):
        request.getfixturevalue("beside")
    job, mark = hostile(running, case.does)
    if case.code:
        job.failed(case.code, *case.says)
    else:
        assert sorted(added(job)) == sorted(case.adds)
    assert case.hears in job.said
    assert living(mark) == []
    assert not Path("/tmp/owned").exists()
    assert not any("\x1b" in one.data.get("display", "") for one in job.reader.seen)


def test_symlinks_lead_nowhere_and_are_committed_as_links(running: Stack, beside: None) -> None:
    outside = running.folder / "outside"
    outside.mkdir(exist_ok=True)
    outside.chmod(0o777)
    (outside / "victim.txt").write_text("untouched")
    (outside / "victim.txt").chmod(0o666)
    job, _ = hostile(
        running,
        dedent(f"""
        import os
        os.symlink({str(outside)!r}, 'way'); os.symlink('/etc/shadow', 'shadow')
        os.symlink('../../../..', 'up'); os.symlink('self', 'self')
        for path in ('way/victim.txt', 'way/new.txt', 'up/new.txt', {str(outside / "victim.txt")!r}):
            try:
                open(path, 'w').write('owned')
            except OSError:
                pass
        """),
    )
    found = added(job)
    assert found == {"way": str(outside).encode(), "shadow": b"/etc/shadow", "up": b"../../../..", "self": b"self"}
    modes = git(job.bare, "ls-tree", job.succeeded()["commitSha"]).splitlines()
    assert sum(line.startswith("120000") for line in modes) == 4
    assert [path.name for path in outside.iterdir()] == ["victim.txt"]
    assert (outside / "victim.txt").read_text() == "untouched"


DEAF = """
import os, signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(0.1)
    os._exit(0)
print("deaf", flush=True)
while True: time.sleep(0.1)
"""


def test_an_agent_that_ignores_every_signal_and_forks_away_is_gone_soon_after_the_cancel(running: Stack, beside: None) -> None:
    job, mark = hostile(running, DEAF)
    job.await_said("deaf")
    until(lambda: len(living(mark)) >= 2, 10, "it did not fork")

    status, answer = job.cancel("enough")

    assert (status, answer["status"]) == (202, answer["status"])
    took = until(lambda: not living(mark), 15.0, "the agent lives")
    print(f"gone {took:.2f} s after the answer")
    assert job.failed("CANCELLED")["error"] == "Cancelled: enough"


def test_output_arrives_whole_and_in_order_up_to_the_limit(running: Stack, beside: None) -> None:
    job, _ = hostile(running, "for n in range(3000): print(n)" + DONE)
    job.succeeded()
    assert outputs(job.reader.seen) == [str(n) for n in range(3000)]


def test_an_agent_that_never_ends_is_ended_at_the_deadline() -> None:
    with stack({**LIMITS, "TRUNKLINE_DEADLINE_S": "5"}, *ONE_PROCESS) as running:
        job, mark = hostile(running, DEAF)
        assert "5 s" in job.failed("DEADLINE", "longer deadline")["error"]
        assert 4.5 < time.monotonic() - job.began < 40
        assert living(mark) == []
        make_bare(running.forge, "honest/after", FILES)
        submit(running, "honest/after", WORK).succeeded()

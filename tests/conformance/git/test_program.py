"""Programs that we run see nothing of the host, end at their deadline, and keep credentials to themselves."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.conformance.git.job import Job
from trunkline.contracts.errors import DomainError, Overdue
from trunkline_sandbox.adapters.git.environment import environment, numbered
from trunkline_sandbox.adapters.git.program import Call, run
from trunkline_sandbox.adapters.git.refusals import last_line


async def ended(note: Path) -> bool:
    """Whether the process whose id is noted is gone, or dead and waiting for its parent to look."""
    line = Path(f"/proc/{note.read_text().strip()}/cmdline")
    for _ in range(100):
        if not line.exists() or not line.read_bytes():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_git_that_does_not_end_is_ended_with_all_it_started(tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 321 & echo $! > {tmp_path}/pid; wait; sleep 321"
    began = time.monotonic()
    with pytest.raises(Overdue):
        await run(Call(("sh", "-c", script), environment(), seconds=0.3))
    assert time.monotonic() - began < 60, "it was waited for"
    assert await ended(tmp_path / "pid")


async def test_a_cancelled_call_leaves_nothing_running(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(Call(("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 321"), environment())))
        for _ in range(200):
            await asyncio.sleep(0.01)
            if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
                break
        task.cancel()
    assert await ended(tmp_path / "pid")


async def test_output_without_end_is_cut(tmp_path: Path) -> None:
    answer = await run(Call(("yes",), environment(), keep=1000))
    assert answer.cut
    assert len(answer.out) == 1000


async def test_settings_of_a_remote_are_kept_and_ours_win() -> None:
    token = {"http.https://forge.extraheader": "Authorization: Basic c2VjcmV0c2VjcmV0", "core.hooksPath": "/evil"}
    env = environment("https", numbered([*token.items()]))
    answer = await run(Call(("git", "config", "--list"), env))
    assert "http.https://forge.extraheader=Authorization: Basic c2VjcmV0c2VjcmV0" in answer.text
    assert (await run(Call(("git", "config", "core.hooksPath"), env))).text == "/dev/null"
    assert (await run(Call(("git", "config", "--get-all", "safe.directory"), env))).text == "*"


def test_what_git_says_is_repeated_without_the_credential() -> None:
    env = {"GIT_CONFIG_VALUE_0": "Authorization: Basic c2VjcmV0c2VjcmV0"}
    said = last_line("hint: x\nfatal: https://bob:hunter2@forge/x refused Basic c2VjcmV0c2VjcmV0\n", env)
    assert said == "fatal: https://***@forge/x refused Basic [redacted:environment]"


async def test_nothing_of_the_host_reaches_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    monkeypatch.setenv("GIT_TRACE", "1")
    answer = await run(Call(("env",), environment()))
    assert "sk-secret" not in answer.text
    assert "GIT_TRACE" not in answer.text


async def test_an_error_that_nobody_foresaw_keeps_gits_words(job: Job) -> None:
    (job.bare / "config").write_text("[core\n")
    with pytest.raises(DomainError) as refused:
        await job.commit()
    assert "bad config" in str(refused.value.details["git"])

"""What a run writes down, tells its agent and leaves at the forge holds no secret, however it came: in the task, or line by line."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.standins import MemoryForge, MemoryGit
from tests.flows.carried import Box, Program, about, carrying
from trunkline.contracts.run import AgentEnded, AgentOutput, ChangesCommitted, PullRequestOpened, RunFailed
from trunkline.telemetry.redaction import Redactor
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.ports import Access, Commit, CommitSpec, PullRequest, PullRequestSpec

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]

SECRET = "odd.0f1e2d3c4b5a69788796"
"""Of no known shape: only its value gives it away."""
BODY = [b64encode(hashlib.sha384(bytes([each])).digest()).decode() for each in range(25)]
KEY = ["-----BEGIN PRIVATE KEY-----", *BODY, "aGFsZiBhIGxpbmU=", "-----END PRIVATE KEY-----"]


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@dataclass
class Seen:
    """What left the run."""

    made: list[object] = field(default_factory=list)

    def git(self) -> MemoryGit:
        seen = self.made

        class Noting(MemoryGit):
            async def commit(self, bare: Path, base: str, tree: Path, spec: CommitSpec) -> Commit | None:
                seen.append(spec)
                return await super().commit(bare, base, tree, spec)

        return Noting()

    def forge(self) -> MemoryForge:
        seen = self.made

        class Noting(MemoryForge):
            async def open_pull_request(self, access: Access, spec: PullRequestSpec) -> PullRequest:
                seen.append(spec)
                return await super().open_pull_request(access, spec)

        return Noting()


async def test_a_secret_of_the_service_in_a_task_reaches_neither_the_agent_nor_the_forge(server: NatsServer, tmp_path: Path) -> None:
    told: list[str] = []

    async def agent(program: Program, box: Box) -> None:
        told.append(program.launch.stdin.decode() + str(program.launch.files))
        await program.say(type="message", text=f"I was told {SECRET}.")
        await program.say(type="turn_over", summary=f"Done with {SECRET}.")
        await program.hear()

    seen, box = Seen(), Box(agent)
    world = about(box, tmp_path, redactor=Redactor([("vault_key", SECRET)]), git=seen.git(), forge=seen.forge(), rules=Rules())
    async with carrying(server.url, world, prompt=f"Log in with {SECRET} and go.") as one:
        await one.until(PullRequestOpened)
        committed = await one.until(ChangesCommitted)
        written = json.dumps([fact.model_dump(mode="json") for part in ("run", "output") for fact in await one.facts(part)])

    assert committed.branch.startswith("trunkline/log-in-with-redacted-vault-key-and-go-")
    assert len(seen.made) == 2
    assert told
    for place in (written, str(told), str(seen.made)):
        assert "[redacted:vault_key]" in place
        assert SECRET not in place
        assert SECRET.replace(".", "-") not in place


async def test_a_key_that_is_printed_line_by_line_is_on_no_timeline(server: NatsServer, tmp_path: Path) -> None:
    async def agent(program: Program, box: Box) -> None:
        for line in ("this is it:", *KEY, "that was it"):
            await program.say(type="message", text=line)
        await program.say(type="turn_over", summary="Done.")
        await program.hear()

    async with carrying(server.url, about(Box(agent), tmp_path, rules=Rules())) as one:
        await one.until(PullRequestOpened)
        said = [fact.text for fact in await one.of(AgentOutput, "output")]
        written = json.dumps([fact.model_dump(mode="json") for part in ("run", "output") for fact in await one.facts(part)])

    assert not any(line in written for line in [*BODY, "aGFsZiBhIGxpbmU="])
    assert said == ["this is it:", *["[redacted:private-key]"] * len(KEY), "that was it"]


async def test_the_last_words_of_an_agent_that_dies_while_it_prints_a_key_are_struck(server: NatsServer, tmp_path: Path) -> None:
    async def agent(program: Program, box: Box) -> None:
        for line in KEY[:7]:
            await program.say(type="message", text=line)

    async with carrying(server.url, about(Box(agent), tmp_path, rules=Rules())) as one:
        await one.until(AgentEnded)
        written = json.dumps([fact.model_dump(mode="json") for part in ("run", "output") for fact in await one.facts(part)])
        assert not await one.of(RunFailed)

    assert not any(line in written for line in BODY)

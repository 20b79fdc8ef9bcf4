"""A gateway before which GitHub vouches: a forge of people and repositories, a clock by hand, and callers by their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from pydantic import SecretStr

from tests.dialects.world import UNLIMITED, World, served
from trunkline.contracts.task import SubmitTask
from trunkline.testing.fake_github import FakeGitHub, fake_github
from trunkline.testing.repositories import make_bare
from trunkline_gateway.adapters.hub import hub
from trunkline_gateway.ports import Limiter, Person
from trunkline_gateway.sse import StreamLimits
from trunkline_gateway.usecases.flights import Flights
from trunkline_gateway.usecases.forge import Forge
from trunkline_gateway.usecases.guests import Guests, Pro
from trunkline_gateway.usecases.repositories import Repositories

ANN, BOB = (583231, "ann"), (1024, "bob")
OPEN, SECRET = "acme/shop", "acme/vault"
ROOT = "/api/pr-agent"
BRISK = StreamLimits(heartbeat=0.2)


@dataclass
class Clock:
    """Seconds, moved by the test."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Place:
    """Everything that a test about guests has in its hands."""

    github: FakeGitHub
    world: World
    session: ClientSession
    guests: Guests
    clock: Clock
    tokens: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, who: str = "", body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """`who` is a name among the tokens, or a token itself; empty: a stranger."""
        status, said, _ = await self.asked(method, path, who, body)
        return status, said

    async def asked(
        self, method: str, path: str, who: str = "", body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        headers = {"Authorization": f"Bearer {self.tokens.get(who, who)}"} if who else {}
        async with self.session.request(method, ROOT + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(), dict(answer.headers)

    async def execute(self, who: str = "", repo: str = OPEN, **more: Any) -> tuple[int, dict[str, Any]]:
        return await self.ask("POST", "/execute", who, {"repo": repo, "task": "Fix it", **more})

    async def job(self, who: str = "", repo: str = OPEN) -> str:
        status, said = await self.execute(who, repo)
        assert status == 200, said
        return str(said["jobId"])

    def submitted(self) -> SubmitTask:
        return [command for command in self.world.sent if isinstance(command, SubmitTask)][-1]

    def asked_for(self, step: str) -> int:
        return len(self.github.steps(step))


@asynccontextmanager
async def place(
    root: Path, *, local: bool = False, pro: frozenset[str] = frozenset(), lookup: str = "", limiter: Limiter = UNLIMITED
) -> AsyncIterator[Place]:
    """`local`: repositories lie in a folder, and only who asks is GitHub's to say. `lookup`: the gateway's own token."""
    for name in (OPEN, SECRET):
        make_bare(root, name, {})
    clock = Clock()
    async with (
        fake_github(root) as github,
        hub(github.api_url, SecretStr(lookup)) as calls,
        Flights[Person]("GitHub") as people,
        Flights[bool]("GitHub") as places,
    ):
        github.public = {OPEN}
        guests = Guests(calls, people, Pro(pro), clock)
        forge = Forge(guests, None if local else Repositories(calls, places, guests, clock))
        world = World(forge=forge, limiter=limiter)
        tokens = {"ann": github.user_token(OPEN, SECRET, person=ANN), "bob": github.user_token(OPEN, person=BOB)}
        async with served(world, BRISK) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(20)) as session:
            yield Place(github, world, session, guests, clock, tokens)

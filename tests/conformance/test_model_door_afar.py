"""Agents in a cloud's sandboxes reach their models by HTTP, each by the token of its own job and only while that runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import aiohttp
import pytest
from pydantic import ValidationError

from tests.conformance.door_bench import ASK, KEY
from tests.conformance.sandbox.agents import python
from tests.conformance.sandbox.conftest import at_e2b
from trunkline.bus import WorkItem
from trunkline.contracts.errors import Unsupported
from trunkline.contracts.task import Assignment
from trunkline.testing.scripted_model import Text, scripted_model
from trunkline.testing.till import OpenTill
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.agents.codex import CodexAgent
from trunkline_sandbox.adapters.agents.codex_config import CodexOptions
from trunkline_sandbox.adapters.agents.opencode import OpencodeOptions, opencode_agent
from trunkline_sandbox.adapters.forges.local import LocalForge
from trunkline_sandbox.adapters.model.door import model_door, model_session
from trunkline_sandbox.adapters.model.keys import DoorKey, DoorKeys
from trunkline_sandbox.adapters.model.shapes import Upstream, Upstreams
from trunkline_sandbox.adapters.model.street import Street, listening
from trunkline_sandbox.handlers.entrust import Entrust
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.steps import Steps
from trunkline_sandbox.handlers.wake import Wake
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job, World
from trunkline_sandbox.model import AgentTask
from trunkline_sandbox.settings import Settings
from trunkline_sandbox.wiring import assemble

URL = "https://doors.example.com/model"
KEYS = DoorKeys(Path("/run/trunkline/doors"), b"secret of this installation", URL)
TRUE = Path("/bin/true")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: the path of a socket has 107 bytes."""
    with TemporaryDirectory(prefix="door-") as name:
        yield Path(name)


@dataclass(frozen=True)
class Town:
    """A street with some doors, and a model behind all of them."""

    url: str
    model: str
    street: Street
    folder: Path
    session: aiohttp.ClientSession

    @asynccontextmanager
    async def door(self, run: str) -> AsyncIterator[DoorKey]:
        key = DoorKeys(self.folder, b"secret", self.url)(run)
        async with model_door(key, Upstreams(Upstream(KEY, self.model)), self.session, OpenTill(), self.street):
            yield key

    async def ask(self, headers: dict[str, str]) -> int:
        async with aiohttp.ClientSession() as stranger, stranger.post(f"{self.url}/v1/messages", json=ASK, headers=headers) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        street, model = Street(), await stack.enter_async_context(scripted_model([(Text("Hello."),)] * 4))
        port = await stack.enter_async_context(listening(street, "127.0.0.1", 0))
        yield Town(f"http://127.0.0.1:{port}", model.url, street, folder, await stack.enter_async_context(model_session()))


async def test_a_door_is_reached_by_the_token_of_its_job_while_it_is_open(folder: Path) -> None:
    async with town(folder) as place:
        async with place.door("run-1") as one, place.door("run-2") as other:
            assert await place.ask({"x-api-key": one.token}) == 200
            assert await place.ask({"authorization": f"Bearer {other.token}"}) == 200
            for stranger in ({}, {"x-api-key": "wrong"}, {"x-api-key": KEY}, {"authorization": "Bearer "}, {"x-api-key": one.token[:-1]}):
                assert await place.ask(stranger) == 401
        assert await place.ask({"x-api-key": one.token}) == 401


async def test_a_door_that_was_opened_anew_stays_open_when_the_old_one_closes(folder: Path) -> None:
    async with town(folder) as place, AsyncExitStack() as old:
        await old.enter_async_context(place.door("run-1"))
        async with place.door("run-1") as key:
            await old.aclose()
            assert await place.ask({"x-api-key": key.token}) == 200


async def test_a_program_in_a_clouds_sandbox_asks_its_model(folder: Path) -> None:
    async with town(folder) as place, place.door("run-1") as key, at_e2b(folder / "boxes") as box:
        asked = f"urllib.request.Request({place.url + '/v1/messages'!r}, {json.dumps(ASK).encode()!r}, {{'x-api-key': '{key.token}'}})"
        heard = await box.run(python(f"import urllib.request; print(urllib.request.urlopen({asked}).read().decode())"))
        assert "Hello." in heard.text and heard.exit.code == 0
        assert KEY not in heard.text


def test_agents_are_told_the_address_in_place_of_a_socket() -> None:
    claude = ClaudeAgent(KEYS, ClaudeOptions(program=TRUE)).launch(AgentTask("?"), "k")
    codex = CodexAgent(KEYS, CodexOptions(program=TRUE)).launch(AgentTask("?"), "k")
    opencode = opencode_agent(KEYS, OpencodeOptions(program=TRUE)).launch(AgentTask("?"), "k")

    assert all(not launch.sockets and not launch.forwards for launch in (claude, codex, opencode))
    assert claude.env["ANTHROPIC_BASE_URL"] == URL and "ANTHROPIC_UNIX_SOCKET" not in claude.env
    assert f'base_url = "{URL}/v1"' in codex.home_files[".codex/config.toml"].decode()
    assert f'"baseURL": "{URL}/v1"' in opencode.env["OPENCODE_CONFIG_CONTENT"]


async def at_e2b_with(folder: Path, url: str) -> World:
    keys = {"e2b_api_key": "e2b_fake", "anthropic_api_key": KEY, "claude_path": TRUE}
    settings = Settings.model_validate({**keys, "data_dir": folder, "sandbox": "e2b", "model_door_url": url, "egress": ("f.example.com",)})
    async with model_session() as session:
        return assemble(settings, LocalForge(folder / "forge", ""), session, Street())


async def test_where_there_is_an_address_agents_with_models_are_taken_in_a_cloud_and_may_go_there(folder: Path) -> None:
    world = await at_e2b_with(folder, URL)
    assert world.doors["claude"].afar and world.egress == ("f.example.com", "doors.example.com")
    assert not world.agents["claude"].launch(AgentTask("?"), "k").sockets


async def test_without_an_address_an_agent_with_a_model_is_refused_before_anything_is_made(folder: Path) -> None:
    world = await at_e2b_with(folder, "")
    steps = Steps(world, cast(Wires, None), cast(Wake, None), cast(Entrust, None))
    job = Job(cast(WorkItem, None), Assignment(agent="claude"), cast(RunLog, None))
    with pytest.raises(Unsupported, match="TRUNKLINE_MODEL_DOOR_URL") as refusal:
        steps._refuse_early(job)
    assert refusal.value.code == "PROVIDER_CANNOT_UNIX_SOCKETS" and world.egress == ("f.example.com",)


@pytest.mark.parametrize("bad", ["doors.example.com", "ftp://doors", "https://doors/", "https://doors/a b", "https://doors?x"])
def test_an_address_that_is_none_is_refused_with_the_settings(bad: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"model_door_url": bad})

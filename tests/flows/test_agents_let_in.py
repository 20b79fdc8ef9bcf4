"""Who connects to the agents' account of a real nats-server, what that connection may do, and how soon it is cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import SecretStr

from tests.flows.plain_agent import PlainAgent, Refusal, held, plain_agent
from tests.flows.test_routing import routed
from trunkline.auth.claims import Terms
from trunkline.auth.keys import KeyRing, entries
from trunkline.auth.nkeys import Issuer, new_seed
from trunkline.auth.principal import Principal, Role
from trunkline.auth.tokens import Secrets, Tokens
from trunkline.bus import BusSettings, connect
from trunkline.contracts.ids import TenantId
from trunkline.testing.nats import NatsServer, free_port, nats_server
from trunkline_gateway.adapters import agents_door
from trunkline_gateway.settings import Settings as GatewaySettings
from trunkline_gateway.wiring import running as gateway_running

pytestmark = pytest.mark.flow

SEED = new_seed()
SECRET = "s" * 40
KEY = "k" * 32
CUT_WITHIN = 5.0
"""Seconds: two, on a machine with others."""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server(issuer=Issuer.of(SEED).public) as one:
        yield one


@asynccontextmanager
async def gateway(server: NatsServer, **more: Any) -> AsyncIterator[None]:
    said = {
        "nats_url": server.url, "port": free_port(), "nats_callout_seed": SecretStr(SEED), "jwt_secret": SecretStr(SECRET),
        "api_keys": {"BOT": SecretStr(f"{KEY}:agent"), "LOOKER": SecretStr(f"{KEY}2:user"), "BOSS": SecretStr(f"{KEY}3:admin:acme")},
        **more,
    }  # fmt: skip
    async with gateway_running(GatewaySettings.model_validate(said)):
        yield


def minted(subject: str, role: Role = Role.AGENT, tenant: str = "acme", seconds: float = 600) -> str:
    tokens = Tokens(Secrets(SECRET.encode(), b"", float("inf")), {}, Terms(86400.0, "", ""), time.time)
    return tokens.mint(Principal(TenantId(tenant), subject, role), seconds).text


async def refused(server: NatsServer, **shown: Any) -> None:
    with pytest.raises((NatsError, TimeoutError)):
        client = await nats.connect(server.open_url, allow_reconnect=False, error_cb=_quiet, **shown)
        try:  # nats-py takes an end without a word for a beginning
            await client.flush(1)
        finally:
            await client.close()


async def _quiet(_: Exception) -> None:
    pass


async def test_agents_and_admins_come_in_by_token_or_key_and_nobody_else(server: NatsServer) -> None:
    async with gateway(server):
        for tenant, name, shown in (
            ("acme", "bot", minted("bot")),
            ("acme", "boss", minted("boss", Role.ADMIN)),
            ("public", "bot", KEY),
            ("acme", "boss", KEY + "3"),
        ):
            async with plain_agent(server.open_url, tenant, name, token=shown) as agent:
                assert agent.client.is_connected
        for other in (minted("ann", Role.USER), minted("ann", Role.APPROVER), KEY + "2", "nonsense", "", minted("a.b"), minted("bot")[:-2]):
            await refused(server, token=other)
        await refused(server)
        await refused(server, user="control", password="wrong")
        await refused(server, user="bot", password=minted("bot"))


async def test_nobody_comes_in_while_no_gateway_is_there(server: NatsServer) -> None:
    await refused(server, token=minted("bot"), connect_timeout=5)


async def test_an_agent_works_through_its_account(server: NatsServer) -> None:
    async with gateway(server), routed(server) as client:
        client.tenant = f"t{uuid4().hex[:8]}"
        async with plain_agent(server.open_url, client.tenant, "bot", token=minted("bot", tenant=client.tenant)) as agent:
            told = await agent.client.subscribe(f"told.{agent.tenant}.{agent.name}.>")
            await client.submit("one")
            (task,) = await agent.claim()
            await client.cancel("one")
            assert (await told.next_msg(5)).subject.endswith(".stop")
            assert await agent.report(task, "stopped") == "cancelled"


async def revoke(server: NatsServer, text: str) -> None:
    """As another gateway does it."""
    tokens = Tokens(Secrets(SECRET.encode(), b"", float("inf")), {}, Terms(86400.0, "", ""), time.time)
    async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
        await bus.roll.start()
        found = tokens.verify(text)
        await bus.roll.revoke_token(found, found.expires_at)


async def cut(client: Client) -> float:
    """Seconds until the connection is away."""
    began = time.monotonic()
    async with asyncio.timeout(10):
        while client.is_connected:  # noqa: ASYNC110  # nats-py tells only whoever gave it a callback at the start
            await asyncio.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.parametrize("which", ["token", "key"])
async def test_whoever_is_shut_out_is_cut_within_two_seconds_and_its_task_is_anothers(server: NatsServer, which: str) -> None:
    """A token by being revoked, a key by being no key of the gateways any more. Neither says another word about what it had in hand."""
    shown = KEY if which == "key" else minted("bot", tenant="public")
    async with AsyncExitStack() as gateways, routed(server, lease_s=1.5) as client, AsyncExitStack() as agents:
        client.tenant, name = "public", uuid4().hex
        await gateways.enter_async_context(gateway(server))
        gone, stays = [
            await agents.enter_async_context(
                plain_agent(server.open_url, "public", who, token=token, error_cb=_quiet, allow_reconnect=False)
            )
            for who, token in (("bot", shown), ("other", minted("other", tenant="public")))
        ]
        await client.submit(name, max_retries=1)
        (task,) = await gone.claim()
        await gone.report(task, "started")
        if which == "token":
            await revoke(server, shown)
        else:
            await gateways.aclose()
            await gateways.enter_async_context(gateway(server, api_keys={}))
        assert await cut(gone.client) < CUT_WITHIN
        with pytest.raises((NatsError, TimeoutError)):
            await gone.ask("report", {**held(task), "reported": "succeeded"}, timeout=0.3)
        (again,) = await stays.claim(wait_s=10)
        assert (again["task_id"], again["attempt"]) == (name, 2)
        assert await stays.report(again, "succeeded") == "succeeded"
        await refused(server, token=shown)


async def test_a_revoked_key_is_cut_and_let_in_no_more_also_by_a_gateway_that_starts_later(server: NatsServer) -> None:
    text, keys = f"{KEY}-to-go", lambda text: {"GOER": SecretStr(f"{text}:agent"), "BOT": SecretStr(f"{KEY}:agent")}
    async with gateway(server, api_keys=keys(text)), AsyncExitStack() as agents:
        gone, stays = [
            await agents.enter_async_context(
                plain_agent(server.open_url, "public", name, token=shown, error_cb=_quiet, allow_reconnect=False)
            )
            for name, shown in (("goer", text), ("bot", KEY))
        ]
        async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:  # another gateway
            await bus.roll.start()
            found = KeyRing(entries({"GOER": f"{text}:agent"}), bus.seal).find(text)
            assert found is not None
            await bus.roll.revoke_token(found, found.expires_at)
        assert await cut(gone.client) < CUT_WITHIN
        await refused(server, token=text)
        assert stays.client.is_connected
    async with gateway(server, api_keys=keys(text)):
        await refused(server, token=text)
    async with gateway(server, api_keys=keys(f"{text}-2")), plain_agent(server.open_url, "public", "goer", token=f"{text}-2") as again:
        assert again.client.is_connected


async def test_a_token_that_ends_ends_its_connection(server: NatsServer) -> None:
    text = minted("bot", seconds=2)
    async with gateway(server), plain_agent(server.open_url, "acme", "bot", token=text, error_cb=_quiet, allow_reconnect=False) as agent:
        assert await cut(agent.client) < 6


async def test_keys_that_do_not_count_as_they_did_are_cut_by_the_next_gateway(server: NatsServer) -> None:
    async with gateway(server):
        gone, looker = [await nats.connect(server.open_url, token=key, allow_reconnect=False, error_cb=_quiet) for key in (f"{KEY}3", KEY)]
    async with gateway(server, api_keys={"BOT": SecretStr(f"{KEY}:user")}):
        assert await cut(gone) < CUT_WITHIN
        assert await cut(looker) < CUT_WITHIN


async def test_one_agent_has_so_many_connections_and_no_more(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents_door, "MOST_OF_ONE", 2)
    async with gateway(server):

        async def connected() -> Client:
            return await nats.connect(server.open_url, token=KEY, allow_reconnect=False, error_cb=_quiet)

        first = [await connected() for _ in range(2)]
        assert await cut(await connected()) < CUT_WITHIN
        assert all(each.is_connected for each in first)
        for each in first:
            await each.close()


async def test_payload_and_subscriptions_have_a_bound(server: NatsServer) -> None:
    async with gateway(server), routed(server):
        async with plain_agent(server.open_url, "acme", "bot", token=minted("bot"), error_cb=_quiet, allow_reconnect=False) as agent:
            with pytest.raises(Refusal) as refusal:
                await agent.ask("claim", {"pad": "x" * (513 << 10)})
            assert refusal.value.code == "BODY_TOO_LARGE"
            for number in range(80):
                await agent.client.subscribe(f"_INBOX.acme.bot.n{number}")
            assert await cut(agent.client) < CUT_WITHIN
        async with plain_agent(server.open_url, "acme", "bot", token=minted("bot"), error_cb=_quiet, allow_reconnect=False) as agent:
            await agent.client.publish("agent.acme.bot.claim", b"x" * (600 << 10))
            assert await cut(agent.client) < CUT_WITHIN


async def test_two_gateways_share_the_questions(server: NatsServer) -> None:
    async with gateway(server), gateway(server):

        async def once() -> bool:
            async with plain_agent(server.open_url, "acme", "bot", token=minted("bot")) as agent:
                return agent.client.is_connected

        async with asyncio.TaskGroup() as group:
            all = [group.create_task(once()) for _ in range(20)]
        assert all and all[0].result() and sum(each.result() for each in all) == 20


async def test_whoever_is_gone_is_given_nothing(server: NatsServer) -> None:
    """It was waiting for work, as agents mostly are; a task in its hands would wait for the length of a lease."""
    tenant = f"t{uuid4().hex[:8]}"
    async with gateway(server), routed(server) as client, AsyncExitStack() as stack:
        client.tenant = tenant

        async def connected(name: str) -> PlainAgent:
            shown = minted(name, tenant=tenant)
            return await stack.enter_async_context(
                plain_agent(server.open_url, tenant, name, token=shown, allow_reconnect=False, error_cb=_quiet)
            )

        gone, stays = await connected("gone"), await connected("stays")
        waiting = [asyncio.create_task(each.claim(wait_s=20)) for each in (gone, stays)]
        await asyncio.sleep(0.2)
        gone.client._transport.close()  # type: ignore[union-attr]  # as kill -9 does it
        await cut(gone.client)
        for task in ("one", "two"):  # in turns, if both were there
            await client.submit(task)
        async with asyncio.timeout(8):
            found = {task["task_id"] for task in await waiting[1]}
            while len(found) < 2:
                found |= {task["task_id"] for task in await stays.claim()}
        waiting[0].cancel()

"""What a credential opens on NATS, tried subject by subject: everything that is not an agent's own verb, inbox or ear is refused.

The subjects are made from the wire as it is (streams, consumers, verbs), so a new one is probed from the day it is there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from tests.flows.plain_agent import held
from tests.flows.test_agents_let_in import KEY, SEED, gateway, minted
from tests.flows.test_routing import routed
from trunkline.auth.nkeys import Issuer
from trunkline.auth.principal import Role
from trunkline.bus.streams import CONSUMERS, declared
from trunkline.contracts import subjects
from trunkline.contracts.agent import Stopping
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = pytest.mark.flow

ME, MINE = "acme", "bot"
CREDENTIALS = {
    "agent by token": ((ME, MINE), lambda: minted(MINE, Role.AGENT, ME)),
    "admin by token": ((ME, "boss"), lambda: minted("boss", Role.ADMIN, ME)),
    "agent by key": (("public", "bot"), lambda: KEY),
}
LEAST = 60
CANARY = b"canary"


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server(issuer=Issuer.of(SEED).public) as one:
        yield one


def filled(pattern: str) -> str:
    """A subject that a pattern matches."""
    return ".".join("x" if part in ("*", ">") else part for part in pattern.split("."))


def places() -> dict[str, str]:
    """Every stream by its name, with a subject that it stores."""
    return {config.name or "": filled((config.subjects or ["x"])[0]) for config in declared(1, 1)}


def to_publish(tenant: str, name: str) -> list[str]:
    """What nobody but services may say, and what belongs to other agents."""
    streams = places()
    found = list(streams.values())
    for stream, config in CONSUMERS:
        found.append(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{config.durable_name}")
        found.append(f"$JS.ACK.{stream}.{config.durable_name}.1.1.1.1.0")
    for stream, subject in streams.items():
        found += [f"$JS.API.STREAM.{verb}.{stream}" for verb in ("INFO", "DELETE", "PURGE", "UPDATE", "CREATE", "SNAPSHOT", "MSG.GET")]
        found += [f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.{subject}", f"$JS.API.CONSUMER.CREATE.{stream}"]
    found += ["$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.>", "$KV.leases.x", "$O.files.C.x", "$JSC.R.x", "_R_.x.y", "$JS.FC.x"]
    found += ["$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.X.KICK", "$SYS.REQ.USER.AUTH"]
    found += [
        "$SYS.REQ.USER.INFO",
        "$SYS.REQ.ACCOUNT.AGENTS.CONNZ",
        "$SYS.ACCOUNT.AGENTS.CONNECT",
        "$NRG.P.x",
        "_INBOX.x.y.z",
        f"_INBOX.{tenant}.other.x",
    ]
    found += [
        f"cmd.{service}.{tenant}.x.{verb}" for service in ("router", "approvals") for verb in ("submit", "report", "decide", "cancel")
    ]
    found += [f"told.{tenant}.{name}.stop", f"told.{tenant}.other.stop", f"live.evt.{tenant}.x.task", "live.work.x", ">", "*", "agent.>"]
    for verb in subjects.AGENT_VERBS:
        found += [
            f"agent.{tenant}.other.{verb}",
            f"agent.other.{name}.{verb}",
            f"agent.{tenant}.{name}.{verb}.x",
            f"agent.{tenant}.*.{verb}",
        ]
    return [*found, f"agent.{tenant}.{name}.unheard-of", f"agent.{tenant}.{name}", f"agent.{tenant}.{name}.>"]


def to_subscribe(tenant: str, name: str) -> list[str]:
    """What would let an agent hear others, or services."""
    found = [subject for config in declared(1, 1) for subject in config.subjects or ()]
    found += [f"live.{subject}" for subject in found]
    found += [f"$JS.API.CONSUMER.MSG.NEXT.{stream}.>" for stream in places()] + [f"$JS.ACK.{stream}.>" for stream in places()]
    found += [
        ">",
        "*",
        "*.>",
        "_INBOX.>",
        "_INBOX.*.*.>",
        f"_INBOX.{tenant}.>",
        f"_INBOX.{tenant}.*.>",
        f"_INBOX.{tenant}.other.>",
        "_R_.>",
    ]
    found += ["$SYS.>", "$SYS.REQ.USER.AUTH", "$SYS.ACCOUNT.>", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$KV.>", "$O.>", "$NRG.>", "$JSC.>"]
    found += [
        "told.>",
        f"told.{tenant}.>",
        f"told.{tenant}.*.>",
        f"told.{tenant}.other.>",
        f"told.*.{name}.>",
        "live.>",
        "live.evt.>",
        "cmd.>",
    ]
    found += [
        f"live.evt.{tenant}.>",
        f"evt.{tenant}.>",
        "due.>",
        "trace.>",
        "agent.>",
        f"agent.{tenant}.{name}.>",
        f"agent.{tenant}.{name}.claim",
    ]
    return [*found, *(subjects.agent_calls(verb) for verb in subjects.AGENT_VERBS)]


class Probe:
    """One connection that notes what nats-server refuses it."""

    def __init__(self) -> None:
        self.client = Client()
        self.refused: list[str] = []

    async def open(self, url: str, who: tuple[str, str], token: str) -> None:
        await self.client.connect(
            url, token=token, error_cb=self._note, inbox_prefix=f"_INBOX.{who[0]}.{who[1]}", skip_subject_validation=True
        )

    async def _note(self, error: Exception) -> None:
        self.refused.append(str(error))

    async def settled(self) -> None:
        """Everything that was said is judged: the connection lives, and its errors came before its pong."""
        await self.client.flush(5)
        await self.client.flush(5)
        await asyncio.sleep(0.05)

    def was_refused(self, what: str, subject: str) -> bool:
        said = f'permissions violation for {what} to "{subject.lower()}"'
        return any(said in error.lower() for error in self.refused)


@asynccontextmanager
async def scene(server: NatsServer, which: str) -> AsyncIterator[tuple[Probe, list[str], tuple[str, str]]]:
    """A probe, and what anybody among the services heard of it."""
    who, token = CREDENTIALS[which]
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        if CANARY in message.data:
            heard.append(message.subject)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gateway(server))
        await stack.enter_async_context(routed(server))
        services = await nats.connect(server.url)
        stack.push_async_callback(services.close)
        await services.subscribe(">", cb=hear)
        await services.flush()
        probe = Probe()
        await probe.open(server.open_url, who, token())
        stack.push_async_callback(probe.client.close)
        yield probe, heard, who


@pytest.mark.parametrize("which", CREDENTIALS)
async def test_a_credential_opens_its_own_verbs_and_nothing_else(server: NatsServer, which: str) -> None:
    async with scene(server, which) as (probe, heard, (tenant, name)):
        publishes, subscribes = to_publish(tenant, name), to_subscribe(tenant, name)
        assert len(publishes) >= LEAST and len(subscribes) >= LEAST
        for subject in publishes:
            await probe.client.publish(subject, CANARY)
            await probe.client.publish(subject, CANARY, headers={"Nats-Trace-Dest": f"_INBOX.{tenant}.{name}.trace", "Nats-Msg-Id": "x"})
        for subject in subscribes:
            await probe.client.subscribe(subject, cb=_never)
            await probe.client.subscribe(subject, queue="router", cb=_never)
        await probe.settled()
        assert probe.client.is_connected
        assert [each for each in publishes if not probe.was_refused("publish", each)] == []
        assert [each for each in subscribes if not probe.was_refused("subscription", each)] == []
        assert heard == []
        assert await to_trace(probe, publishes, (tenant, name)) == []
        assert heard == []


async def to_trace(probe: Probe, wanted: list[str], who: tuple[str, str]) -> list[str]:
    """Where the server would tell what became of a message on an agent's own verb, though the agent may not speak there itself."""
    exact, let = [subject for subject in wanted if subject == filled(subject)], list[str]()
    assert len(exact) >= LEAST
    for headers in ({}, {"Nats-Trace-Only": "true"}):
        probe.refused.clear()
        for subject in exact:
            marked = {"Nats-Trace-Dest": subject, "Told": CANARY.decode(), **headers}
            await probe.client.publish(subjects.agent_call(*who, "beat"), b'{"session":"s","leases":[]}', headers=marked)
        await probe.settled()
        assert probe.client.is_connected
        let += [subject for subject in exact if not probe.was_refused("publish", subject)]
    return let


async def _never(message: Msg) -> None:
    raise AssertionError(message.subject)


@pytest.mark.parametrize(
    "reply",
    [
        "cmd.approvals.acme.x.decide",
        "evt.acme.x.task",
        "work.dev.line.P0.acme",
        "told.acme.other.stop",
        "$JS.API.STREAM.DELETE.EVENTS",
        "_INBOX.acme.other.x",
    ],
)
async def test_a_forged_reply_turns_no_service_into_a_messenger(server: NatsServer, reply: str) -> None:
    async with scene(server, "agent by token") as (probe, _, (tenant, name)):
        services = await nats.connect(server.url)
        found: list[str] = []

        async def hear(message: Msg) -> None:
            found.append(message.subject)

        ears = [await services.subscribe(reply, cb=hear)]
        await services.flush()
        await probe.client.publish(subjects.agent_call(tenant, name, "beat"), b'{"session":"s"}', reply=reply)  # type: ignore[arg-type]
        await probe.settled()
        await asyncio.sleep(0.1)
        assert found == []
        assert len(ears) == 1
        streams = await services.jetstream().streams_info()
        assert "EVENTS" in {stream.config.name for stream in streams}
        await services.close()


async def test_one_agent_hears_nothing_that_is_for_another(server: NatsServer) -> None:
    async with scene(server, "agent by token") as (probe, _, _), routed(server) as client:
        client.tenant = ME
        other = Probe()
        await other.open(server.open_url, (ME, "other"), minted("other", Role.AGENT, ME))
        heard: list[str] = []

        async def hear(message: Msg) -> None:
            heard.append(message.subject)

        for mine in (f"_INBOX.{ME}.{MINE}.>", f"told.{ME}.{MINE}.>"):
            await probe.client.subscribe(mine, cb=hear)
        task_id = uuid4().hex
        await client.submit(task_id)
        wish = {"pools": ["dev_agent"], "session": "s", "wait_s": 5}
        reply = await other.client.request(f"agent.{ME}.other.claim", json.dumps(wish).encode(), timeout=10)
        (task,) = json.loads(reply.data)["accepted"]["body"]["tasks"]
        await client.cancel(task_id)
        stolen = json.dumps({**held(task), "reported": "stopped"}).encode()
        refusal = await probe.client.request(f"agent.{ME}.{MINE}.report", stolen, timeout=10)
        assert json.loads(refusal.data)["refused"]["code"] == "LEASE_LOST"
        await other.client.request(f"agent.{ME}.other.report", stolen, timeout=10)
        await probe.settled()
        assert all(subject.startswith(f"_INBOX.{ME}.{MINE}.") for subject in heard)
        assert not any(".stop" in subject for subject in heard)
        await other.client.close()


async def test_a_reply_to_the_ear_of_another_is_never_a_word_to_stop(server: NatsServer) -> None:
    """nats-server takes it there; but it is an answer, whatever was asked, and tells the other agent nothing."""
    async with scene(server, "agent by token") as (probe, _, (tenant, name)):
        other, ear = Probe(), f"told.{ME}.other.stop"
        await other.open(server.open_url, (ME, "other"), minted("other", Role.AGENT, ME))
        hearing = await other.client.subscribe(ear)
        await other.client.flush()
        stopping = {"task_id": "t", "lease": "l", "cause": "cancelled", "by": "eve", "reason": "", "session": "s"}
        for body in ({**stopping, "leases": [stopping]}, stopping, {"leases": 1}):
            await probe.client.publish(subjects.agent_call(tenant, name, "beat"), json.dumps(body).encode(), reply=ear)
            heard = json.loads((await hearing.next_msg(5)).data)
            assert set(heard) == {"accepted", "refused"}
            with pytest.raises(ValidationError):
                Stopping.model_validate(heard)
        await other.client.close()


async def test_agents_have_no_jetstream(server: NatsServer) -> None:
    async with scene(server, "agent by token") as (probe, _, _):
        with pytest.raises((NatsError, TimeoutError)):
            await probe.client.jetstream(timeout=0.5).account_info()

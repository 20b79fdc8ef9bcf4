"""Realtime: what a ticket lets its holder hear, live and from before, by WebSocket and as events."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from aiohttp import ClientPayloadError, ClientSession, ClientTimeout, WSMsgType

from tests.dialects.omni.hearing import KEY, events, hearing, kinds, signer, token
from tests.dialects.omni.stories import CALLERS, JOB, TASK, merged, runs_ill, runs_well, started, submitted
from tests.dialects.omnis import OmniTerms
from tests.dialects.world import EPOCH, World, served, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.run import Phase, PhaseBegan
from trunkline.contracts.task import Visibility
from trunkline_gateway.dialects.omni import encode
from trunkline_gateway.dialects.omni.names import STATUS, UPDATE
from trunkline_gateway.sockets import Manners
from trunkline_gateway.sse import StreamLimits

WHOLE = ["IN_PROGRESS", "log", "log", "log", "log", "log", "log", "result", "done", "DONE"]
TS_1 = 1736676000000
FRAME = ["kind", "channel", "topic", "data", "run_id", "fn_id", "created_at", "env_id", "stream_id"]


def small() -> World:
    return World(omni=OmniTerms(signing_keys=(KEY,)))


async def test_a_subscriber_hears_a_job_from_its_start_to_its_end() -> None:
    world = small()
    async with talking(world) as session, hearing(session, await token(session)) as heard:
        await world.say(TASK, submitted())
        await runs_well(world)
        frames = await heard.until(10)
    assert kinds(frames) == WHOLE
    assert [list(frame) for frame in frames] == [FRAME] * 10
    assert {(f["channel"], f["run_id"], f["fn_id"], f["env_id"]) for f in frames} == {("tasks", JOB, "process-knowledge", HOME)}
    assert frames[0]["created_at"] == "2025-01-12T10:00:01.000Z"
    assert frames[7]["data"] == {
        "taskId": CALLERS,
        "message": {"type": "result", "format": "text", "data": "It is about trees.", "jobId": JOB, "ts": TS_1 + 8000},
    }


async def test_a_ticket_for_one_topic_gets_that_topic_alone() -> None:
    world = small()
    async with (
        talking(world) as session,
        hearing(session, await token(session, (STATUS,))) as status,
        hearing(session, await token(session, (UPDATE,))) as update,
        hearing(session, await token(session, (STATUS, "other"))) as more,
    ):
        await world.say(TASK, submitted())
        await runs_ill(world)
        assert kinds(await status.until(2)) == ["IN_PROGRESS", "DONE"]
        assert kinds(await update.until(3)) == ["log", "error", "done"]
        assert kinds(await more.until(2)) == ["IN_PROGRESS", "DONE"]


NONE_OF_OURS = ("tasks:ann", "*", ">", "tasks.*", "tasks/../tasks", "tasks ", "TASKS", "evt.public.>", "x" * 1024)


async def test_a_ticket_for_another_channel_or_topic_gets_nothing_and_no_name_stands_for_several() -> None:
    world = small()
    async with talking(world) as session, AsyncExitStack() as stack:
        tickets = [await token(session, channel=name) for name in NONE_OF_OURS]
        tickets += [await token(session, (name,)) for name in (*NONE_OF_OURS, "secrets", "Update", "update,status")]
        others = [await stack.enter_async_context(hearing(session, ticket)) for ticket in tickets]
        right = await stack.enter_async_context(hearing(session, await token(session)))
        await world.say(TASK, submitted())
        await runs_ill(world)
        await right.until(5)
        for heard in others:
            await heard.ws.ping()
            async with asyncio.timeout(10):
                assert (await heard.ws.receive()).type is WSMsgType.PONG, "the first thing that came"


async def test_a_ticket_of_another_tenant_hears_that_tenant_alone() -> None:
    world = small()
    theirs = signer().mint_ticket("realtime", Principal(TenantId("acme"), "bob", Role.USER), {"channel": "tasks", "topics": [STATUS]}, 60)
    async with talking(world) as session, hearing(session, theirs.text) as heard:
        for task, tenant, name in ((TASK, HOME, "ours"), ("a1" * 16, "acme", "theirs")):
            await world.say(task, submitted(name), *started(), tenant=tenant)
        frames = await heard.until(1)
    assert [(frame["data"]["taskId"], frame["env_id"]) for frame in frames] == [("theirs", "acme")]


async def test_another_tenants_jobs_and_private_ones_are_not_heard() -> None:
    world = small()
    async with talking(world) as session, hearing(session, await token(session)) as heard:
        await world.say("a1" * 16, submitted("theirs"), tenant="acme")
        await world.say("b2" * 16, submitted("hidden", visibility=Visibility.OWNER))
        await world.say("c3" * 16, submitted("of another surface", surface="pr_agent"))
        for task in ("b2" * 16, "c3" * 16):
            await runs_ill(world, task)
        await world.say(TASK, submitted())
        await runs_ill(world)
        frames = await heard.until(5)
    assert {frame["data"]["taskId"] for frame in frames} == {CALLERS}


async def test_history_comes_first_when_the_ticket_asks_for_it_without_gap_or_repeat() -> None:
    world = small()
    await world.say(TASK, submitted())
    await runs_well(world)
    async with talking(world) as session:
        async with hearing(session, await token(session, history=True)) as late, hearing(session, await token(session)) as live:
            await world.say(TASK, merged())
            assert kinds(await late.until(11)) == [*WHOLE, "MERGED"]
            assert kinds(await live.until(1)) == ["MERGED"]
            places = [frame["stream_id"] for frame in late.frames]
            assert len(set(places)) == 11
        async with hearing(session, await token(session), lastEventId=places[8]) as back:
            assert [frame["stream_id"] for frame in await back.until(2)] == places[9:]


async def test_history_since_a_moment_leaves_out_what_was_before() -> None:
    world = small()
    await world.say(TASK, submitted())
    await runs_ill(world)
    later = TS_1 + 1000 * len(world.events)
    await world.say("d4" * 16, submitted("second", "job_2"))
    await runs_ill(world, "d4" * 16)
    async with talking(world) as session, hearing(session, await token(session, since=later)) as heard:
        assert {frame["data"]["taskId"] for frame in await heard.until(5)} == {"second"}


async def test_a_job_that_began_before_anybody_listened_goes_on_where_it_is() -> None:
    world = small()
    await world.say(TASK, submitted())
    await world.say(TASK, *started())
    async with talking(world) as session, hearing(session, await token(session)) as heard:
        await runs_ill(world)
        assert kinds(await heard.until(3)) == ["error", "done", "DONE"]


async def test_the_same_comes_as_events_with_ids_and_goes_on_from_one() -> None:
    world = small()
    await world.say(TASK, submitted())
    await runs_well(world)
    async with talking(world) as session:
        jwt = await token(session, history=True)
        async with session.get("/v1/realtime/sse", params={"token": jwt}) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            whole = await events(answer, 10)
        assert kinds([frame for _, frame in whole]) == WHOLE
        assert [place for place, _ in whole] == [frame["stream_id"] for _, frame in whole]
        last = {"Last-Event-ID": whole[7][0]}
        async with session.get("/v1/realtime/sse", params={"token": jwt}, headers=last) as answer:
            assert await events(answer, 2) == whole[8:]


async def test_an_id_of_a_lost_log_is_said_aloud() -> None:
    world = small()
    async with talking(world) as session:
        jwt = await token(session)
        async with session.get("/v1/realtime/sse", params={"token": jwt}, headers={"Last-Event-ID": "old1-7_0"}) as answer:
            async with asyncio.timeout(5):
                lines = [await answer.content.readline() for _ in range(3)]
            assert lines[2].startswith(b": gap")
            await world.say(TASK, submitted())
            await runs_ill(world)
            assert len(await events(answer, 5)) == 5


async def test_an_id_that_nobody_gave_hides_nothing_of_what_comes() -> None:
    world = small()
    async with talking(world) as session, hearing(session, await token(session), lastEventId=f"{EPOCH}-999999_0") as heard:
        await world.say(TASK, submitted())
        await runs_ill(world)
        assert len(await heard.until(5)) == 5


async def test_whoever_hears_nothing_is_pinged_by_both_means() -> None:
    world = World(omni=OmniTerms(signing_keys=(KEY,), manners=Manners(encode.PING, ping_s=0.05)))
    async with talking(world) as session, hearing(session, await token(session)) as heard:
        async with asyncio.timeout(10):
            while len(heard.others) < 4:
                await heard.one()
    assert [other["kind"] if isinstance(other, dict) else other.type for other in heard.others[:4]] == [WSMsgType.PING, "ping"] * 2


async def test_whoever_answers_no_ping_is_cut() -> None:
    world = World(omni=OmniTerms(signing_keys=(KEY,), manners=Manners(encode.PING, ping_s=0.05, silent_s=0.2)))
    async with talking(world) as session:
        query = {"token": await token(session)}
        async with session.ws_connect("/v1/realtime/connect", params=query, autoping=False) as ws:
            async with asyncio.timeout(10):
                while (await ws.receive()).type in (WSMsgType.PING, WSMsgType.TEXT):
                    pass


async def test_a_reader_that_takes_nothing_is_cut_and_the_others_hear_on() -> None:
    world = small()
    limits = StreamLimits(buffer=16 << 10)
    async with served(world, limits) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(30)) as session:
        jwt = await token(session)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]), limit=1 << 10)
        upgrade = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        writer.write(f"GET /v1/realtime/connect?token={jwt} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        async with hearing(session, jwt) as heard:
            await world.say(TASK, submitted())
            await world.say(TASK, *started())
            for _ in range(100):
                await world.say(TASK, PhaseBegan(phase=Phase.AGENT, message="x" * 100_000))
            assert len(await heard.until(102)) == 102
            async with asyncio.timeout(10):
                try:
                    while await reader.read(1 << 20):
                        pass
                except ConnectionResetError:
                    pass
        writer.close()


async def test_a_stop_closes_every_connection_cleanly() -> None:
    world = small()
    async with served(world) as gateway, ClientSession(gateway.url) as session, hearing(session, await token(session)) as heard:
        gateway.streams.end()
        async with asyncio.timeout(10):
            message = await heard.ws.receive()
        assert (message.type, heard.ws.close_code) == (WSMsgType.CLOSE, 1001)


async def test_a_revoked_ticket_ends_what_is_open_and_lets_nobody_in() -> None:
    world = World(omni=OmniTerms(signing_keys=(KEY,), manners=Manners(encode.PING, ping_s=0.05)))
    async with talking(world) as session:
        jwt = await token(session)
        async with hearing(session, jwt) as heard:
            world.roll.tokens.append(signer().verify_ticket("realtime", jwt).token)
            async with asyncio.timeout(10):
                while (await heard.ws.receive()).type in (WSMsgType.PING, WSMsgType.TEXT):
                    pass
        async with session.get("/v1/realtime/sse", params={"token": jwt}) as answer:
            assert answer.status == 401
            assert (await answer.json())["error"]["code"] == "TOKEN_REVOKED"


async def test_a_quiet_reader_of_events_is_gone_long_before_its_next_sign_of_life() -> None:
    world = small()
    async with served(world, StreamLimits(heartbeat=120, stall=2)) as gateway, ClientSession(gateway.url) as session:
        jwt = await token(session)
        async with (
            session.get("/v1/realtime/sse", params={"token": jwt}) as shut_out,
            session.get("/v1/realtime/sse", params={"token": await token(session)}) as stays,
        ):
            assert shut_out.status == stays.status == 200
            world.roll.tokens.append(signer().verify_ticket("realtime", jwt).token)
            async with asyncio.timeout(20):
                with suppress(ClientPayloadError):
                    await shut_out.content.read()
            await world.say(TASK, submitted())
            await world.say(TASK, *started())
            async with asyncio.timeout(20):
                while b"IN_PROGRESS" not in await stays.content.readline():
                    pass


async def test_a_ticket_ends_with_the_token_that_it_was_got_with_and_with_no_other() -> None:
    principal = Principal(HOME, "ann", Role.AGENT)
    world = World(omni=OmniTerms(manners=Manners(encode.PING, ping_s=0.05)), principal=principal)
    mine, other = signer().mint(principal, 600).text, signer().mint(principal, 600).text
    async with talking(world) as session:
        first, second = await token(session, shown=mine), await token(session, shown=other)
        async with hearing(session, first) as heard, hearing(session, second) as stays:
            world.roll.tokens.append(signer().verify(mine))
            async with asyncio.timeout(10):
                while (await heard.ws.receive()).type in (WSMsgType.PING, WSMsgType.TEXT):
                    pass
            for way in ("connect", "sse"):
                async with session.get(f"/v1/realtime/{way}", params={"token": first}) as answer:
                    assert (answer.status, (await answer.json())["error"]["code"]) == (401, "TOKEN_REVOKED")
            await world.say(TASK, submitted())
            await runs_ill(world)
            assert len(await stays.until(5)) == 5


async def test_more_readers_than_there_is_room_for_are_refused_in_the_surfaces_shape() -> None:
    world = small()
    async with served(world, StreamLimits(readers=2)) as gateway, ClientSession(gateway.url) as session:
        jwt = await token(session)
        async with hearing(session, jwt), session.get("/v1/realtime/sse", params={"token": jwt}) as stream:
            assert stream.status == 200
            for way, headers in (
                ("sse", {}),
                ("connect", {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}),
            ):
                shown = {**headers, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} if headers else {}
                async with session.get(f"/v1/realtime/{way}", params={"token": jwt}, headers=shown) as answer:
                    said = await answer.json()
                    assert (answer.status, list(said), list(said["error"])) == (503, ["error"], ["code", "message", "details"])
                    assert (said["error"]["code"], answer.headers["Retry-After"]) == ("NO_ROOM", "2")
                    assert answer.headers["Connection"] == "close", "a crowd at the door holds no files"


async def test_beyond_the_bound_the_rest_hear_on_and_the_gateway_answers() -> None:
    world, most = small(), 30
    async with served(world, StreamLimits(readers=most)) as gateway, ClientSession(gateway.url) as session:
        jwt = await token(session)
        address = {"token": jwt}
        sockets = [await session.ws_connect("/v1/realtime/connect", params=address) for _ in range(most)]
        try:
            for _ in range(3 * most):
                async with session.get("/v1/realtime/sse", params=address) as refused:
                    assert refused.status == 503
            assert len(gateway.streams) == 0, "nothing is kept of whoever was refused"
            assert await token(session), "whatever is no stream is answered"
            await world.say(TASK, submitted())
            await runs_ill(world)
            for ws in sockets:
                async with asyncio.timeout(10):
                    places = [(await ws.receive_json())["stream_id"] for _ in range(5)]
                assert places == sorted(set(places)), "each message once"
            await sockets.pop().close()
            async with asyncio.timeout(10):
                while (again := await session.get("/v1/realtime/sse", params=address)).status == 503:
                    again.close()
                again.close()
        finally:
            for ws in sockets:
                await ws.close()


async def test_many_subscribers_share_one_reading_of_the_log() -> None:
    world = small()
    async with talking(world) as session:
        jwt = await token(session)
        sockets = [await session.ws_connect("/v1/realtime/connect", params={"token": jwt}) for _ in range(40)]
        try:
            await world.say(TASK, submitted())
            await runs_ill(world)
            for ws in sockets:
                async with asyncio.timeout(10):
                    assert [(await ws.receive_json())["topic"] for _ in range(5)] == [STATUS, UPDATE, UPDATE, UPDATE, STATUS]
            assert world.readers == 1
        finally:
            for ws in sockets:
                await ws.close()

"""Repeats of a request, on a real nats-server: one effect, one answer, whoever asks, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from tests.flows.small_gateway import Small, back, remembering, small, together
from tests.stopping import standing_still
from trunkline.bus import Bus, BusSettings, connect
from trunkline.bus.streams import MEMO
from trunkline.contracts.errors import Conflict, Invalid, Unavailable
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_gateway.adapters import memory as memories
from trunkline_gateway.adapters.memory import BusMemory
from trunkline_gateway.ports import Claim

ANN = {"Authorization": "Bearer agent:ann", "Idempotency-Key": "k-1"}
pytestmark = pytest.mark.flow


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


async def test_a_repeat_gets_the_stored_answer_and_does_nothing(bus: Bus) -> None:
    dialect = Small()
    async with small(dialect, memory=remembering(bus)) as site:
        first, again = [await site.post("/tasks", headers=ANN, json={"a": 1}) for _ in range(2)]
        assert (first.status, again.status) == (201, 201)
        assert await first.read() == await again.read()
        assert again.content_type == first.content_type == "application/json"
        assert [said.headers.get("Idempotency-Replayed") for said in (first, again)] == [None, "true"]
    assert len(dialect.made) == 1


async def test_another_body_under_the_same_key_is_refused(bus: Bus) -> None:
    dialect = Small()
    async with small(dialect, memory=remembering(bus)) as site:
        await site.post("/tasks", headers=ANN, json={"a": 1})
        for body in ({"a": 2}, {"a": 1, "b": 2}, None):
            async with site.post("/tasks", headers=ANN, json=body) as other:
                assert (other.status, (await other.json())["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(dialect.made) == 1


async def test_a_key_says_nothing_about_another_path_another_query_or_another_caller(bus: Bus) -> None:
    dialect = Small()
    callers = [{**ANN, "Authorization": f"Bearer {who}"} for who in ("agent:ann", "agent:bob", "agent:ann@acme", "admin:cat")]
    async with small(dialect, memory=remembering(bus)) as site:
        answers = [await site.post(path, headers=headers) for headers in callers for path in ("/tasks", "/tasks?x=1", "/open")]
        ids = [(await answer.json())["id"] for answer in answers]
    assert len(set(ids)) == len(dialect.made) == len(callers) * 3


@pytest.mark.parametrize("body", [b"", b"not json", b"[]"])
async def test_an_answer_that_refuses_is_repeated_too(bus: Bus, body: bytes) -> None:
    async def refuse(request: web.Request) -> web.Response:
        raise Invalid("no", code="NO")

    async with small(Small(refuse), memory=remembering(bus)) as site:
        said = []
        for _ in range(2):
            async with site.post("/tasks", headers={**ANN, "Content-Type": "application/json"}, data=body) as answer:
                said.append((answer.status, await answer.read()))
        assert said[0][0] == 400
        assert said[0] == said[1]


async def test_of_32_callers_with_one_key_at_one_moment_one_works(server: NatsServer) -> None:
    """The one is done when the others have been told."""
    told = asyncio.Semaphore(0)

    async def slow(request: web.Request) -> web.Response:
        for _ in range(31):
            await told.acquire()
        return web.json_response({"n": len(dialect.made)}, status=201)

    dialect = Small(slow)
    async with AsyncExitStack() as stack:
        sites: list[ClientSession] = []
        for number in range(2):
            bus = await stack.enter_async_context(connect(BusSettings(nats_url=server.url), f"g{number}"))
            sites.append(await stack.enter_async_context(small(dialect, memory=remembering(bus))))

        async def ask(number: int) -> tuple[int, str | None, bool]:
            async with sites[number % 2].post("/tasks", headers=ANN, json={}) as answer:
                code = (await answer.json()).get("code")
                told.release()
                return answer.status, code, int(answer.headers.get("Retry-After", "0")) in range(1, 16)

        seen = Counter(await together(32, ask))
        assert seen[(201, None, False)] == 1
        assert seen[(409, "IN_PROGRESS", True)] == 31
        assert (await ask(0))[0] == 201
    assert len(dialect.made) == 1


async def test_when_nobody_knows_what_was_done_the_repeat_works_with_the_same_ids(bus: Bus) -> None:
    failing = [Unavailable("away"), RuntimeError("a defect")]

    async def fail(request: web.Request) -> web.Response:
        if failing:
            raise failing.pop()
        return web.json_response({}, status=201)

    dialect = Small(fail)
    async with small(dialect, memory=remembering(bus)) as site:
        assert [(await site.post("/tasks", headers=ANN)).status for _ in range(3)] == [500, 503, 201]
        async with site.post("/tasks", headers=ANN, json={"other": "body"}) as other:
            assert other.status == 422
    assert len(dialect.made) == 3
    assert len(set(dialect.made)) == 1


async def test_a_refusal_before_anything_was_done_frees_the_key(bus: Bus) -> None:
    async with small(Small(), memory=remembering(bus)) as site:
        async with site.post("/tasks", headers=ANN, data=b"{}") as answer:
            assert answer.status == 415
        async with site.post("/tasks", headers=ANN, json={"a": 1}) as answer:
            assert (answer.status, answer.headers.get("Idempotency-Replayed")) == (201, None)


async def test_a_key_that_was_freed_already_is_as_good(bus: Bus) -> None:
    """The bus may do it and die before it says so; what it says of one that is gone depends on what lies around it."""
    memory = remembering(bus)
    first, middle, last = [await memory.claim(name, "digest") for name in "abc"]
    for claim in (middle, middle, last, last, first, first):
        assert isinstance(claim, Claim)
        await memory.forget(claim)


async def test_what_the_handler_refuses_in_its_own_words_is_kept(bus: Bus) -> None:
    async def conflict(request: web.Request) -> web.Response:
        raise Conflict("over", code="OVER")

    dialect = Small(conflict)
    async with small(dialect, memory=remembering(bus)) as site:
        assert [(await site.post("/tasks", headers=ANN)).status for _ in range(2)] == [409, 409]
    assert len(dialect.made) == 1


async def test_a_gateway_that_dies_at_work_is_succeeded_after_its_lease_with_the_same_ids(bus: Bus) -> None:
    dialect = Small()
    async with small(dialect, memory=Deaf(remembering(bus))) as dying:
        assert (await dying.post("/tasks", headers=ANN)).status == 201  # done, and nobody wrote it down
    async with small(dialect, memory=remembering(bus)) as site:
        assert (await site.post("/tasks", headers=ANN)).status == 409
    async with small(dialect, memory=remembering(bus, lease=0.0)) as site:  # for which it is over
        assert [(await site.post("/tasks", headers=ANN)).status for _ in range(2)] == [201, 201]
    assert len(dialect.made) == 2
    assert len(set(dialect.made)) == 1


class Deaf:
    """A memory that a gateway claims from and is killed before it says anything more."""

    def __init__(self, memory: object) -> None:
        self.claim = memory.claim  # type: ignore[attr-defined]

    async def keep(self, claim: Claim, answer: object) -> None: ...

    async def reopen(self, claim: Claim) -> None: ...

    async def forget(self, claim: Claim) -> None: ...


@pytest.mark.parametrize("asked_at", [0.005, 0.4, 1.0, 3.0, 14.9])
def test_a_client_of_a_gateway_that_died_has_its_answer_in_a_quarter_of_a_minute_and_spends_few_askings_on_it(asked_at: float) -> None:
    age, askings = asked_at, 0
    while age < memories.LEASE:
        age += memories.again_in(age, memories.LEASE)
        askings += 1
    assert age <= 16
    assert askings <= 4, "five of a kind are all that a minute allows"


async def test_a_client_that_leaves_may_come_back_at_once(bus: Bus) -> None:
    working = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        if not working.is_set():
            working.set()
            await asyncio.sleep(30)
        return web.json_response({}, status=201)

    dialect = Small(hang)
    async with small(dialect, memory=remembering(bus)) as site:
        leaving = asyncio.ensure_future(site.post("/tasks", headers=ANN))
        await working.wait()
        leaving.cancel()
        assert await status_beyond_conflict(site) == 201
    assert len(set(dialect.made)) == 1


def pid_of(server: NatsServer) -> int:
    assert server.process
    return server.process.pid


@asynccontextmanager
async def tying(memory: BusMemory) -> AsyncIterator[None]:
    """As a gateway does beside everything else."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(memory.tie_loose_ends())
        yield
        task.cancel()


async def status_beyond_conflict(site: ClientSession, **body: object) -> int:
    """Of a request that is repeated as it says, for as long as somebody else may be working on it."""
    async with asyncio.timeout(30):
        while (status := (await site.post("/tasks", headers=ANN, json=body or None)).status) == 409:  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.05)
    return status


async def claimed_in_vain(site: ClientSession, server: NatsServer) -> None:
    """A request that the bus was asked about and did not answer; then it answers again, within what time it takes."""
    with standing_still(pid_of(server)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(memories, "CLAIMS_WITHIN", 0.5)
        assert (await site.post("/tasks", headers=ANN, json={"a": 1})).status == 503


async def test_a_key_is_free_at_once_when_nothing_was_begun_under_it(bus: Bus, server: NatsServer) -> None:
    """The claim that nobody waited for any more is stored when the bus goes on, and holds nothing up: not even another body."""
    dialect, memory = Small(), remembering(bus)
    async with small(dialect, memory=memory) as site:
        await claimed_in_vain(site, server)
        assert (await site.post("/tasks", headers=ANN, json={"b": 2})).status == 201
    assert len(dialect.made) == 1


async def test_another_gateway_does_not_wait_for_a_claim_that_was_given_up(bus: Bus, server: NatsServer) -> None:
    dialect, memory = Small(), remembering(bus)
    async with small(dialect, memory=memory) as site, small(dialect, memory=remembering(bus)) as other, tying(memory):
        await claimed_in_vain(site, server)
        assert await status_beyond_conflict(other, a=1) == 201
    assert len(dialect.made) == 1


async def test_a_repeat_after_a_bus_that_stood_still_finds_out_what_became_of_it(bus: Bus, server: NatsServer) -> None:
    """Whoever works on it again makes the same under the same ids."""
    standing = AsyncExitStack()

    async def away(request: web.Request) -> web.Response:
        if len(dialect.made) == 1:
            standing.enter_context(standing_still(pid_of(server)))
            raise Unavailable("away")
        return web.json_response({}, status=201)

    dialect, memory = Small(away), remembering(bus)
    async with small(dialect, memory=memory) as site, small(dialect, memory=remembering(bus)) as other, standing, tying(memory):
        assert (await site.post("/tasks", headers=ANN)).status == 503
        await standing.aclose()
        assert (await site.post("/tasks", headers=ANN)).status == 201
        assert await status_beyond_conflict(other) == 201
    assert len(dialect.made) == 2
    assert len(set(dialect.made)) == 1


async def test_an_answer_that_could_not_be_kept_is_kept_when_the_bus_is_back(bus: Bus, server: NatsServer) -> None:
    standing = AsyncExitStack()

    async def done(request: web.Request) -> web.Response:
        standing.enter_context(standing_still(pid_of(server)))
        return web.json_response({"n": len(dialect.made)}, status=201)

    dialect, memory = Small(done), remembering(bus)
    async with small(dialect, memory=memory) as site, small(dialect, memory=remembering(bus)) as other, standing, tying(memory):
        first = await (await site.post("/tasks", headers=ANN)).json()
        await standing.aclose()
        async with site.post("/tasks", headers=ANN) as again:
            assert (again.status, await again.json(), again.headers["Idempotency-Replayed"]) == (201, first, "true")
        assert await status_beyond_conflict(other) == 201
    assert len(dialect.made) == 1


@pytest.mark.parametrize("key", ["", "a b", "ümlaut", "x" * 256])
async def test_a_key_that_is_none_is_refused(bus: Bus, key: str) -> None:
    dialect = Small()
    async with small(dialect, memory=remembering(bus)) as site:
        headers = {**ANN, "Idempotency-Key": key}
        async with site.post("/tasks", headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "INVALID_IDEMPOTENCY_KEY")
        assert (await site.post("/tasks", headers={**ANN, "Idempotency-Key": "x" * 255})).status == 201
    assert len(dialect.made) == 1


async def test_two_keys_contradict(bus: Bus) -> None:
    async with small(Small(), memory=remembering(bus)) as site:
        headers = [("Authorization", "Bearer agent:ann"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        assert (await site.post("/tasks", headers=headers)).status == 400


async def test_a_token_is_never_stored_nor_is_what_a_read_answers(bus: Bus) -> None:
    dialect = Small()
    async with small(dialect, memory=remembering(bus)) as site:
        await site.post("/token", headers=ANN)
        await site.get("/tasks", headers=ANN)
    assert (await bus.client.jetstream().stream_info(MEMO)).state.messages == 0


async def test_a_body_is_stored_only_as_its_digest(bus: Bus) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    async with small(Small(answer), memory=remembering(bus)) as site:
        await site.post("/tasks", headers={**ANN, "Idempotency-Key": "canary-key"}, json={"token": "canary-body"})
    found = await bus.client.jetstream().get_msg(MEMO, 2)
    assert "canary" not in f"{found.subject} {found.headers} {found.data!r}"


async def test_answers_are_kept_for_a_day_on_disk_one_for_each_request(bus: Bus) -> None:
    config = (await bus.client.jetstream().stream_info(MEMO)).config
    assert (config.max_age, config.max_msgs_per_subject, config.storage) == (86400, 1, "file")


async def test_without_nats_server_a_request_with_a_key_is_not_begun(bus: Bus, server: NatsServer) -> None:
    dialect = Small()
    async with small(dialect, memory=remembering(bus)) as site:
        server.kill()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memories, "CLAIMS_WITHIN", 0.5)
            assert (await site.post("/tasks", headers=ANN)).status == 503
        await back(server, bus)
    assert dialect.made == []

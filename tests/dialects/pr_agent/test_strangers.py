"""Strangers go by one name and are told apart all the same: by where they ask from, and by the fingerprint that a job was sent with."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.world import World, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.task import CancelTask, SubmitTask, TaskSubmitted
from trunkline.contracts.views import FINGERPRINT
from trunkline_gateway.adapters.limiter import Source, Unlimited
from trunkline_gateway.settings import LIMITS

ROOT = "/api/pr-agent"
HERE, THERE = "203.0.113.7", "198.51.100.9"
MINE, OTHERS = "browser-of-mine", "browser-of-others"


def world() -> World:
    """Behind a proxy that is believed: a test says where it asks from."""
    return World(limiter=Unlimited(frozenset(LIMITS), Source((ip_network("127.0.0.0/8"),))))


async def job(session: ClientSession, address: str = HERE, **fields: Any) -> str:
    body = {"repo": "o/n", "task": "Fix it", **fields}
    async with session.post(f"{ROOT}/execute", json=body, headers={"X-Forwarded-For": address}) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["jobId"])


async def cancelled(session: ClientSession, job: str, address: str, **body: Any) -> tuple[int, str]:
    """The status, and the code of a refusal. A client that has nothing to say sends no body at all."""
    sent = {"json": body} if body else {}
    async with session.post(f"{ROOT}/{job}/cancel", headers={"X-Forwarded-For": address}, **sent) as answer:
        return answer.status, str((await answer.json()).get("code", ""))


DONE, REFUSED = (202, ""), (401, "AUTH_REQUIRED")


@pytest.mark.parametrize(
    ("sent_with", "address", "shown", "expected"),
    [
        (None, HERE, None, DONE),
        (None, THERE, None, REFUSED),
        (None, THERE, MINE, REFUSED),
        (None, HERE, MINE, DONE),
        (MINE, HERE, None, DONE),
        (MINE, HERE, MINE, DONE),
        (MINE, HERE, OTHERS, REFUSED),
        (MINE, THERE, MINE, DONE),
        (MINE, THERE, None, REFUSED),
        (MINE, THERE, OTHERS, REFUSED),
        ("short", THERE, "short", REFUSED),
        ("short", HERE, "short", DONE),
        ("short", HERE, "other", REFUSED),
        (" " * 9, THERE, " " * 9, REFUSED),
        ("", THERE, "", REFUSED),
        (f"ghp_{'a' * 36}", THERE, f"ghp_{'a' * 36}", REFUSED),
        (f"ghp_{'a' * 36}", THERE, "[redacted:github-token]", REFUSED),
    ],
)
async def test_a_stranger_cancels_what_it_sent_and_nothing_else(
    sent_with: str | None, address: str, shown: str | None, expected: tuple[int, str]
) -> None:
    told = world()
    async with talking(told) as session:
        made = await job(session, **({} if sent_with is None else {"clientFingerprint": sent_with}))
        assert await cancelled(session, made, address, **({} if shown is None else {"clientFingerprint": shown})) == expected
    assert any(isinstance(command, CancelTask) for command in told.sent) is (expected == DONE)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", DONE),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", REFUSED),
        ("::ffff:203.0.113.7", HERE, DONE),
        ("127.0.0.1", "::1", DONE),
        ("127.0.0.1", HERE, REFUSED),
    ],
)
async def test_addresses_are_told_apart_as_the_limits_tell_them(one: str, other: str, expected: tuple[int, str]) -> None:
    async with talking(world()) as session:
        assert await cancelled(session, await job(session, one), other) == expected


async def test_a_forged_address_is_nobodys_where_no_proxy_is_believed() -> None:
    async with talking(World()) as session:
        assert await cancelled(session, await job(session, HERE), THERE) == DONE, "both came from here"


async def test_the_refusal_says_what_would_help_in_the_shape_of_the_surface() -> None:
    async with talking(world()) as session:
        made = await job(session, clientFingerprint=MINE)
        async with session.post(f"{ROOT}/{made}/cancel", headers={"X-Forwarded-For": THERE}) as answer:
            said = await answer.json()
    assert (answer.status, said.keys()) == (401, {"error", "message", "code", "details"})
    assert "clientFingerprint" in said["error"]
    assert MINE not in str(said)


async def test_a_strangers_job_of_before_is_ended_by_its_fingerprint_or_by_those_of_the_house() -> None:
    told = world()
    async with talking(told) as session:
        made = [await job(session, **fields) for fields in ({}, {}, {"clientFingerprint": MINE})]
        told.events = [_as_before(event) for event in told.events]
        assert await cancelled(session, made[0], HERE) == REFUSED
        assert await cancelled(session, made[2], THERE, clientFingerprint=MINE) == DONE
        told.principal = Principal(HOME, "root", Role.ADMIN)
        assert await cancelled(session, made[1], THERE) == DONE


def _as_before(event: Any) -> Any:
    if not isinstance(event.fact, TaskSubmitted):
        return event
    assignment = event.fact.assignment.model_copy(update={"sent_from": ""})
    return replace(event, fact=event.fact.model_copy(update={"assignment": assignment}))


async def test_what_is_kept_of_an_address_names_nobody_and_ties_no_two_jobs_together() -> None:
    told = world()
    async with talking(told) as session:
        for _ in range(2):
            await job(session)
    marks = [command.assignment.sent_from for command in told.sent if isinstance(command, SubmitTask)]
    assert len({*marks}) == 2
    assert all(len(mark) >= 16 for mark in marks)
    assert HERE not in repr(told.sent) + repr(told.events)


async def test_whoever_has_a_name_leaves_no_mark_of_where_it_was() -> None:
    told = world()
    told.principal = Principal(HOME, "github:7", Role.GUEST)
    async with talking(told) as session:
        await job(session)
    assert [command.assignment.sent_from for command in told.sent if isinstance(command, SubmitTask)] == [""]


EVERYWHERE = (
    f"{ROOT}/{{job}}", f"{ROOT}/{{job}}/stream", f"{ROOT}/{{job}}/watch", f"{ROOT}/{{job}}/replay?speed=100",
    "/tasks/task_{task}", "/tasks/task_{task}/events", "/tasks/task_{task}/events?limit=50", "/tasks?limit=100",
    "/tasks/task_{task}/messages", "/stats", "/health",
)  # fmt: skip


@pytest.mark.parametrize("who", [ANONYMOUS, Principal(HOME, "github:7", Role.GUEST), Principal(HOME, "ann", Role.AGENT),
                                 Principal(HOME, "root", Role.ADMIN)])  # fmt: skip
async def test_a_fingerprint_and_a_mark_are_shown_nowhere(who: Principal) -> None:
    """Whoever sees a job would else be its sender."""
    told = world()
    async with talking(told) as session:
        made = await job(session, clientFingerprint=MINE)
        task = made.replace("-", "")
        [command] = [command for command in told.sent if isinstance(command, SubmitTask)]
        assert command.assignment.labels[FINGERPRINT] == MINE
        said = await cancelled(session, made, HERE)
        told.principal = who
        answers = [said]
        for path in EVERYWHERE:
            async with session.get(path.format(job=made, task=task)) as answer:
                answers.append((answer.status, await answer.text()))
    assert 200 in {status for status, _ in answers}
    assert MINE not in repr(answers)
    assert command.assignment.sent_from not in repr(answers)

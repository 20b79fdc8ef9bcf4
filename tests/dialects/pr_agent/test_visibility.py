"""Who sees which job: open ones whoever knows their id, private ones whoever submitted them, and nobody cancels what is not theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError
from pydantic import SecretStr

from tests.dialects.pr_agent.guests import OPEN, ROOT, SECRET, Place, place
from trunkline.auth.keys import OPERATOR
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import Assignment, TaskSucceeded, Visibility
from trunkline_gateway.usecases.guests import BELIEVED_S, GOOD_S

MISSING = "0194589f6d007000800000000000dead"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path) as made:
        yield made


async def seen(hub: Place, job: str, who: str) -> dict[str, int]:
    """What becomes of everything that can be asked about a job."""
    headers = {"Authorization": f"Bearer {hub.tokens.get(who, who)}"} if who else {}
    found: dict[str, int] = {"job": (await hub.ask("GET", f"/{job}", who))[0]}
    for name, query in {"stream": "", "replay": "?speed=100"}.items():
        async with hub.session.get(f"{ROOT}/{job}/{name}{query}", headers=headers) as answer:
            found[name] = answer.status
    found["cancel"] = (await hub.ask("POST", f"/{job}/cancel", who))[0]
    return found


ALL, LOOKS, NOTHING = [200, 200, 200, 202], [200, 200, 200], [404, 404, 404, 404]


@pytest.mark.parametrize(
    ("maker", "repo", "who", "expected"),
    [
        ("ann", OPEN, "ann", ALL),
        ("ann", OPEN, "bob", [*LOOKS, 403]),
        ("ann", OPEN, "", [*LOOKS, 401]),
        ("ann", OPEN, "operator", ALL),
        ("ann", SECRET, "ann", ALL),
        ("ann", SECRET, "bob", NOTHING),
        ("ann", SECRET, "", NOTHING),
        ("ann", SECRET, "operator", ALL),
        ("", OPEN, "ann", [*LOOKS, 403]),
        ("", OPEN, "", ALL),
        ("", OPEN, "operator", ALL),
        ("operator", OPEN, "ann", NOTHING),
        ("operator", OPEN, "", NOTHING),
        ("operator", OPEN, "operator", ALL),
        ("ann", OPEN, "elsewhere", NOTHING),
        ("", OPEN, "elsewhere", NOTHING),
    ],
)
async def test_nothing_crosses(hub: Place, maker: str, repo: str, who: str, expected: list[int]) -> None:
    ours = {"operator": OPERATOR, "elsewhere": Principal(TenantId("globex"), "eve", Role.ADMIN)}
    hub.world.principal = ours.get(maker, ANONYMOUS)
    job = await hub.job("" if maker in ours else maker, repo)
    hub.world.principal = ours.get(who, ANONYMOUS)
    assert list((await seen(hub, job, "" if who in ours else who)).values()) == expected


@pytest.mark.parametrize("who", ["bob", ""])
async def test_a_private_job_is_answered_exactly_as_a_missing_one(hub: Place, who: str) -> None:
    job = await hub.job("ann", SECRET)
    for method, path in (("GET", ""), ("GET", "/stream"), ("GET", "/replay?speed=1"), ("POST", "/cancel")):
        there, gone = await hub.asked(method, f"/{job}{path}", who), await hub.asked(method, f"/{MISSING}{path}", who)
        assert there[:2] == gone[:2]
        assert there[2].keys() == gone[2].keys()


async def test_what_is_over_is_seen_as_what_runs(hub: Place) -> None:
    shown, hidden = await hub.job("ann"), await hub.job("ann", SECRET)
    for job in (shown, hidden):
        await hub.world.say(job.replace("-", ""), TaskSucceeded())
    assert list((await seen(hub, shown, "bob")).values())[:3] == LOOKS
    assert list((await seen(hub, hidden, "bob")).values()) == NOTHING


async def test_a_private_job_stays_private_when_the_log_no_longer_holds_how_it_began(hub: Place) -> None:
    job = await hub.job("ann", SECRET)
    hub.world.first_kept = len(hub.world.events) + 1
    assert list((await seen(hub, job, "bob")).values())[:2] == [404, 404]


async def test_a_job_of_before_is_seen_by_those_who_made_it() -> None:
    assert Assignment.model_validate({"repo": OPEN}).visibility is Visibility.PRIVATE


@pytest.mark.parametrize(("who", "visibility"), [("ann", Visibility.OPEN), ("", Visibility.OPEN), ("operator", Visibility.PRIVATE)])
async def test_jobs_of_the_local_forge_are_open_but_for_those_of_ours(tmp_path: Path, who: str, visibility: Visibility) -> None:
    async with place(tmp_path, local=True) as hub:
        hub.world.principal = OPERATOR if who == "operator" else ANONYMOUS
        await hub.job("" if who == "operator" else who, "anybody/anything")
        assert hub.submitted().assignment.visibility is visibility
        assert hub.asked_for("repo") == 0


@pytest.mark.parametrize("repo", ["acme/none", SECRET])
@pytest.mark.parametrize("who", ["bob", ""])
async def test_a_repository_that_the_caller_may_not_see_is_not_there(hub: Place, repo: str, who: str) -> None:
    status, said = await hub.execute(who, repo)
    assert (status, said["code"]) == (404, "REPO_NOT_FOUND")
    assert "does not exist, or is private" in said["error"]
    assert hub.world.sent == []


async def test_our_own_token_shows_nobody_a_private_repository(tmp_path: Path) -> None:
    async with place(tmp_path) as first:
        lookup = first.github.user_token(OPEN, SECRET)
    async with place(tmp_path / "again", lookup=lookup) as hub:
        hub.github.grants |= first.github.grants
        assert (await hub.execute("", SECRET))[:1] == (404,)
        assert (await hub.execute("", OPEN))[0] == 200
        assert {seen.token for seen in hub.github.steps("repo")} == {lookup}


async def test_our_own_token_that_is_not_taken_is_no_fault_of_the_callers(tmp_path: Path) -> None:
    async with place(tmp_path, lookup="ghp_of_ours_and_expired") as hub:
        status, said, headers = await hub.asked("POST", "/execute", "", {"repo": OPEN, "task": "t"})
    assert (status, "Retry-After" in headers) == (503, True)
    assert "ghp_of_ours" not in str(said)


async def test_a_repository_is_asked_about_once_a_minute(hub: Place) -> None:
    for _ in range(3):
        await hub.job("ann")
        await hub.execute("ann", "acme/none")
    assert hub.asked_for("repo") == 2
    hub.clock.at += 60
    await hub.job("ann")
    assert hub.asked_for("repo") == 3


async def test_what_one_may_see_is_not_taken_for_what_another_may(hub: Place) -> None:
    await hub.job("ann", SECRET)
    assert (await hub.execute("bob", SECRET))[0] == 404
    assert (await hub.execute("", SECRET))[0] == 404


@pytest.mark.parametrize("kind", ["500", "garbage", "reset", "429", "403-rate"])
async def test_while_github_is_away_nothing_is_taken_that_nobody_can_judge(hub: Place, kind: str) -> None:
    hub.github.fail("repo", kind, times=9)
    status, said, headers = await hub.asked("POST", "/execute", "", {"repo": OPEN, "task": "t"})
    assert (status, said["code"], int(headers["Retry-After"]) > 0) == (503, "UNAVAILABLE", True)
    assert hub.world.sent == []


async def test_when_githubs_limit_for_strangers_is_used_up_it_is_left_alone_for_as_long_as_it_says(hub: Place) -> None:
    hub.github.fail("repo", "429", times=1, retry_after="60")
    for _ in range(3):
        status, said, headers = await hub.asked("POST", "/execute", "", {"repo": OPEN, "task": "t"})
        assert (status, said["code"], headers["Retry-After"]) == (503, "UNAVAILABLE", "60")
    assert hub.asked_for("repo") == 1
    await hub.job("ann")
    assert hub.asked_for("repo") == 2, "whoever has a token has a limit of its own"
    hub.clock.at += 60
    await hub.job()


async def test_a_repository_that_was_renamed_is_found_under_its_old_name(hub: Place) -> None:
    hub.github.renamed["acme/old"] = OPEN
    assert (await hub.execute("ann", "acme/old"))[0] == 200


async def test_a_private_repository_that_a_caller_of_ours_shows_a_token_for_is_the_callers_alone(hub: Place) -> None:
    """What a person may read at GitHub is not what a whole tenant may."""
    carol, dave = (Principal(HOME, name, Role.AGENT) for name in ("carol", "dave"))
    hub.world.principal = carol
    made = await hub.execute("", SECRET, githubToken=hub.tokens["ann"])
    assert (made[0], hub.submitted().assignment.visibility) == (200, Visibility.OWNER)
    job = str(made[1]["jobId"])
    for who, expected in ((carol, ALL[:3]), (dave, NOTHING[:3]), (ANONYMOUS, NOTHING[:3]), (OPERATOR, ALL[:3])):
        hub.world.principal = who
        assert list((await seen(hub, job, "")).values())[:3] == expected, who
    hub.world.principal = dave
    assert (await hub.ask("GET", "/jobs"))[1]["jobs"] == []
    hub.world.principal = carol
    assert (await hub.execute("", OPEN, githubToken=hub.tokens["ann"]))[0] == 200
    assert hub.submitted().assignment.visibility is Visibility.PRIVATE, "the tenant's, as ever"


async def test_a_caller_of_ours_without_a_token_is_not_checked(hub: Place) -> None:
    hub.world.principal = Principal(HOME, "carol", Role.AGENT)
    assert (await hub.execute("", "acme/none"))[0] == 200
    assert (await hub.execute("", "acme/none", githubToken=hub.tokens["ann"]))[0] == 404


async def test_a_stream_ends_when_its_token_does(hub: Place) -> None:
    who = await hub.guests.who(_secret(hub, "ann"))
    assert hub.guests.stands(_secret(hub, "ann"), who)
    del hub.github.grants[hub.tokens["ann"]]
    hub.clock.at += GOOD_S
    assert hub.guests.stands(_secret(hub, "ann"), who), "it is asked about, and the next look knows"
    for flight in tuple(hub.guests._flights._under_way.values()):
        await flight
    assert not hub.guests.stands(_secret(hub, "ann"), who)


async def test_whoever_reads_by_a_token_that_ended_is_cut_and_refused(hub: Place) -> None:
    job = await hub.job("ann", SECRET)
    headers = {"Authorization": f"Bearer {hub.tokens['ann']}"}
    async with hub.session.get(f"{ROOT}/{job}/stream", headers=headers) as answer:
        while b"pending" not in await answer.content.readline():
            pass
        del hub.github.grants[hub.tokens["ann"]]
        hub.clock.at += GOOD_S
        with pytest.raises(ClientError):
            while await answer.content.readline():
                pass
    assert (await hub.ask("GET", f"/{job}/stream", "ann"))[0] == 401


async def test_a_stream_is_believed_for_an_hour_while_github_is_away_and_no_longer(hub: Place) -> None:
    who = await hub.guests.who(_secret(hub, "ann"))
    hub.github.fail("user", "500", times=99)
    hub.clock.at += BELIEVED_S - 1
    for _ in range(50):
        assert hub.guests.stands(_secret(hub, "ann"), who)
    assert hub.asked_for("user") == 1
    hub.clock.at += 1
    assert not hub.guests.stands(_secret(hub, "ann"), who)


def _secret(hub: Place, name: str) -> SecretStr:
    return SecretStr(hub.tokens[name])

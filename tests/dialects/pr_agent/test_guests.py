"""Who asks by a token of GitHub's: known there, remembered by hash, believed while GitHub is away, and refused when it is not good."""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.dialects.pr_agent.guests import OPEN, Place, place
from tests.dialects.world import talking
from trunkline.auth.claims import ROLES
from trunkline.auth.policy import ALLOWED, may
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role, Tier
from trunkline.contracts.task import Visibility
from trunkline.testing.fake_github import Grant
from trunkline_gateway.adapters.limiter import Unlimited
from trunkline_gateway.ports import Counted
from trunkline_gateway.settings import LIMITS
from trunkline_gateway.usecases.forge import Forge
from trunkline_gateway.usecases.guests import BAD_S, BELIEVED_S, GOOD_S, QUIET_S
from trunkline_gateway.usecases.lately import KEPT, Lately


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path) as made:
        yield made


async def test_a_guest_submits_under_its_number_and_its_login_is_only_a_label(hub: Place) -> None:
    await hub.job("ann")
    command = hub.submitted()
    assert command.submitted_by == "github:583231"
    assert command.assignment.labels["github_login"] == "ann"
    assert command.assignment.visibility is Visibility.OPEN


async def test_a_token_is_asked_about_once_and_by_nothing_but_its_hash_remembered(hub: Place) -> None:
    for _ in range(3):
        await hub.job("ann")
    await asyncio.gather(*(hub.execute("bob") for _ in range(20)))
    assert hub.asked_for("user") == 2
    token = hub.tokens["ann"]
    assert not any(token in repr(each) for each in (vars(hub.guests), hub.world.sent, hub.world.events, hub.world.memory))


async def test_a_token_in_the_body_is_the_same_as_the_bearer(hub: Place) -> None:
    status, _ = await hub.execute(githubToken=hub.tokens["ann"])
    assert (status, hub.submitted().submitted_by) == (200, "github:583231")
    assert (await hub.execute("ann", githubToken=hub.tokens["ann"]))[0] == 200
    status, said = await hub.execute("ann", githubToken=hub.tokens["bob"])
    assert (status, said["code"]) == (400, "AMBIGUOUS_CREDENTIALS")
    assert hub.tokens["bob"] not in str(said)


async def test_a_token_in_the_body_hides_in_no_spelling_of_its_name(hub: Place) -> None:
    text = f'{{"repo": "{OPEN}", "task": "t", "github\\u0054oken": "{hub.tokens["bob"]}"}}'
    async with hub.session.post("/api/pr-agent/execute", data=text, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 200
    assert hub.submitted().submitted_by == "github:1024"


async def test_the_job_has_the_guests_token_in_the_vault_and_nowhere_else(hub: Place) -> None:
    job = (await hub.job("ann")).replace("-", "")
    assert hub.world.vault.secrets == {(HOME, job): hub.tokens["ann"]}


async def test_a_token_that_github_does_not_take_is_refused_and_not_asked_about_again_for_a_minute(hub: Place) -> None:
    token = f"ghp_{secrets.token_hex(18)}"
    for _ in range(3):
        status, said, headers = await hub.asked("POST", "/execute", token, {"repo": OPEN, "task": "t"})
        assert (status, said["code"], "WWW-Authenticate" in headers) == (401, "AUTH_REQUIRED", True)
        assert "GitHub does not take this token" in said["error"]
        assert token not in str(said)
    assert hub.asked_for("user") == 1
    hub.clock.at += BAD_S
    assert (await hub.execute(token))[0] == 401
    assert hub.asked_for("user") == 2
    assert hub.world.sent == []


async def test_a_read_with_a_bad_token_is_refused_too(hub: Place) -> None:
    job = await hub.job()
    assert (await hub.ask("GET", f"/{job}", "ghp_" + "0" * 36))[0] == 401


async def test_an_expired_token_is_found_out_when_its_five_minutes_are_over(hub: Place) -> None:
    job = await hub.job("ann")
    del hub.github.grants[hub.tokens["ann"]]
    hub.clock.at += GOOD_S - 1
    assert (await hub.ask("GET", f"/{job}", "ann"))[0] == 200
    hub.clock.at += 1
    assert (await hub.ask("GET", f"/{job}", "ann"))[1]["code"] == "AUTH_REQUIRED"


async def test_a_token_that_was_not_taken_for_the_repository_is_asked_about_again(hub: Place) -> None:
    job = await hub.job("ann")
    del hub.github.grants[hub.tokens["ann"]]
    assert (await hub.execute("ann", repo="acme/other"))[1]["code"] == "AUTH_REQUIRED"
    assert (await hub.ask("GET", f"/{job}", "ann"))[1]["code"] == "AUTH_REQUIRED"


async def test_a_token_that_belongs_to_no_person_is_nobodys(hub: Place) -> None:
    token = f"ghs_{secrets.token_hex(18)}"
    hub.github.grants[token] = Grant(frozenset({OPEN}), {"contents": "write"}, user=False)
    status, said = await hub.execute(token)
    assert (status, said["code"]) == (401, "AUTH_REQUIRED")
    assert "whose" in said["error"]


@pytest.mark.parametrize("kind", ["500", "502", "garbage", "reset", "403-rate", "403-secondary", "403-locked", "429", "404"])
async def test_while_github_is_away_a_known_guest_is_believed_for_an_hour_and_a_new_one_waits(hub: Place, kind: str) -> None:
    await hub.job("ann")
    hub.github.fail("user", kind, times=99)
    hub.clock.at += BELIEVED_S - 1
    assert (await hub.execute("ann"))[0] == 200
    assert hub.submitted().submitted_by == "github:583231"
    status, said, headers = await hub.asked("POST", "/execute", "bob", {"repo": OPEN, "task": "t"})
    assert (status, said["code"]) == (503, "UNAVAILABLE")
    assert "GitHub" in said["error"]
    assert int(headers["Retry-After"]) >= 1
    hub.clock.at += 1
    assert (await hub.execute("ann"))[0] == 503


async def test_github_is_left_alone_for_a_moment_after_it_did_not_answer(hub: Place) -> None:
    hub.github.fail("user", "500", times=1)
    for _ in range(3):
        assert (await hub.execute("ann"))[0] == 503
    assert hub.asked_for("user") == 1
    hub.clock.at += QUIET_S
    assert (await hub.execute("ann"))[0] == 200


async def test_while_github_is_away_open_jobs_are_read_and_what_a_stranger_does_not_find_is_not_called_missing(hub: Place) -> None:
    shown, hidden = await hub.job("ann"), await hub.job("ann", "acme/vault")
    hub.clock.at += BELIEVED_S
    hub.github.fail("user", "500", times=99)
    assert (await hub.ask("GET", f"/{shown}", "ann"))[0] == 200
    status, said, headers = await hub.asked("GET", f"/{hidden}", "ann")
    assert (status, said["code"], int(headers["Retry-After"]) > 0) == (503, "UNAVAILABLE", True)
    assert (await hub.ask("POST", f"/{shown}/cancel", "ann"))[0] == 503


async def test_the_demonstration_is_about_nobody_and_goes_on_while_github_is_away(hub: Place) -> None:
    hub.github.fail("user", "500", times=99)
    headers = {"Authorization": "Bearer ghp_" + "n" * 36}
    async with hub.session.get("/api/pr-agent/test-stream?speed=100", headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
    assert (await hub.ask("GET", "/jobs", "ghp_" + "n" * 36))[0] == 503


@pytest.mark.parametrize(
    "said", [b'{"id": true}', b'{"id": "1"}', b'{"id": 0}', b'{"id": -1}', b'{"id": 1.5}', b"[]", b"", b"{" * 9000, b"x" * (1 << 20)]
)
async def test_an_answer_that_names_nobody_makes_nobody_a_guest(hub: Place, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.github, "_user", lambda seen: web.Response(body=said, content_type="application/json"))
    status, answer = await hub.execute("ann")
    assert (status, answer["code"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("login", ["a b", "\u202eann", "", "x" * 101, None, 7, "<script>"])
async def test_a_login_that_is_none_is_left_out(hub: Place, login: object) -> None:
    hub.github.people[hub.tokens["ann"]] = (7, login)  # type: ignore[assignment]
    await hub.job("ann")
    assert "github_login" not in hub.submitted().assignment.labels


@pytest.mark.parametrize(
    "token",
    [
        "ghp_",
        "ghp_abc",
        "GHP_" + "a" * 36,
        "ghx_" + "a" * 36,
        "a" * 39,
        "A" * 40,
        "ghp_" + "a" * 256,
        "github_pat_",
        "sk-" + "a" * 40,
        "x.y.z",
    ],
)
async def test_a_bearer_of_another_shape_is_refused_and_never_goes_to_github(hub: Place, token: str) -> None:
    status, said, headers = await hub.asked("POST", "/execute", token, {"repo": OPEN, "task": "t"})
    assert (status, said["code"], said["error"], "WWW-Authenticate" in headers) == (401, "AUTH_REQUIRED", said["message"], True)
    assert token not in said["error"]
    assert (hub.world.sent, hub.github.seen) == ([], [])


async def test_a_token_of_an_odd_shape_in_the_body_is_githubs_to_judge(hub: Place) -> None:
    status, said = await hub.execute(githubToken="odd.looking:token=1")
    assert (status, said["code"]) == (401, "AUTH_REQUIRED")


SHOWN: dict[str, dict[str, str]] = {
    "a name and a password": {"Authorization": "Basic " + base64.b64encode(b"x:ghp_" + b"a" * 36).decode()},
    "a token of ours that somebody else signed": {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"},
    "a token of GitHub's in an older scheme": {"Authorization": "token ghp_" + "a" * 36},
    "a key of nobody": {"X-API-Key": "k-0123456789abcdef0123456789"},
    "a key of nobody beside a token of GitHub's": {"X-API-Key": "k-0123456789abcdef", "Authorization": "Bearer ghp_" + "a" * 36},
    "a word that a program left": {"Authorization": "Bearer undefined"},
}


@pytest.mark.parametrize("kind", SHOWN)
@pytest.mark.parametrize("local", [False, True])
async def test_who_shows_what_counts_for_nothing_is_told_so_and_does_nothing_as_nobody(tmp_path: Path, kind: str, local: bool) -> None:
    async with place(tmp_path, local=local) as hub:
        hub.world.forge = Forge() if local else hub.world.forge
        async with talking(hub.world) as session:
            for method, path in (
                ("POST", "/execute"),
                ("GET", "/jobs?fingerprint=12345678"),
                ("GET", "/test-stream"),
                ("GET", "/" + "0" * 32),
            ):
                body = {"json": {"repo": OPEN, "task": "t"}} if method == "POST" else {}
                async with session.request(method, f"/api/pr-agent{path}", headers=SHOWN[kind], **body) as answer:
                    said = await answer.json()
                    assert (answer.status, said["code"], said["error"]) == (401, "AUTH_REQUIRED", said["message"])
                    assert not [text for text in SHOWN[kind].values() if text.split()[-1] in str(said)]
        assert (hub.world.sent, hub.github.seen) == ([], [])


@pytest.mark.parametrize("shown", [{"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"X-API-Key": ""}])
async def test_who_shows_nothing_in_a_header_shows_nothing(hub: Place, shown: dict[str, str]) -> None:
    """As programs do that have no token."""
    async with hub.session.post("/api/pr-agent/execute", json={"repo": OPEN, "task": "t"}, headers=shown) as answer:
        assert answer.status == 200
    assert hub.submitted().submitted_by == "anonymous"


async def test_a_caller_of_ours_is_not_asked_about(hub: Place) -> None:
    hub.world.principal = Principal(HOME, "carol", Role.AGENT)
    assert (await hub.execute(githubToken=hub.tokens["ann"]))[0] == 200
    assert (hub.submitted().submitted_by, hub.asked_for("user")) == ("carol", 0)
    assert hub.submitted().assignment.visibility is Visibility.PRIVATE


@dataclass
class Guessing:
    """Counts what is shown and not good: three a while from one address."""

    failures: list[str] = field(default_factory=list)

    async def failed(self, address: str) -> Counted | None:
        self.failures.append(address)
        return None

    def guessing(self, address: str) -> float:
        return 30.0 if len(self.failures) >= 3 else 0.0


async def test_whoever_tries_tokens_is_stopped_and_github_is_not_asked_for_it(hub: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    guessing, limiter = Guessing(), Unlimited(frozenset(LIMITS))
    monkeypatch.setattr(limiter, "failed", guessing.failed)
    monkeypatch.setattr(limiter, "guessing", guessing.guessing)
    hub.world.limiter = limiter
    async with talking(hub.world) as session:
        statuses = []
        for _ in range(200):
            async with session.post(
                "/api/pr-agent/execute",
                json={"repo": OPEN, "task": "t"},
                headers={"Authorization": f"Bearer ghp_{secrets.token_hex(18)}"},
            ) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * 3 + [429] * 197
        assert hub.asked_for("user") == 3
        async with session.post("/api/pr-agent/execute", json={"repo": OPEN, "task": "t"}) as answer:
            assert answer.status == 200, "a stranger from there shows nothing to guess with"
        hub.world.principal = Principal(HOME, "carol", Role.AGENT)
        async with session.post("/api/pr-agent/execute", json={"repo": OPEN, "task": "t"}, headers={"X-API-Key": "a-good-one"}) as answer:
            assert answer.status == 429, "nor is a hit of any kind told"


async def test_ten_thousand_random_tokens_push_no_good_one_out_and_fill_no_memory() -> None:
    bad: Lately[str] = Lately()
    for _ in range(KEPT + 500):
        bad.put(secrets.token_bytes(32), "no", 0.0)
    assert len(bad) == KEPT


async def test_tokens_are_never_logged(hub: Place, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        await hub.job("ann")
        hub.github.fail("user", "reset", times=9)
        token = f"ghp_{secrets.token_hex(18)}"
        await hub.execute(token)
    printed = capsys.readouterr()
    told = caplog.text + printed.out + printed.err
    assert token not in told
    assert hub.tokens["ann"] not in told


@pytest.mark.parametrize(
    ("named", "pro"),
    [("ann", True), ("583231", True), ("github:583231", True), ("1024", False), ("annabel", False), ("", False)],
)
async def test_who_is_pro_is_configuration(tmp_path: Path, named: str, pro: bool) -> None:
    async with place(tmp_path, pro=frozenset({named})) as hub:
        await hub.job("ann")
        [(known, _)] = hub.guests._good._known.values()
    assert (known.tier is Tier.PRO) is pro
    assert known == Principal(HOME, "github:583231", Role.GUEST, known.tier)
    assert known.name == "ann"


async def test_a_login_of_digits_is_not_taken_for_a_number(tmp_path: Path) -> None:
    async with place(tmp_path, pro=frozenset({"1024"})) as hub:
        hub.github.people[hub.tokens["ann"]] = (99, "1024")
        await hub.job("ann")
        [(known, _)] = hub.guests._good._known.values()
    assert known.tier is Tier.AUTHENTICATED


def test_no_credential_of_ours_makes_a_guest_and_a_guest_may_no_more_than_a_stranger_but_for_its_own() -> None:
    assert Role.GUEST not in ROLES.values()
    more = {action.value for action in ALLOWED[Role.GUEST] if not may(ANONYMOUS, action)}
    assert all(action.startswith("own_") for action in more)

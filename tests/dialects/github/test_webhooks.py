"""What GitHub tells: work is started, ends of pull requests are passed on, and nobody else can say such things."""

from __future__ import annotations

import hmac
import json
import random
from hashlib import sha256
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.world import World, talking
from trunkline.contracts.errors import NotFound, Unavailable
from trunkline.contracts.forge import ReportPullRequest
from trunkline.contracts.task import SubmitTask

PATH = "/api/v1/github/webhooks"
SECRET = b"the secret that GitHub signs with"
TASK = "01a1fe1a15477676b883dd25f2dda5a4"
REPOSITORY = {"full_name": "acme/shop", "default_branch": "trunk"}
ANN = {"login": "ann", "type": "User"}
ISSUE = {"number": 7, "title": "Login is broken", "body": "Nobody can log in.", "html_url": "https://github.com/acme/shop/issues/7"}


def comment(text: str, **more: Any) -> dict[str, Any]:
    said = {"body": text, "author_association": "MEMBER", "user": ANN, **more}
    return {"action": "created", "comment": said, "issue": ISSUE, "repository": REPOSITORY, "sender": ANN}


def closed(body: str, **more: Any) -> dict[str, Any]:
    pull = {"number": 12, "title": "Fix", "body": body, "merged": True, **more}
    return {"action": "closed", "pull_request": pull, "repository": REPOSITORY, "sender": ANN}


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return f"sha256={hmac.new(secret, body, sha256).hexdigest()}"


async def told(session: ClientSession, event: str, payload: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    shown = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": signature(body),
        **headers,
    }
    async with session.post(PATH, data=body, headers=shown) as response:
        return response.status, await response.json()


async def test_a_ping_is_answered() -> None:
    async with talking(World()) as session:
        assert await told(session, "ping", {"zen": "Design for failure."}) == (200, {"status": "pong"})


@pytest.mark.parametrize("between", [" ", "\t", "\n", "\r\n", " \n\n", "\u00a0"])
async def test_a_comment_that_begins_with_the_command_starts_a_task(between: str) -> None:
    world = World()
    async with talking(world) as session:
        status, said = await told(session, "issue_comment", comment(f"\n/trunkline{between}fix this\nand add a test\n"))
    assert (status, said["status"]) == (202, "started")
    (submit,) = world.sent
    assert isinstance(submit, SubmitTask)
    assert (submit.task_id, submit.tenant, submit.submitted_by) == (said["task_id"], "acme", "github:ann")
    assert (submit.assignment.repo, submit.assignment.branch) == ("acme/shop", "trunk")
    assert submit.assignment.prompt.startswith("fix this\nand add a test")
    assert "Nobody can log in." in submit.assignment.prompt


async def test_a_login_of_digits_is_not_taken_for_the_number_of_a_guest() -> None:
    world, payload = World(), comment("/trunkline fix this")
    payload["sender"] = payload["comment"]["user"] = {**payload["sender"], "login": "583231"}
    async with talking(world) as session:
        assert (await told(session, "issue_comment", payload))[0] == 202
    (submit,) = world.sent
    assert isinstance(submit, SubmitTask)
    assert submit.submitted_by == "github:@583231"


@pytest.mark.parametrize("event", ["issues", "pull_request"])
async def test_the_label_starts_a_task_with_the_words_of_the_issue(event: str) -> None:
    world = World()
    about = {"issue": ISSUE} if event == "issues" else {"pull_request": {**ISSUE, "base": {"ref": "release"}}}
    payload = {"action": "labeled", "label": {"name": "trunkline"}, "repository": REPOSITORY, "sender": ANN, **about}
    async with talking(world) as session:
        assert (await told(session, event, payload))[1]["status"] == "started"
    (submit,) = world.sent
    assert isinstance(submit, SubmitTask)
    assert submit.assignment.prompt == "Login is broken\n\nNobody can log in."
    assert submit.assignment.branch == ("trunk" if event == "issues" else "release")


async def test_a_comment_on_a_pull_request_starts_work_about_it() -> None:
    world = World()
    linked = {**ISSUE, "pull_request": {"url": "https://api.github.com/repos/acme/shop/pulls/7"}}
    async with talking(world) as session:
        assert (await told(session, "issue_comment", {**comment("/trunkline mend it"), "issue": linked}))[1]["status"] == "started"
        await told(session, "issue_comment", comment("/trunkline mend it"), **{"X-GitHub-Delivery": "another-delivery"})
    assert [submit.assignment.pull_request for submit in world.sent if isinstance(submit, SubmitTask)] == [7, None]


@pytest.mark.parametrize(("repo", "status"), [("Acme/Shop", "started"), ("evil/shop", "ignored")])
async def test_a_label_on_a_pull_request_starts_work_unless_its_branch_lies_in_a_fork(repo: str, status: str) -> None:
    world = World()
    pull = {**ISSUE, "base": {"ref": "release"}, "head": {"ref": "feature", "repo": {"full_name": repo}}}
    payload = {"action": "labeled", "label": {"name": "trunkline"}, "repository": REPOSITORY, "sender": ANN, "pull_request": pull}
    async with talking(world) as session:
        said = (await told(session, "pull_request", payload))[1]
    assert said["status"] == status
    assert [submit.assignment.pull_request for submit in world.sent if isinstance(submit, SubmitTask)] == [7] * (status == "started")


@pytest.mark.parametrize("event", ["issue_comment", "pull_request"])
async def test_a_repository_that_no_tenant_is_named_for_is_passed_over(event: str) -> None:
    """Anybody may install a public App, and would work at our cost."""
    world = World()
    payload = comment("/trunkline go") if event == "issue_comment" else closed(f"Trunkline-Task: {TASK}")
    async with talking(world) as session:
        status, said = await told(session, event, {**payload, "repository": {"full_name": "stranger/shop"}})
    assert (status, said["status"]) == (202, "ignored")
    assert "TRUNKLINE_GITHUB_TENANTS" in said["reason"] and "stranger/shop" in said["reason"]
    assert world.sent == []


async def test_the_same_delivery_again_is_the_same_task_and_another_is_another() -> None:
    world = World()
    async with talking(world) as session:
        first = (await told(session, "issue_comment", comment("/trunkline go")))[1]
        again = (await told(session, "issue_comment", comment("/trunkline go")))[1]
        other = (await told(session, "issue_comment", comment("/trunkline go"), **{"X-GitHub-Delivery": "another-delivery"}))[1]
    assert first == again
    assert first["task_id"] != other["task_id"]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("issue_comment", comment("please fix")),
        ("issue_comment", comment("")),
        ("issue_comment", comment("I said /trunkline go")),
        ("issue_comment", comment("/trunklines go")),
        ("issue_comment", comment("/trunkline go", author_association="NONE")),
        ("issue_comment", comment("/trunkline go", author_association="CONTRIBUTOR")),
        ("issue_comment", comment("/trunkline go", user={"login": "trunkline[bot]", "type": "Bot"})),
        ("issue_comment", {**comment("/trunkline go"), "action": "edited"}),
        ("issue_comment", {**comment("/trunkline go"), "sender": {"login": "x[bot]", "type": "Bot"}}),
        ("issues", {"action": "labeled", "label": {"name": "bug"}, "issue": ISSUE, "repository": REPOSITORY, "sender": ANN}),
        ("issues", {"action": "labeled", "repository": REPOSITORY}),
        ("pull_request", closed("no trailer here")),
        ("pull_request", closed("Trunkline-Task: not-an-id")),
        ("pull_request", {**closed(f"Trunkline-Task: {TASK}"), "action": "opened"}),
        ("push", {"ref": "refs/heads/main", "repository": REPOSITORY}),
        ("star", {"action": "created"}),
    ],
)
async def test_what_is_not_for_us_is_passed_over_with_the_reason(event: str, payload: dict[str, Any]) -> None:
    world = World()
    async with talking(world) as session:
        status, said = await told(session, event, payload)
    assert (status, said["status"]) == (202, "ignored")
    assert said["reason"]
    assert world.sent == []


@pytest.mark.parametrize("merged", [True, False])
async def test_a_pull_request_that_ends_is_told_to_the_task_that_it_names(merged: bool) -> None:
    world = World()
    async with talking(world) as session:
        status, said = await told(session, "pull_request", closed(f"All done.\n\nTrunkline-Task: {TASK}\n", merged=merged))
    assert (status, said) == (202, {"status": "noted", "task_id": TASK})
    (report,) = world.sent
    assert isinstance(report, ReportPullRequest)
    assert (report.tenant, report.repo, report.number, report.merged, report.by) == ("acme", "acme/shop", 12, merged, "github:ann")


async def test_a_pull_request_that_ends_is_told_to_every_task_that_it_names_below_and_to_none_that_is_named_above() -> None:
    world, second, forged = World(), "b" * 32, "f" * 32
    body = f"Trunkline-Task: {forged}\r\n\r\nAll done.\r\n\r\nTrunkline-Task: {TASK}\r\nTrunkline-Task: {second}\r\n\r\nCloses #7."
    async with talking(world) as session:
        status, said = await told(session, "pull_request", closed(body, merged=True))
    assert (status, said) == (202, {"status": "noted", "task_id": second})
    assert [report.task_id for report in world.sent if isinstance(report, ReportPullRequest)] == [TASK, second]


async def test_a_pull_request_that_is_not_that_tasks_changes_nothing() -> None:
    world = World(refusal=NotFound("there is no such pull request"))
    async with talking(world) as session:
        assert (await told(session, "pull_request", closed(f"Trunkline-Task: {TASK}")))[1]["status"] == "ignored"


async def test_a_thousand_forgeries_are_refused() -> None:
    world, chance = World(), random.Random(7)
    body = json.dumps(comment("/trunkline rm -rf")).encode()
    good = signature(body)
    async with talking(world) as session:
        for _ in range(500):
            torn = bytearray(body)
            torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
            status, said = await told(session, "issue_comment", bytes(torn), **{"X-Hub-Signature-256": good})
            assert (status, set(said)) == (401, {"message"})
        for _ in range(500):
            place = chance.randrange(len(good))
            forged = good[:place] + chance.choice("0123456789abcdef".replace(good[place], "")) + good[place + 1 :]
            assert (await told(session, "issue_comment", body, **{"X-Hub-Signature-256": forged}))[0] == 401
    assert world.sent == []


@pytest.mark.parametrize("shown", ["", "sha256=", "sha1=abc", signature(b"{}", b"another secret of somebody's")])
async def test_a_signature_that_is_none_of_ours_is_refused(shown: str) -> None:
    async with talking(World()) as session:
        assert (await told(session, "ping", b"{}", **{"X-Hub-Signature-256": shown}))[0] == 401


async def test_the_previous_secret_counts_while_it_is_being_changed() -> None:
    async with talking(World(webhook_secrets=(b"the new secret of this place", SECRET))) as session:
        assert (await told(session, "ping", {}))[0] == 200


async def test_without_a_secret_nothing_is_taken() -> None:
    async with talking(World(webhook_secrets=())) as session:
        status, said = await told(session, "ping", {})
    assert status == 404
    assert "GITHUB_WEBHOOK_SECRET" in said["message"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"not json", {}, 400),
        (b"[]", {}, 400),
        (b'{"repository":{"full_name":"../etc"}}', {}, 400),
        (b'{"issue":{"number":0}}', {}, 400),
        (b"{}", {"X-GitHub-Delivery": "short"}, 400),
        (b"{}", {"X-GitHub-Delivery": "../../escape-from-here"}, 400),
        (b"payload=%7B%7D", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b'{"x":"' + b"y" * (300 << 10) + b'"}', {}, 413),
    ],
    ids=["no json", "a list", "a repository that is none", "issue 0", "no delivery", "a path", "a form", "too large"],
)
async def test_bad_input_has_one_clear_error(body: bytes, headers: dict[str, str], status: int) -> None:
    world = World()
    async with talking(world) as session:
        answered, said = await told(session, "issue_comment", body, **headers)
    assert answered == status
    assert said["message"]
    assert world.sent == []


async def test_while_the_bus_is_away_github_is_told_to_send_it_again() -> None:
    async with talking(World(refusal=Unavailable("the bus is away; try again in a moment"))) as session:
        status, _ = await told(session, "issue_comment", comment("/trunkline go"))
    assert status == 503


async def test_a_huge_issue_is_cut_and_what_was_wished_stays() -> None:
    world = World()
    payload = comment("/trunkline fix")
    payload["issue"] = {**ISSUE, "body": "x" * 150_000}
    async with talking(world) as session:
        assert (await told(session, "issue_comment", payload))[0] == 202
    (submit,) = world.sent
    assert isinstance(submit, SubmitTask)
    assert submit.assignment.prompt.startswith("fix")
    assert len(submit.assignment.prompt.encode()) <= 100 << 10

"""How a call becomes a request, who it is from, and where it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest

from tests.each import each
from trunkline.sdk import errors
from trunkline.sdk.answering import Answer
from trunkline.sdk.calls import approvals, events, job_webhooks, jobs, request, steering, tasks, webhooks
from trunkline.sdk.credentials import Credentials, Surface, credentials
from trunkline.sdk.models.tasks import TaskResult
from trunkline.sdk.reach import address, proxy_of

JWT = "eyJh.eyJz.c2ln"
SECRETS = {"token": JWT, "api_key": "key-0123456789", "github_token": "ghp_0123456789"}


def body_of(asked: bytes | None) -> object:
    return json.loads(asked or b"null")


def test_every_post_has_a_key_of_its_own_and_one_that_was_given_stays() -> None:
    nobody = Credentials()
    posts = [
        jobs.execute("a/b", "x"), jobs.cancel("j"), tasks.create("bugfix", {}), tasks.continue_("t", "x"), tasks.fork("t", "x"),
        steering.send("t", "x"), steering.pause("t"), approvals.approve("a"), events.publish("a.b", "me"),
    ]  # fmt: skip
    for call in posts:
        assert (call.method, request(call, nobody, "made").headers["Idempotency-Key"]) == ("POST", "made")
    assert request(tasks.create("bugfix", {}, idempotency_key="mine"), nobody, "made").headers["Idempotency-Key"] == "mine"
    assert request(jobs.execute("a/b", "x", idempotency_key="mine"), nobody, "made").headers["Idempotency-Key"] == "mine"
    assert "Idempotency-Key" not in request(jobs.get("j"), nobody, "made").headers


def test_only_what_was_given_is_in_a_body() -> None:
    asked = request(jobs.execute("a/b", "x", skill="s", task_title="T"), Credentials(), "k")
    assert body_of(asked.body) == {"repo": "a/b", "task": "x", "skill": "s", "metadata": {"taskTitle": "T"}}
    asked = request(tasks.create("bugfix", {"n": 1}, priority="P1", github_token="ghp_01234567", idempotency_key="k"), Credentials(), "k")
    assert body_of(asked.body) == {"type": "bugfix", "payload": {"n": 1}, "priority": "P1"}
    assert body_of(request(tasks.fork("t", "x", from_event="a-1"), Credentials(), "k").body) == {"text": "x", "from": "a-1"}


def test_a_token_for_github_goes_where_it_is_needed_and_nowhere_else() -> None:
    github, both = Credentials(github="ghp_mine1234"), Credentials(token=JWT, github="ghp_mine1234")
    alone = request(jobs.execute("a/b", "x"), github, "k")
    assert alone.headers["Authorization"] == "Bearer ghp_mine1234"
    assert body_of(alone.body) == {"repo": "a/b", "task": "x"}
    beside = request(jobs.execute("a/b", "x"), both, "k")
    assert beside.headers["Authorization"] == f"Bearer {JWT}"
    assert body_of(beside.body) == {"repo": "a/b", "task": "x", "githubToken": "ghp_mine1234"}
    once = request(jobs.execute("a/b", "x", github_token="ghp_other567"), github, "k")
    assert once.headers["Authorization"] == "Bearer ghp_other567"
    assert body_of(once.body) == {"repo": "a/b", "task": "x", "githubToken": "ghp_other567"}
    assert request(tasks.create("bugfix", {}), both, "k").headers["X-GitHub-Token"] == "ghp_mine1234"
    for call in (tasks.cancel("t"), steering.send("t", "x"), events.publish("a.b", "me")):
        assert "ghp_" not in repr(vars_of(request(call, github, "k")))


def vars_of(asked: object) -> dict[str, object]:
    return {name: getattr(asked, name) for name in ("path", "query", "headers", "body")}


def test_no_secret_is_in_any_repr() -> None:
    who = Credentials(JWT, "key-0123456789", "ghp_0123456789")
    call = jobs.execute("a/b", "x", github_token="ghp_0123456789")
    shown = repr((who, call, request(call, who, "k")))
    assert [secret for secret in SECRETS.values() if secret in shown] == []


def test_what_is_given_wins_over_the_environment_and_keeps_it_out() -> None:
    environ = {"TRUNKLINE_TOKEN": "env.env.env", "TRUNKLINE_API_KEY": "env-key-1234", "TRUNKLINE_GITHUB_TOKEN": "ghp_env12345"}
    assert credentials(None, None, None, environ) == Credentials("env.env.env", "env-key-1234", "ghp_env12345")
    assert credentials(JWT, None, None, environ) == Credentials(JWT, "", "ghp_env12345")
    assert credentials(None, "key-0123456789", "", environ) == Credentials("", "key-0123456789", "")
    assert credentials("", None, "", environ) == Credentials()


def test_a_key_may_stand_where_a_token_does() -> None:
    assert credentials("an-operator-key", None, "", {}).headers(Surface.TASKS) == {"X-API-Key": "an-operator-key"}


@pytest.mark.parametrize("text", ["two words", "line\r\nX-Evil: 1", "ü" * 10])
def test_what_is_no_credential_is_refused_without_saying_it(text: str) -> None:
    with pytest.raises(ValueError, match="is no credential") as refused:
        credentials(text, None, None, {})
    assert text not in str(refused.value)


def test_a_token_of_github_is_not_taken_for_one_of_ours() -> None:
    with pytest.raises(ValueError, match="github_token"):
        credentials("ghp_0123456789", None, None, {})


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_what_names_nothing_is_not_asked_for(id: str) -> None:
    with pytest.raises(ValueError, match="names nothing"):
        jobs.get(id)


def test_a_name_cannot_lead_elsewhere() -> None:
    assert tasks.get("../auth/token?x=1#y").path == "/tasks/..%2Fauth%2Ftoken%3Fx%3D1%23y"


def test_lists_and_times_are_written_as_the_gateway_reads_them() -> None:
    call = tasks.list_(status=["completed", "failed"], page_size=5)
    assert call.query == {"limit": "5", "status": "completed,failed"}


def test_the_result_of_a_task_without_a_repository_is_read() -> None:
    unmade = dict.fromkeys(("branch", "commit", "pull_request", "pull_request_url", "files_changed", "additions", "deletions"))
    read = TaskResult.model_validate_json(json.dumps({**unmade, "summary": "It is 4."}))
    assert read == TaskResult(summary="It is 4.")
    assert read.model_dump() == {**unmade, "summary": "It is 4.", "outcome": None}


VERBS: dict[str, Callable[..., object]] = {
    "page_size": jobs.list_,
    "created_by": tasks.list_,
    "use_sdk": partial(jobs.execute, "a/b", "x"),
    "sla_target": partial(tasks.create, "bugfix", {}),
    "budget_usd": partial(tasks.continue_, "t", "x"),
    "from_event": partial(tasks.fork, "t", "x"),
    "usd": partial(approvals.approve, "a"),
    "trace_id": partial(events.publish, "a.b", "me"),
    "description": partial(webhooks.create, "https://a.example", ["*"]),
    "enabled": partial(webhooks.change, "w"),
    "url": partial(job_webhooks.change, "w"),
}


@each("name", VERBS)
def test_an_argument_that_a_verb_does_not_have_is_refused_with_those_that_it_has(name: str) -> None:
    with pytest.raises(TypeError, match=rf"no argument 'limit': it takes .*\b{name}\b"):
        VERBS[name](limit=2)


def test_a_verb_that_refuses_an_argument_is_named_as_its_user_called_it() -> None:
    sentence = r"^list\(\) has no argument 'limit': it takes offset, page_size, status, github_username, fingerprint$"
    with pytest.raises(TypeError, match=sentence):
        jobs.list_(limit=2)  # type: ignore[call-arg]


@pytest.mark.parametrize("url", ["ftp://x", "x", "http://", "http://a?b=c", "http://a#b", "http://me:pw@host"])
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as refused:
        address(url, {})
    assert "pw" not in str(refused.value)


def test_the_address_is_given_or_of_the_environment_or_this_machine() -> None:
    environ = {"TRUNKLINE_URL": "https://env.example/below/"}
    assert address("http://given:1/", environ) == "http://given:1"
    assert address(None, environ) == "https://env.example/below"
    assert address(None, {}) == "http://127.0.0.1:8787"


@each(
    ("url", "environ", "proxy"),
    [
        ("http://a.example", {}, None),
        ("http://a.example", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("http://a.example", {"HTTP_PROXY": "p:1"}, "http://p:1"),
        ("https://a.example", {"http_proxy": "http://p:1"}, None),
        ("https://a.example", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://a.example", {"http_proxy": "http://p:1", "no_proxy": ".example"}, None),
        ("http://a.example:80", {"http_proxy": "http://p:1", "NO_PROXY": "b, a.example:80"}, None),
        ("http://aexample", {"http_proxy": "http://p:1", "no_proxy": "example"}, "http://p:1"),
        ("http://a.example", {"http_proxy": "http://p:1", "no_proxy": "*"}, None),
        ("http://[::1]:8", {"http_proxy": "http://p:1", "no_proxy": "[::1]"}, None),
        ("http://a.example", {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
    ],
)
def test_a_proxy_is_what_the_environment_says(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_of(url, environ) == proxy


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, errors.InvalidRequestError, "INVALID_REQUEST"),
        (401, errors.AuthenticationError, "AUTH_REQUIRED"),
        (403, errors.PermissionDeniedError, "DENIED"),
        (404, errors.NotFoundError, "NOT_FOUND"),
        (409, errors.ConflictError, "CONFLICT"),
        (422, errors.InvalidRequestError, "INVALID_REQUEST"),
        (429, errors.RateLimitedError, "RATE_LIMITED"),
        (500, errors.ServerError, "INTERNAL_ERROR"),
        (503, errors.ServerError, "UNAVAILABLE"),
        (302, errors.UnexpectedAnswerError, "UNEXPECTED_ANSWER"),
    ],
)
@pytest.mark.parametrize("body", [b'{"detail": "it is so"}', b"<html>", b"[1]", b"", b"[" * 100_000])
def test_every_refusal_is_one_of_a_small_family(status: int, kind: type[errors.TrunklineError], code: str, body: bytes) -> None:
    error = errors.refused(Answer(status, {"x-request-id": "r1", "retry-after": "3"}, body), "http://gateway/x")
    assert (type(error), error.status, error.code, error.request_id, error.retry_after) == (kind, status, code, "r1", 3.0)
    assert error.message == "it is so" if b"detail" in body and status >= 400 else "http://gateway/x" in error.message


def test_what_the_gateway_says_of_a_refusal_is_kept() -> None:
    said = {"error": "Rate limit exceeded", "code": "RATE_LIMITED", "details": {"window": "day"}, "upgradeUrl": "https://x.example/up"}
    error = errors.refused(Answer(429, {}, json.dumps(said).encode()), "x")
    assert error.details == {"window": "day", "upgradeUrl": "https://x.example/up"}
    assert str(error) == "Rate limit exceeded [RATE_LIMITED]"

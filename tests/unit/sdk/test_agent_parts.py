"""The parts of an agent that think: what a handler takes, what is said in one message, what is reported, and where it stands."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.each import each
from trunkline import Agent, BlockingContext, Context, TaskError
from trunkline.contracts.agent import MOST_RESULT, AgentReported, Held, Report
from trunkline.sdk.agents.context import Cancelled
from trunkline.sdk.agents.failing import AgentError, PayloadError, UnansweredError
from trunkline.sdk.agents.gathering import PACE, Bounds, Gatherer
from trunkline.sdk.agents.outcomes import Ended, Raised, Returned, report_of
from trunkline.sdk.agents.places import place_of
from trunkline.sdk.agents.signatures import handler_of
from trunkline.sdk.agents.wording import artifact, progress, texts

HELD = Held(task_id="t", lease="l")
CTX: Any = object()


class Bug(BaseModel):
    issue: int
    due: date | None = None


@dataclass
class Plain:
    issue: int


class Typed(TypedDict):
    issue: int


def whole(bug: Bug) -> None: ...
def of_dataclass(bug: Plain, ctx: BlockingContext) -> None: ...
def of_typed_dict(bug: Typed) -> None: ...
def as_it_is(payload: dict[str, Any]) -> None: ...
def anything(payload: Any) -> None: ...
def fields(issue: int, *, kind: Literal["a", "b"] = "a") -> None: ...
def one_field(issue: int) -> None: ...
async def only_context(ctx: Context) -> None: ...
async def unannotated(ctx) -> None: ...  # type: ignore[no-untyped-def]
def nothing() -> None: ...


@each(
    ("function", "payload", "given"),
    [
        (whole, {"issue": "7", "due": "2026-01-02"}, {"bug": Bug(issue=7, due=date(2026, 1, 2))}),
        (of_dataclass, {"issue": 7}, {"bug": Plain(7), "ctx": CTX}),
        (of_typed_dict, {"issue": 7, "more": 1}, {"bug": {"issue": 7}}),
        (as_it_is, {"any": ["thing"]}, {"payload": {"any": ["thing"]}}),
        (anything, {"any": None}, {"payload": {"any": None}}),
        (fields, {"issue": 7}, {"issue": 7}),
        (fields, {"issue": 7, "kind": "b", "more": 1}, {"issue": 7, "kind": "b"}),
        (one_field, {"issue": 7}, {"issue": 7}),
        (only_context, {"more": 1}, {"ctx": CTX}),
        (unannotated, {}, {"ctx": CTX}),
        (nothing, {"more": 1}, {}),
    ],
)
def test_a_handler_is_given_what_its_signature_says(function: Callable[..., Any], payload: dict[str, Any], given: dict[str, Any]) -> None:
    assert handler_of(function, {}).arguments(payload, CTX) == given


@pytest.mark.parametrize(
    ("function", "payload", "says"),
    [
        (whole, {"issue": "secret"}, "whole() does not take this payload: issue: input should be a valid integer"),
        (whole, {}, "issue: field required"),
        (fields, {"issue": 1, "kind": "c"}, "kind: input should be 'a' or 'b'"),
    ],
)
def test_a_payload_that_does_not_fit_is_said_by_place_and_never_repeated(function: Any, payload: dict[str, Any], says: str) -> None:
    with pytest.raises(PayloadError) as error:
        handler_of(function, {}).arguments(payload, CTX)
    assert says in error.value.message and "secret" not in error.value.message


def blocks(ctx: Context) -> None: ...
async def waits(ctx: BlockingContext) -> None: ...
def two(ctx: BlockingContext, other: BlockingContext) -> None: ...
def rest(*words: str) -> None: ...
def odd(bug: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def unreadable(bug: Agent) -> None: ...
async def yields(issue: int) -> AsyncIterator[int]:
    yield issue


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (blocks, "annotate BlockingContext"),
        (waits, "would block all others"),
        (two, "takes 2 contexts"),
        (rest, "has a name, by which it is given"),
        (odd, "cannot be read"),
        (unreadable, "no JSON can become"),
        (yields, "returns one result"),
    ],
)
def test_what_can_be_no_handler_is_said_when_it_is_made_one(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(AgentError, match=says):
        handler_of(function, {})


def test_annotations_may_name_what_is_known_where_the_handler_is() -> None:
    class Local(BaseModel):
        issue: int

    agent = Agent("dev_agent")

    @agent.task("bugfix")
    def fix(bug: Local) -> None: ...

    assert agent._handlers["bugfix"].arguments({"issue": 1}, CTX) == {"bug": Local(issue=1)}
    with pytest.raises(AgentError, match="second handler of 'bugfix'"):
        agent.task("bugfix")(nothing)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: Agent(()), "1 to 8 pools, not of 0"),
        (lambda: Agent("a.b"), "the pool 'a.b' must be"),
        (lambda: Agent("a", at_once=0), "1 to 1024 tasks at once"),
        (lambda: Agent("a").task(nothing), "name the types of task, or none"),  # @agent.task, without the parentheses
    ],
)
def test_what_can_be_no_agent_is_said(made: Callable[[], Agent], says: str) -> None:
    with pytest.raises(AgentError, match=says):
        made()


def test_what_is_said_goes_at_once_after_a_silence_and_then_in_company() -> None:
    gatherer: Gatherer[str] = Gatherer()
    gatherer.add("a", 1)
    assert (gatherer.due(10.0), gatherer.batch(10.0)) == (0.0, ["a"])
    gatherer.add("b", 1)
    gatherer.add("c", 1)
    assert gatherer.due(10.02) == pytest.approx(PACE - 0.02)
    assert gatherer.due(11.0) == 0.0
    assert gatherer.batch(10.05) == ["b", "c"]
    assert gatherer.empty


def test_only_the_last_progress_counts_and_nothing_is_without_bound() -> None:
    gatherer: Gatherer[str] = Gatherer(Bounds(full_items=2, most_items=3, batch_items=2, batch_bytes=10))
    for item in ("p1", "p2"):
        gatherer.add(item, 1, passing=True)
    assert [gatherer.add(item, 6) for item in ("a", "b", "c")] == [True, True, False]
    assert (gatherer.full, gatherer.left_out) == (True, 1)
    assert [gatherer.batch(0.0), gatherer.batch(0.0), gatherer.batch(0.0)] == [["p2", "a"], ["b"], []]


STOP, DRAIN, LOST = Cancelled("cancelled", "ann", "no need"), Cancelled("draining"), Cancelled("lease_lost")


@each(
    ("outcome", "why", "reported", "code", "mendable"),
    [
        (Returned({"at": date(2026, 1, 2)}), None, AgentReported.SUCCEEDED, "", True),
        (Returned(object()), None, AgentReported.FAILED, "RESULT_NOT_JSON", False),
        (Returned({"x": [float("nan")]}), None, AgentReported.FAILED, "RESULT_NOT_JSON", False),
        (Returned([float("-inf")]), None, AgentReported.FAILED, "RESULT_NOT_JSON", False),
        (Returned({"NaN": "Infinity"}), None, AgentReported.SUCCEEDED, "", True),
        (Returned("x" * MOST_RESULT), None, AgentReported.FAILED, "RESULT_TOO_LARGE", False),
        (Raised(TaskError("no")), None, AgentReported.FAILED, "", False),
        (Raised(TaskError("later", mendable=True)), None, AgentReported.FAILED, "", True),
        (Raised(PayloadError("odd")), None, AgentReported.FAILED, "BAD_PAYLOAD", False),
        (Raised(UnansweredError("nobody")), None, AgentReported.FAILED, "UNANSWERED", False),
        (Raised(KeyError("x")), None, AgentReported.FAILED, "HANDLER_RAISED", True),
        (Ended(), None, AgentReported.FAILED, "", True),
        (Ended(), STOP, AgentReported.STOPPED, "", True),
        (Returned(1), STOP, AgentReported.STOPPED, "", True),
        (Returned(1), DRAIN, AgentReported.SUCCEEDED, "", True),
        (Raised(KeyError("cleanup")), DRAIN, AgentReported.RELEASED, "", True),
        (Ended(), DRAIN, AgentReported.RELEASED, "", True),
    ],
)
def test_how_the_work_ended_decides_what_is_reported(
    outcome: Any, why: Cancelled | None, reported: AgentReported, code: str, mendable: bool
) -> None:
    report = report_of(HELD, outcome, why)
    assert report is not None
    assert (report.reported, report.code, report.mendable, report.lease) == (reported, code, mendable, "l")
    assert Report.model_validate_json(report.written()) == report


def test_nothing_is_reported_of_what_is_somebody_elses() -> None:
    assert [report_of(HELD, outcome, LOST) for outcome in (Ended(), Returned(1), Raised(KeyError()))] == [None] * 3


def token(**claims: str) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_an_agent_stands_where_its_credential_says() -> None:
    place = place_of(token(sub="bot", tenant="acme"), "", "")
    assert (place.subject("claim"), place.inbox, place.told) == ("agent.acme.bot.claim", "_INBOX.acme.bot", "told.acme.bot.>")
    assert place_of(token(sub="bot"), "", "").tenant == "public"
    assert place_of("a-key", "", "Bot").subject("beat") == "agent.public.bot.beat"


@pytest.mark.parametrize(
    ("secret", "name", "says"),
    [
        ("s3cret-key", "", "does not say whose it is"),
        (token(sub="bot"), "other", "the agent is to be another"),
        (token(sub="a.b"), "", "cannot be the name of an agent"),
    ],
)
def test_a_place_that_cannot_be_is_said_without_the_credential(secret: str, name: str, says: str) -> None:
    with pytest.raises(AgentError, match=says) as error:
        place_of(secret, "", name)
    assert secret not in str(error.value)


@pytest.mark.parametrize(("said", "told"), [(0.5, 0.5), (1.0000000002, 1.0), (-1.0, 0.0), (float("nan"), None), (None, None)])
def test_how_far_it_is_is_never_worth_a_failure(said: float | None, told: float | None) -> None:
    assert progress("x" * 1000 + "\udc80", said).fraction == told


def test_long_texts_are_said_in_parts_and_large_artifacts_belong_elsewhere() -> None:
    assert [len(text.text) for text in texts("x" * 70_000, is_error=False)] == [32768, 32768, 4464]
    assert texts("", is_error=False) == []
    with pytest.raises(TaskError, match="give its url"):
        artifact("big", "x" * 32769, {})
    with pytest.raises(TaskError, match="give its url"):
        artifact("big", "", {"value": ["x" * 1000] * 300})
    assert artifact("dated", "", {"value": {"at": date(2026, 1, 2)}}).value == {"at": "2026-01-02"}
    with pytest.raises(TaskError, match="is no JSON"):
        artifact("odd", "", {"value": object()})

"""What a view says of a run that waits, of one that somebody paused, of money, and of a pull request after its task."""

from __future__ import annotations

from tests.unit.relay.timelines import life, line, submitted
from tests.unit.relay.views import folded, listed
from trunkline.contracts.forge import PullRequestEnded
from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunClaimed, RunFailed, RunGoesOn, RunParked, RunWaits, RunWoken, Wait
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.steering import RunSteered, Steer
from trunkline.contracts.task import TaskCancelled
from trunkline.contracts.views import TaskView

WAITS = RunWaits(attempt=1, why=Wait.TOOL_CALL, approval_id="call-1")


def view(*then: tuple[str, Fact]) -> TaskView:
    log = [line(1, "t1", "task", submitted()), *(line(2 + index, "t1", part, fact) for index, (part, fact) in enumerate(then))]
    found = folded(log).task("acme", "t1")
    assert found
    return found


def answered(request: str, usd: float, limit_usd: float | None = None) -> ModelAnswered:
    told = {"attempt": 1, "sitting": 1, "request": request, "shape": "anthropic", "status": 200, "usd": usd, "limit_usd": limit_usd}
    return ModelAnswered.model_validate({**told, "input_tokens": 100, "cached_tokens": 60, "output_tokens": 10})


def test_a_run_waits_for_an_approval_until_it_goes_on() -> None:
    waits, goes_on = view(("run", WAITS)), view(("run", WAITS), ("run", RunGoesOn(attempt=1)))
    assert (waits.waiting_for, waits.approval_waiting) == ("tool_call", "call-1")
    assert (goes_on.waiting_for, goes_on.approval_waiting) == (None, None)


def test_a_parked_run_still_waits_for_the_same_approval() -> None:
    parked = RunParked(attempt=1, sitting=1, why=Wait.TOOL_CALL)
    found = view(("run", WAITS), ("run", parked), ("run", RunWoken(attempt=1, sitting=2)))
    assert (found.waiting_for, found.approval_waiting) == ("tool_call", "call-1")


def test_a_task_began_when_its_run_was_first_taken_however_often_it_is_taken_again() -> None:
    once = view(("run", RunClaimed(attempt=1, owner="a")))
    again = view(("run", RunClaimed(attempt=1, owner="a")), ("run", WAITS), ("run", RunClaimed(attempt=1, owner="b")))
    assert again.started_at == once.started_at is not None


def test_a_run_that_failed_or_was_stopped_waits_for_nothing() -> None:
    failed = view(("run", WAITS), ("run", RunFailed(attempt=1, code="BUDGET", error="It is used up.", recoverable=False)))
    cancelled = view(("run", WAITS), ("inbox", wants(Steer.PAUSE)), ("task", TaskCancelled(by="ann", reason="")))
    assert (failed.waiting_for, failed.approval_waiting) == (None, None)
    assert (cancelled.waiting_for, cancelled.approval_waiting, cancelled.paused) == (None, None, False)


def wants(what: Steer) -> RunSteered:
    return RunSteered(wish_id="w1", steer=what, by="ann")


def test_a_task_is_paused_from_the_wish_on_until_it_is_resumed() -> None:
    assert view(("inbox", wants(Steer.PAUSE))).paused
    assert view(("inbox", wants(Steer.PAUSE)), ("inbox", wants(Steer.INTERRUPT))).paused
    assert not view(("inbox", wants(Steer.PAUSE)), ("inbox", wants(Steer.RESUME))).paused


def test_what_may_be_spent_is_what_the_last_answer_found() -> None:
    assert view(("spend", answered("r1", 1.0, 2.0))).limit_usd == 2.0
    assert view(("spend", answered("r1", 1.0, 2.0)), ("spend", answered("r2", 1.0, 7.0))).limit_usd == 7.0
    assert view().limit_usd is None


def test_money_and_tokens_add_up() -> None:
    found = view(("spend", answered("a", 0.1)), ("spend", answered("b", 0.2)))
    assert (found.spent_usd, found.input_tokens, found.output_tokens) == (0.3, 200, 20)


def test_what_is_learnt_after_the_end_changes_neither_the_end_nor_its_place() -> None:
    before = folded(life(1, "t1")).task("acme", "t1")
    merged = PullRequestEnded(repo="acme/shop", number=7, merged=True, by="bob")
    views = folded([*life(1, "t1"), line(9, "t1", "pull", merged), line(10, "t1", "spend", answered("late", 0.5))])
    after = views.task("acme", "t1")
    assert before and after
    assert (before.pull_request_state, after.pull_request_state) == ("open", "merged")
    assert (after.seq, after.status, after.ended_at, after.result) == (before.seq, before.status, before.ended_at, before.result)
    assert after.spent_usd == 0.5
    assert [one.task_id for one in listed(views).tasks] == ["t1"]


def test_a_pull_request_that_is_not_the_task_s_own_says_nothing_about_it() -> None:
    other = PullRequestEnded(repo="acme/shop", number=8, merged=False, by="bob")
    found = folded([*life(1, "t1"), line(9, "t1", "pull", other)]).task("acme", "t1")
    assert found and found.pull_request_state == "open"


def test_a_pull_request_that_is_closed_unmerged_is_closed() -> None:
    closed = PullRequestEnded(repo="acme/shop", number=7, merged=False, by="bob")
    found = folded([*life(1, "t1")[:7], line(8, "t1", "pull", closed), life(8, "t1")[0]]).task("acme", "t1")
    assert found and found.pull_request_state == "closed"

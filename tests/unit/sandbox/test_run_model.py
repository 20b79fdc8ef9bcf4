"""The run: its steps in order, who may claim it, and when a stop is still honoured."""

from datetime import UTC, datetime, timedelta

from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    AgentChecked,
    AgentEnded,
    AgentStarted,
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    PushJudged,
    RepositoryCloned,
    RunClaimed,
    RunFailed,
    RunParked,
    RunResult,
    RunStopped,
    RunSucceeded,
    RunWoken,
    SandboxReady,
    Usage,
    Wait,
)
from trunkline_sandbox.model import (
    Released,
    Run,
    Step,
    claim,
    concluded,
    evolve,
    is_last_exit,
    may_stop,
    next_step,
    stop_unclaimed,
    succeeded,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLAIMED = RunClaimed(attempt=1, owner="a")
STORY: list[tuple[Fact, Step]] = [
    (CLAIMED, Step.MAKE_SANDBOX),
    (SandboxReady(sandbox_id="t1-1", provider="local", isolation="bubblewrap"), Step.CLONE),
    (RepositoryCloned(branch="main", commit="aaa"), Step.START_AGENT),
    (AgentStarted(agent="command"), Step.WATCH_AGENT),
    (AgentEnded(summary="done", usage=Usage(model="m")), Step.COMMIT),
    (ChangesCommitted(branch="b", commit="ccc", files_changed=2, additions=3, deletions=1), Step.JUDGE),
    (PushJudged(attempt=1, commit="ccc", digest="d", cleared=True), Step.PUSH),
    (BranchPushed(branch="b", commit="ccc"), Step.OPEN_PULL_REQUEST),
]


def after(*facts: Fact) -> Run | None:
    run: Run | None = None
    for fact in facts:
        run = evolve(run, fact, NOW)
    return run


def test_every_recorded_step_leads_to_the_next() -> None:
    run: Run | None = None
    for fact, step in STORY:
        run = evolve(run, fact, NOW)
        assert run is not None
        assert next_step(run) is step


IN_A_NAMED_ONE: list[tuple[Fact, Step]] = [
    (CLAIMED, Step.MAKE_SANDBOX),
    (SandboxReady(sandbox_id="sbx-1", provider="local", isolation="bubblewrap", named=True), Step.CHECK),
    (AgentChecked(agent="claude", version="2.1.7"), Step.START_AGENT),
    (AgentStarted(agent="claude"), Step.WATCH_AGENT),
    (AgentEnded(summary="done"), Step.CONCLUDE),
]


def test_a_run_in_a_named_sandbox_is_checked_and_changes_no_repository() -> None:
    run: Run | None = None
    for fact, step in IN_A_NAMED_ONE:
        run = evolve(run, fact, NOW)
        assert run is not None
        assert next_step(run) is step
    assert run is not None
    [end] = concluded(run, NOW + timedelta(seconds=2), Usage(model="m"))
    assert isinstance(end, RunSucceeded)
    assert end.result == RunResult(sandbox_id="sbx-1", sandbox_seconds=2.0, summary="done", usage=Usage(model="m"))
    assert (end.result.pull_request, end.result.branch) == (0, "")
    assert claim(None, Released(1), "a", "bubblewrap", "sbx-1")[1] == PhaseBegan(phase=Phase.SANDBOX, message="Using sandbox sbx-1...")


def test_a_run_that_is_over_has_no_next_step() -> None:
    for end in (RunFailed(attempt=1, code="X", error="x", recoverable=False), RunStopped(attempt=1)):
        run = after(CLAIMED, end)
        assert run is not None
        assert next_step(run) is Step.NOTHING


def test_the_first_claim_says_where_the_work_begins() -> None:
    assert claim(None, Released(1), "a", "bubblewrap") == [
        CLAIMED,
        PhaseBegan(phase=Phase.SANDBOX, message="Creating sandbox (bubblewrap)..."),
    ]


def test_a_takeover_keeps_what_was_done_and_when_it_began() -> None:
    half_way = after(*(fact for fact, _ in STORY[:4]))
    [taken] = claim(half_way, Released(1), "b", "bubblewrap")
    run = evolve(half_way, taken, NOW + timedelta(minutes=1))
    assert run is not None
    assert (run.owner, run.began_at, next_step(run)) == ("b", NOW, Step.WATCH_AGENT)


def test_another_attempt_begins_from_the_beginning() -> None:
    failed = after(*(fact for fact, _ in STORY), RunFailed(attempt=1, code="X", error="x", recoverable=True))
    facts = claim(failed, Released(2), "b", "bubblewrap")
    run = evolve(failed, facts[0], NOW)
    assert run is not None
    assert next_step(run) is Step.MAKE_SANDBOX


def test_what_is_over_or_was_overtaken_cannot_be_claimed() -> None:
    assert claim(after(CLAIMED, RunStopped(attempt=1)), Released(1), "b", "x") == []
    assert claim(after(RunClaimed(attempt=2, owner="a")), Released(1), "b", "x") == []


def test_an_attempt_stopped_before_it_was_taken_cannot_be_taken() -> None:
    [stopped] = stop_unclaimed(None, 1)
    assert claim(after(stopped), Released(1), "a", "x") == []


def test_a_second_attempt_stopped_before_it_was_taken_cannot_be_taken_either() -> None:
    given = (CLAIMED, RunFailed(attempt=1, code="X", error="x", recoverable=True))
    [stopped] = stop_unclaimed(after(*given), 2)
    assert claim(after(*given, stopped), Released(2), "a", "x") == []


def test_an_attempt_that_was_taken_is_stopped_by_its_owner_alone() -> None:
    assert stop_unclaimed(after(CLAIMED), 1) == []


def test_a_stop_is_honoured_until_the_push_begins() -> None:
    assert [step for step in Step if not may_stop(step)] == [Step.PUSH, Step.OPEN_PULL_REQUEST]


def test_the_result_is_made_of_what_was_recorded() -> None:
    run = after(*(fact for fact, _ in STORY))
    assert run is not None
    counted = Usage(model="counted", input_tokens=9)
    opened, end = succeeded(run, PullRequestOpened(number=7, url="u"), NOW + timedelta(seconds=4.5), counted)
    assert isinstance(opened, PullRequestOpened)
    assert isinstance(end, RunSucceeded)
    result = end.result
    assert (result.pull_request, result.commit, result.files_changed, result.additions, result.deletions) == (7, "ccc", 2, 3, 1)
    assert (result.base, result.branch, result.summary, result.sandbox_seconds) == ("main", "b", "done", 4.5)


def test_what_an_agent_claims_to_have_used_is_in_no_result() -> None:
    liar = AgentEnded(summary="done", usage=Usage(model="free", input_tokens=1, output_tokens=1, cost_usd=0.0))
    run = after(*(liar if isinstance(fact, AgentEnded) else fact for fact, _ in STORY))
    assert run is not None and run.agent_ended == liar
    for counted in (Usage(), Usage(model="dear", input_tokens=900, output_tokens=80, cost_usd=2.5)):
        end = succeeded(run, PullRequestOpened(number=7, url="u"), NOW, counted)[-1]
        assert isinstance(end, RunSucceeded)
        assert end.result.usage == counted


PARKED = RunParked(attempt=1, sitting=1, why=Wait.TOOL_CALL, session="s", line=7)


def test_a_stop_is_looked_for_a_last_time_right_before_the_push() -> None:
    assert [step for step in Step if is_last_exit(step)] == [Step.JUDGE, Step.CONCLUDE]


def test_a_push_that_was_not_cleared_is_judged_again() -> None:
    judged = PushJudged(attempt=1, commit="ccc", digest="d", cleared=False, reasons=("r",))
    run = after(*(fact for fact, _ in STORY[:6]), judged)
    assert run is not None
    assert next_step(run) is Step.JUDGE


def test_nothing_is_done_about_a_parked_run_until_it_is_handed_out_again() -> None:
    run = after(*(fact for fact, _ in STORY[:4]), PARKED)
    assert run is not None
    assert next_step(run) is Step.NOTHING
    assert claim(run, Released(1), "b", "x") == [], "it was parked since it was handed out like this"
    assert claim(run, Released(1, round=1), "b", "x") == [RunClaimed(attempt=1, owner="b"), RunWoken(attempt=1, sitting=2)]


def test_a_woken_run_begins_the_next_sitting_in_the_same_conversation() -> None:
    run = after(*(fact for fact, _ in STORY[:4]), PARKED, CLAIMED, RunWoken(attempt=1, sitting=2))
    assert run is not None
    assert (next_step(run), run.sitting, run.session) == (Step.START_AGENT, 2, "s")
    again = evolve(run, AgentStarted(agent="command", sitting=2), NOW)
    assert again is not None
    assert next_step(again) is Step.WATCH_AGENT
    assert claim(again, Released(1), "c", "x") == [], "the first round's work shown again does not take it away"
    assert claim(again, Released(1, round=1), "c", "x") == [RunClaimed(attempt=1, owner="c")]


def test_a_run_that_waited_for_its_push_goes_on_without_another_sitting() -> None:
    judged = PushJudged(attempt=1, commit="ccc", digest="d", cleared=False, reasons=("r",))
    run = after(*(fact for fact, _ in STORY[:6]), judged, RunParked(attempt=1, sitting=1, why=Wait.PUSH))
    woken = claim(run, Released(1, round=1), "b", "x")
    assert woken[-1] == RunWoken(attempt=1, sitting=1)


def test_a_parked_run_is_stopped_by_whoever_hears_it_first_and_once() -> None:
    parked = after(*(fact for fact, _ in STORY[:4]), PARKED)
    [stopped] = stop_unclaimed(parked, 1)
    assert stop_unclaimed(after(*(fact for fact, _ in STORY[:4]), PARKED, stopped), 1) == []
    assert stop_unclaimed(after(*(fact for fact, _ in STORY[:4]), PARKED, RunWoken(attempt=1, sitting=2)), 1) == []


def test_claims_count_up_until_the_run_comes_further() -> None:
    taken = after(CLAIMED, CLAIMED, CLAIMED)
    further = after(CLAIMED, CLAIMED, SandboxReady(sandbox_id="t1-1", provider="local", isolation="bubblewrap"))
    assert taken is not None
    assert further is not None
    assert (taken.claims, further.claims) == (3, 0)

"""What is remembered of a dispatch, and what a step of it leads to: repeats to nothing, and what comes late to nothing either."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from trunkline.contracts.dispatch import (
    COMPLETED,
    DispatchGivenUp,
    DispatchTried,
    DispatchWanted,
    KeyMinted,
    Outcome,
    SeenBy,
    WorkflowCancelTried,
    WorkflowRun,
    WorkflowRunSeen,
    WorkflowRunTold,
)
from trunkline.contracts.message import Fact
from trunkline_relay.model.dispatch import (
    Begin,
    Came,
    CancelCame,
    Cue,
    Disbelieve,
    Dispatch,
    GiveUp,
    Refuse,
    Revoke,
    Seen,
    Tell,
    Want,
    decide,
    evolve,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = KeyMinted(key_id="k", sha256="f" * 64, expires_at=NOW + timedelta(hours=2))
WANT = Want(1, "acme/shop", "omnara_trigger", "main", "general", None, KEY)
NAME = "01a1fe1a-1547-7676-b883-dd25f2dda5a4"


def run(number: int = 7, status: str = "queued", conclusion: str = "", *, attempt: int = 1, title: str = "omnara_trigger") -> WorkflowRun:
    return WorkflowRun(run_id=number, run_attempt=attempt, status=status, conclusion=conclusion, title=title)


class Story:
    """A dispatch, and what the newest step led to."""

    def __init__(self, *cues: Cue) -> None:
        self.state: Dispatch | None = None
        self.facts: list[Fact] = []
        for number, cue in enumerate(cues):
            self.then(cue, number)

    def then(self, cue: Cue, seconds: float = 60) -> list[Fact]:
        self.facts = decide(self.state, cue)
        for fact in self.facts:
            self.state = evolve(self.state, fact, NOW + timedelta(seconds=seconds))
        return self.facts

    @property
    def dispatch(self) -> Dispatch:
        assert self.state is not None
        return self.state


SENT = (WANT, Begin(1))
ACCEPTED = (*SENT, Came(1, Outcome.ACCEPTED, 204))
FOUND = (*ACCEPTED, Seen(run(), SeenBy.LISTING))


def test_it_is_wanted_once_for_each_attempt() -> None:
    story = Story(WANT)
    assert isinstance(story.facts[0], DispatchWanted)
    assert story.then(WANT) == []
    assert story.then(replace(WANT, attempt=2)) != []
    assert story.dispatch.tries == 0


def test_what_cannot_be_wanted_is_given_up_once() -> None:
    assert isinstance(Story(Refuse(1, "NO_VAULT_KEY", "no key")).facts[0], DispatchGivenUp)
    assert Story(WANT).then(Refuse(1, "NO_VAULT_KEY", "no key")) == []


@pytest.mark.parametrize("cues", [(), SENT, ACCEPTED, FOUND, (WANT, GiveUp("WITHDRAWN", "")), (*SENT, Came(1, Outcome.TIMEOUT))])
def test_a_request_begins_only_where_the_one_before_certainly_led_to_nothing(cues: tuple[Cue, ...]) -> None:
    story = Story(*cues)
    assert story.then(Begin(story.state.tries + 1 if story.state else 1)) == []


def test_of_two_who_would_send_one_request_one_sends_it() -> None:
    story = Story(*SENT, Came(1, Outcome.REQUEST_FAILED, 429, again_at=NOW))
    assert story.then(Begin(1)) == []
    assert story.then(Begin(3)) == []
    assert story.then(Begin(2)) == [DispatchTried(number=2, outcome=Outcome.BEGUN)]
    assert story.then(Begin(2)) == []


def test_what_nobody_knew_may_be_known_later_and_what_is_known_stays() -> None:
    story = Story(*SENT, Came(1, Outcome.TIMEOUT, again_at=NOW))
    assert story.dispatch.unsure
    assert story.then(Came(1, Outcome.TIMEOUT, again_at=NOW)) == []
    assert len(story.then(Came(1, Outcome.ACCEPTED))) == 1
    assert story.then(Came(1, Outcome.CONNECTION_ERROR)) == []
    assert story.dispatch.tried_at == NOW + timedelta(seconds=1), "since it was begun"


def test_news_of_a_run_is_told_once_and_in_order() -> None:
    story = Story(*FOUND)
    assert story.then(Seen(run(), SeenBy.WEBHOOK)) == []
    assert isinstance(story.then(Seen(run(status="in_progress"), SeenBy.WEBHOOK), 70)[0], WorkflowRunSeen)
    assert (story.dispatch.how, story.dispatch.began_at) == (SeenBy.WEBHOOK, NOW + timedelta(seconds=70))
    assert story.then(Seen(run(), SeenBy.LISTING)) == [], "GitHub tells late that it waits"
    story.then(Seen(run(status=COMPLETED, conclusion="success"), SeenBy.LISTING))
    assert story.then(Seen(run(status="in_progress"), SeenBy.WEBHOOK)) == []
    assert story.then(GiveUp("RUN_NOT_STARTED", "late")) == []
    assert story.dispatch.concluded
    assert story.then(Seen(run(status="queued", attempt=2), SeenBy.WEBHOOK)) != [], "somebody runs it again"


def test_another_run_counts_only_where_it_says_itself_that_it_is_the_one() -> None:
    story = Story(*FOUND)
    assert story.then(Seen(run(8), SeenBy.LISTING)) == []
    assert story.then(Seen(run(8, title=f"omnara {NAME}"), SeenBy.WEBHOOK)) != []
    assert story.then(Seen(run(9), SeenBy.TOLD)) == [], "the one that is known named it too"
    assert story.then(Tell(9)) == [], "and nobody asks after another"
    assert Story(*FOUND, Seen(run(9), SeenBy.TOLD)).dispatch.sure
    assert Story(*FOUND, Seen(run(9), SeenBy.TOLD), Seen(run(9, "in_progress"), SeenBy.LISTING)).dispatch.sure


def test_a_run_that_somebody_tells_is_kept_as_a_hint_and_nothing_more() -> None:
    story = Story(*FOUND)
    assert isinstance(story.then(Tell(9))[0], WorkflowRunTold)
    assert story.then(Tell(9)) == []
    assert story.dispatch.run == run() and story.dispatch.told and not story.dispatch.sure
    assert story.then(Disbelieve(8, "another")) == []
    assert isinstance(story.then(Disbelieve(9, "no"))[0], WorkflowRunTold)
    assert story.then(Disbelieve(9, "no")) == []
    assert (story.dispatch.told, story.dispatch.run) == (None, run())
    story.then(Tell(7))
    assert story.then(Seen(run(), SeenBy.TOLD)) != [], "it is no guess any more"
    assert (story.dispatch.told, story.dispatch.sure) == (None, True)
    assert story.then(Tell(7)) != [], "it waited, and may be at work"


def test_with_one_key_eight_runs_are_named_and_no_more() -> None:
    story = Story(*FOUND)
    assert [bool(story.then(Tell(100 + number))) for number in range(9)] == [True] * 8 + [False]


def test_a_run_that_is_seen_proves_that_its_request_was_taken() -> None:
    story = Story(*SENT, Came(1, Outcome.ERROR, 502, again_at=NOW), Seen(run(), SeenBy.LISTING))
    assert story.dispatch.accepted_at == NOW + timedelta(seconds=3)


def test_cancelling_counts_until_github_took_it() -> None:
    story = Story(*FOUND)
    for number in (1, 2):
        (tried,) = story.then(CancelCame(Outcome.ERROR, 500, again_at=NOW))
        assert isinstance(tried, WorkflowCancelTried) and tried.number == number
    story.then(CancelCame(Outcome.ACCEPTED))
    assert story.then(CancelCame(Outcome.ACCEPTED)) == []
    assert Story(*ACCEPTED).then(CancelCame(Outcome.ACCEPTED)) == [], "there is nothing to cancel"


def test_it_is_given_up_and_its_key_revoked_once() -> None:
    story = Story(*ACCEPTED)
    assert len(story.then(GiveUp("RUN_NOT_STARTED", "no run"))) == 1
    assert story.then(GiveUp("WITHDRAWN", "")) == []
    assert len(story.then(Revoke("over"))) == 1
    assert story.then(Revoke("over")) == []


@pytest.mark.parametrize("cue", [Begin(1), Came(1, Outcome.ACCEPTED), Seen(run(), SeenBy.TOLD), GiveUp("X", ""), Revoke("")])
def test_where_nothing_was_wanted_nothing_follows(cue: Cue) -> None:
    assert decide(None, cue) == []

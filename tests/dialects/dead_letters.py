"""What the relay would answer about dead letters, by its own model: letters that are there, and what somebody did about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from trunkline.auth.principal import HOME
from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.letters import (
    DiscardLetter,
    GetLetter,
    LetterHandled,
    LetterKind,
    LetterPage,
    LetterState,
    LetterView,
    ListLetters,
    RequeueLetter,
    task_of,
)
from trunkline.contracts.message import Message
from trunkline_relay.model import letters

LetterWish = ListLetters | GetLetter | RequeueLetter | DiscardLetter
TASK = "task.0194589f6d0070008000000000000009"
TRIGGER = "trigger.0194589f6d0070008000000000000008"
WEBHOOK = f"webhook.wh_{'1' * 32}.dlv_{'2' * 40}"
TIMER = "message.due-router-retry.17"


@dataclass
class Letters:
    """Every letter, what was given up on last first; `places` are those of a list."""

    every: list[LetterView] = field(default_factory=list)

    def told(self, wish: LetterWish) -> Message:
        match wish:
            case ListLetters():
                return self._page(wish)
            case GetLetter():
                return self._one(wish.tenant, wish.letter)
            case RequeueLetter():
                view = self._one(wish.tenant, wish.letter)
                letters.check_editable(view, wish.edit)
                return self._handled(view, wish, LetterState.REQUEUED)
            case DiscardLetter():
                return self._handled(self._one(wish.tenant, wish.letter), wish, LetterState.DISCARDED)

    def _page(self, query: ListLetters) -> LetterPage:
        begin = int(query.after or 0)
        of = [view for view in self.every if view.tenant == query.tenant and (not query.kinds or view.kind in query.kinds)]
        found = [view.model_copy(update={"body": None}) for view in of if letters.fits(view, query)]
        end = begin + query.limit
        return LetterPage(letters=tuple(found[begin:end]), next=str(end) if end < len(found) else None, total=len(found))

    def _one(self, tenant: str, letter: str) -> LetterView:
        found = next((view for view in self.every if (view.tenant, view.id) == (tenant, letter)), None)
        if found is None:
            raise NotFound("there is no such letter", code="LETTER_NOT_FOUND", letter=letter)
        return found

    def _handled(self, view: LetterView, wish: RequeueLetter | DiscardLetter, state: LetterState) -> LetterView:
        if view.handled and view.handled.wish == wish.wish:
            return view
        if view.state in (LetterState.REQUEUED, state):
            raise Conflict(f"it was {view.state} already", code="LETTER_HANDLED")
        again = isinstance(wish, RequeueLetter)
        task = task_of(wish.tenant, wish.letter, 1) if again and view.kind in (LetterKind.TASK, LetterKind.TRIGGER) else ""
        told = LetterHandled(
            letter=wish.letter,
            state=state,
            count=int(again),
            wish=wish.wish,
            by=wish.by,
            at=wish.at,
            reason=wish.reason if isinstance(wish, DiscardLetter) else "",
            edit=wish.edit if isinstance(wish, RequeueLetter) else None,
            done=True,
            made=task,
        )
        after = letters.stands(view, told)
        self.every[self.every.index(view)] = after
        return after


def some_given_up(of: Letters, at: datetime, tenant: str = HOME) -> None:
    """One letter of each kind."""
    asked = {"type": "bugfix", "payload": {"title": "Fix the login bug."}, "prompt": "Fix the login bug."}
    timer = {"tenant": tenant, "task": "0194589f6d0070008000000000000007", "attempt": 1}
    of.every += [
        LetterView(
            id=TASK, kind=LetterKind.TASK, tenant=tenant, what="bugfix acme/shop", code="AGENT_FAILED", why="the tests fail still",
            tries=2, at=at, task_id=TASK.partition(".")[2], body=asked, editable=letters.OF_TASKS,
        ),
        LetterView(
            id=TRIGGER, kind=LetterKind.TRIGGER, tenant=tenant, what="dispatch 0194589f6d0070008000000000000008", code="REFUSED",
            why="GitHub knows no such workflow", tries=1, at=at, task_id=TRIGGER.partition(".")[2], body=asked, editable=letters.OF_TASKS,
        ),
        LetterView(
            id=WEBHOOK, kind=LetterKind.WEBHOOK, tenant=tenant, what="job.failed to https://example.com/hook", code="dead",
            why="10 tries failed; at last it answered 500", tries=10, at=at, body={"type": "job.failed"},
        ),
        LetterView(
            id=TIMER, kind=LetterKind.MESSAGE, tenant=tenant, what="due-router-retry due.router.retry", why="KeyError: 'attempt'",
            tries=8, at=at, body=timer, editable=letters.OF_MESSAGES,
        ),
    ]  # fmt: skip

"""The inbox: what people say is changed, ordered or withdrawn until the carrier takes it; against a list that means the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tests.campaigns import tries
from trunkline.contracts.errors import Conflict, DomainError, Invalid, NotFound
from trunkline.contracts.message import Fact, UnknownFact
from trunkline.contracts.steering import (
    MOST_QUEUED,
    MOST_TEXT,
    EditMessage,
    InboxClosed,
    MessageDelivered,
    MessageQueued,
    MessageReturned,
    MessageState,
    MessageTaken,
    MessageWithdrawn,
    ReorderMessages,
    RunSteered,
    SayToAgent,
    Steer,
    SteerRun,
    WithdrawMessage,
)
from trunkline_sandbox.model.inbox import EMPTY, MOST_EVER, Asked, Close, Cue, Deliver, Inbox, Take, decide, evolve, shown
from trunkline_sandbox.model.letters import ANSWER, TEXTS_KEPT

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ABOUT: dict[str, Any] = {"tenant": "acme", "at": NOW, "task_id": "t1", "by": "ann"}


def say(id: str, text: str = "also fix the tests", attempt: int = 1) -> Asked:
    return Asked(SayToAgent(message_id=id, text=text, **ABOUT), attempt)


def edit(id: str, text: str) -> Asked:
    return Asked(EditMessage(message_id=id, text=text, **ABOUT), 1)


def withdraw(id: str) -> Asked:
    return Asked(WithdrawMessage(message_id=id, **ABOUT), 1)


def order(*ids: str) -> Asked:
    return Asked(ReorderMessages(message_ids=ids, **ABOUT), 1)


def steer(id: str, what: Steer, attempt: int = 1) -> Asked:
    return Asked(SteerRun(wish_id=id, steer=what, **ABOUT), attempt)


def after(*cues: Cue) -> Inbox:
    inbox: Inbox | None = None
    for cue in cues:
        inbox = told(inbox, decide(inbox, cue))
    return inbox or EMPTY


def told(inbox: Inbox | None, facts: tuple[Fact, ...]) -> Inbox:
    for fact in facts:
        inbox = evolve(inbox, fact, NOW)
    return inbox or EMPTY


def waiting(inbox: Inbox) -> list[str]:
    return [letter.id for letter in inbox.waiting]


def test_a_message_is_seen_then_taken_and_the_timeline_says_both() -> None:
    inbox = after(say("a"), say("b"))
    assert decide(inbox, Deliver(1)) == (
        MessageDelivered(message_id="a", attempt=1), MessageDelivered(message_id="b", attempt=1),
    )  # fmt: skip
    inbox = told(inbox, decide(inbox, Deliver(1)))
    assert decide(inbox, Deliver(1)) == ()
    assert decide(inbox, Take("a", 1, 2)) == (MessageTaken(message_id="a", attempt=1, sitting=2),)


def test_what_is_taken_unseen_is_said_to_be_seen_first() -> None:
    first, second = decide(after(say("a")), Take("a", 1, 1))
    assert (type(first), type(second)) == (MessageDelivered, MessageTaken)


def test_a_message_may_be_changed_until_the_agent_has_it() -> None:
    inbox = after(say("a", "one"), Deliver(1), edit("a", "two"))
    assert [(letter.text, letter.edits, letter.entry) for letter in inbox.waiting] == [("two", 1, "msg-a-1")]
    inbox = told(inbox, decide(inbox, Take("a", 1, 1)))
    for cue in (edit("a", "three"), withdraw("a")):
        with pytest.raises(Conflict) as refused:
            decide(inbox, cue)
        assert refused.value.code == "MESSAGE_TAKEN"


def test_a_change_whose_answer_was_lost_may_be_sent_again_though_the_agent_has_it_by_now() -> None:
    assert decide(after(say("a", "one"), edit("a", "two"), Take("a", 1, 1)), edit("a", "two")) == ()


def test_what_an_earlier_attempt_heard_waits_again_before_all_else_in_the_order_in_which_it_was_taken() -> None:
    inbox = after(*(say(id) for id in "abcd"), Take("b", 1, 1), Take("a", 1, 2), withdraw("c"))
    assert decide(inbox, Deliver(1)) == (MessageDelivered(message_id="d", attempt=1),)
    facts = decide(inbox, Deliver(2))
    assert facts[:2] == (MessageReturned(message_id="b", attempt=2), MessageReturned(message_id="a", attempt=2))
    again = told(inbox, facts)
    assert waiting(again) == ["b", "a", "d"]
    assert [letter.state for letter in again.waiting] == [MessageState.DELIVERED] * 3
    assert decide(again, Deliver(2)) == ()
    taken = told(again, decide(again, Take("b", 2, 1)))
    assert [(letter.id, letter.attempt) for letter in taken.settled if letter.state is MessageState.TAKEN] == [("b", 2)]
    assert decide(taken, Deliver(2)) == (), "it is not told twice"
    assert waiting(told(taken, decide(taken, Deliver(3)))) == ["a", "b", "d"]


def test_what_waits_again_may_be_changed_and_withdrawn_again() -> None:
    inbox = after(say("a", "one"), say("b"), Take("a", 1, 1), Take("b", 1, 1), Deliver(2), edit("a", "two"), withdraw("b"))
    assert [(letter.id, letter.entry) for letter in inbox.waiting] == [("a", "msg-a-1")]


def test_a_resume_ends_a_pause_and_a_rest_but_no_rest_that_came_within_the_pause() -> None:
    interrupt, pause = steer("i", Steer.INTERRUPT), steer("p", Steer.PAUSE)
    assert decide(after(interrupt), steer("r", Steer.RESUME)) == (RunSteered(wish_id="r", steer=Steer.RESUME, by="ann", attempt=1),)
    assert decide(after(interrupt, steer("r", Steer.RESUME)), steer("s", Steer.RESUME)) == ()
    assert decide(after(interrupt), steer("r", Steer.RESUME, attempt=2)) == (), "the next attempt was never interrupted"
    assert after(interrupt, pause, steer("r", Steer.RESUME)).rests == 0
    within = after(pause, interrupt, steer("r", Steer.RESUME))
    assert (within.paused, within.rests) == (False, 1)
    assert told(within, decide(within, steer("s", Steer.RESUME))).rests == 0


def test_what_is_withdrawn_is_not_taken() -> None:
    inbox = after(say("a"), withdraw("a"))
    assert decide(inbox, Take("a", 1, 1)) == ()
    assert decide(inbox, withdraw("a")) == ()
    with pytest.raises(Conflict) as refused:
        decide(inbox, edit("a", "two"))
    assert refused.value.code == "MESSAGE_WITHDRAWN"


@pytest.mark.parametrize("cue", [edit("x", "y"), withdraw("x")])
def test_a_message_that_is_not_there_is_not_found(cue: Asked) -> None:
    with pytest.raises(NotFound):
        decide(after(say("a")), cue)


def test_an_order_names_every_message_that_waits_once() -> None:
    inbox = after(say("a"), say("b"), say("c"), order("c", "a", "b"))
    assert waiting(inbox) == ["c", "a", "b"]
    assert decide(inbox, order("c", "a", "b")) == ()
    for wrong in (order("c", "a"), order("c", "a", "b", "x")):
        with pytest.raises(Conflict):
            decide(inbox, wrong)
    with pytest.raises(Invalid):
        decide(inbox, order("c", "a", "a"))


def test_a_repeat_says_nothing_twice() -> None:
    inbox = after(say("a"), steer("w", Steer.INTERRUPT))
    assert decide(inbox, say("a")) == ()
    assert decide(inbox, steer("w", Steer.INTERRUPT)) == ()
    assert decide(told(inbox, decide(inbox, Take("a", 1, 1))), say("a")) == ()


def test_only_so_many_messages_wait_and_a_task_hears_only_so_many() -> None:
    full = after(*(say(str(number)) for number in range(MOST_QUEUED)))
    with pytest.raises(Conflict) as refused:
        decide(full, say("one-more"))
    assert refused.value.code == "INBOX_FULL"
    inbox = EMPTY
    for number in range(MOST_EVER):
        inbox = told(inbox, (*decide(inbox, say(str(number))), MessageWithdrawn(message_id=str(number), by="ann")))
    with pytest.raises(Conflict):
        decide(inbox, say("one-more"))
    assert sum(letter.text != "" for letter in inbox.settled) == TEXTS_KEPT


def test_pausing_what_is_paused_changes_nothing() -> None:
    paused = after(steer("w1", Steer.PAUSE))
    assert paused.paused
    assert decide(paused, steer("w2", Steer.PAUSE)) == ()
    assert not told(paused, decide(paused, steer("w2", Steer.RESUME))).paused
    assert decide(EMPTY, steer("w3", Steer.RESUME)) == ()
    assert told(paused, decide(paused, steer("w4", Steer.INTERRUPT))).paused


def test_once_closed_nothing_is_said_and_what_waited_is_withdrawn_with_the_reason() -> None:
    inbox = after(say("a"))
    assert decide(inbox, Close(1)) == (
        MessageWithdrawn(message_id="a", by="trunkline", reason="the agent is done"), InboxClosed(attempt=1),
    )  # fmt: skip
    closed = told(inbox, decide(inbox, Close(1)))
    assert decide(closed, Close(1)) == ()
    for cue in (say("b"), steer("w", Steer.INTERRUPT), steer("w", Steer.PAUSE)):
        with pytest.raises(Conflict) as refused:
            decide(closed, cue)
        assert refused.value.code == "TASK_ENDING"
    assert isinstance(decide(closed, say("b", attempt=2))[0], MessageQueued)
    assert decide(closed, steer("w", Steer.INTERRUPT, 2)) == (RunSteered(wish_id="w", steer=Steer.INTERRUPT, by="ann", attempt=2),)


def test_an_inbox_with_a_message_in_it_is_left_open_for_an_agent_that_could_go_on() -> None:
    assert decide(after(say("a")), Close(1, unless_waiting=True)) == ()
    assert decide(after(say("a"), Take("a", 1, 1)), Close(1, unless_waiting=True)) == (InboxClosed(attempt=1),)


@pytest.mark.parametrize("cue", [say("a"), steer("w", Steer.PAUSE), steer("w", Steer.INTERRUPT)])
def test_an_inbox_of_which_anything_is_wished_is_left_open_by_who_did_not_look(cue: Cue) -> None:
    assert decide(after(cue), Close(1, unless_waiting=True, unless_wished=True)) == ()


def test_an_inbox_with_what_an_earlier_attempt_took_is_left_open_by_who_did_not_look() -> None:
    gently = Close(2, unless_waiting=True, unless_wished=True)
    assert decide(after(say("a"), Take("a", 1, 1)), gently) == ()
    assert decide(after(say("a"), Take("a", 2, 1), steer("w", Steer.INTERRUPT)), gently) == (InboxClosed(attempt=2),)


def test_facts_of_other_versions_change_nothing() -> None:
    inbox = after(say("a"))
    assert evolve(inbox, UnknownFact(type="inbox.blessed"), NOW) == inbox
    assert evolve(inbox, MessageTaken(message_id="x", attempt=1, sitting=1), NOW) == inbox


def test_those_that_wait_are_shown_first_and_then_the_newest() -> None:
    view = shown(after(say("a"), say("b"), say("c"), withdraw("a"), Take("b", 1, 1), Deliver(1)), "t1", 1)
    assert [(one.message_id, one.state) for one in view.messages] == [
        ("c", MessageState.DELIVERED), ("b", MessageState.TAKEN), ("a", MessageState.WITHDRAWN),
    ]  # fmt: skip


def test_a_hundred_of_the_longest_messages_fit_into_one_answer() -> None:
    inbox = EMPTY
    for number in range(MOST_QUEUED):
        inbox = evolve(inbox, MessageQueued(message_id=str(number), text="\x01" * MOST_TEXT, by="ann"), NOW)
    view = shown(inbox, "t1", 1)
    assert len(view.messages) == MOST_QUEUED
    assert len(view.model_dump_json()) < ANSWER + 100_000


class InboxMachine(RuleBasedStateMachine):
    """`expected` is the queue as a list would hold it: (id, text) in order."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.inbox: Inbox | None = None
        self.at = NOW
        self.expected: list[tuple[str, str]] = []
        self.taken: list[tuple[str, str]] = []
        self.gone: set[str] = set()
        self.paused = self.closed = False
        self.made = 0

    def tell(self, cue: Cue) -> DomainError | None:
        """Carries it out, and again: a repeat writes nothing, or is refused as what came of the first."""
        self.at += timedelta(seconds=1)
        try:
            facts = decide(self.inbox, cue)
        except DomainError as refused:
            return refused
        for fact in facts:
            self.inbox = evolve(self.inbox, fact, self.at)
        assert decide(self.inbox, cue) == ()
        return None

    @rule(target=ids, text=st.text(min_size=1, max_size=4))
    def said(self, text: str) -> str:
        self.made += 1
        id = f"m{self.made}"
        refused = self.tell(say(id, text))
        assert (refused is not None) == self.closed
        if refused is None:
            self.expected.append((id, text))
        else:
            self.gone.add(id)
        return id

    @rule(id=ids, text=st.text(min_size=1, max_size=4))
    def edited(self, id: str, text: str) -> None:
        refused = self.tell(edit(id, text))
        if id in dict(self.expected):
            assert refused is None
            self.expected = [(one, text if one == id else old) for one, old in self.expected]
        else:
            assert refused is not None or (id, text) in self.taken

    @rule(id=ids)
    def withdrawn(self, id: str) -> None:
        refused = self.tell(withdraw(id))
        assert (refused is None) == (id in dict(self.expected) or (id in self.gone and self.state.letter(id) is not None))
        if id in dict(self.expected):
            self.gone.add(id)
            self.expected = [one for one in self.expected if one[0] != id]

    @rule(data=st.data())
    def ordered(self, data: st.DataObject) -> None:
        wanted = data.draw(st.permutations(self.expected))
        assert self.tell(order(*(id for id, _ in wanted))) is None
        self.expected = list(wanted)

    @rule(id=ids)
    def took(self, id: str) -> None:
        assert self.tell(Take(id, 1, 1)) is None
        if found := [one for one in self.expected if one[0] == id]:
            self.taken += found
            self.expected.remove(found[0])

    @rule()
    def took_the_first(self) -> None:
        if self.expected:
            self.took(self.expected[0][0])

    @rule()
    def seen(self) -> None:
        assert self.tell(Deliver(1)) is None

    @rule(what=st.sampled_from(Steer))
    def steered(self, what: Steer) -> None:
        self.made += 1
        refused = self.tell(steer(f"w{self.made}", what))
        moot = what is not Steer.INTERRUPT and self.paused is (what is Steer.PAUSE)
        assert (refused is not None) == (self.closed and what is not Steer.RESUME and not moot)
        if refused is None and what is not Steer.INTERRUPT:
            self.paused = what is Steer.PAUSE

    @rule(gently=st.booleans())
    def done(self, gently: bool) -> None:
        assert self.tell(Close(1, unless_waiting=gently)) is None
        if not (gently and self.expected):
            self.closed = True
            self.gone |= {id for id, _ in self.expected}
            self.expected = []

    @property
    def state(self) -> Inbox:
        return self.inbox or EMPTY

    @invariant()
    def as_the_list(self) -> None:
        assert [(each.id, each.text) for each in self.state.waiting] == self.expected
        assert [(each.id, each.text) for each in self.state.settled if each.state is MessageState.TAKEN] == self.taken
        assert not {id for id, _ in self.taken} & self.gone
        assert (self.state.paused, self.state.closed == 1) == (self.paused, self.closed)


TestInboxMachine = InboxMachine.TestCase
TestInboxMachine.settings = settings(max_examples=tries(60, 2000), stateful_step_count=40, deadline=None)

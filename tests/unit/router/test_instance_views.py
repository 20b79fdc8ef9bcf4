"""How an instance looks from outside: folded from its facts, and cut to what one answer can carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trunkline.contracts.instance import (
    InstanceAsked,
    InstanceDiffed,
    InstanceMoved,
    InstanceOpened,
    InstanceRead,
    InstanceSaid,
    InstanceStatus,
    InstanceTold,
)
from trunkline.contracts.instance_views import MOST_SHOWN, InstanceView, fold_instance, newest
from trunkline.contracts.message import Fact, UnknownFact

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OPENED = InstanceOpened(agent_type="claude", name="shop", transport="ws", owner="ann")


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def folded(*facts: Fact, view: InstanceView | None = None) -> InstanceView:
    """Each a second after the one before."""
    for number, fact in enumerate((OPENED, *facts)):
        view = fold_instance(view, fact, at(number), ("acme", "t1"))
    assert view is not None
    return view


def said(id: str, text: str = "", *, asks: bool = False) -> InstanceSaid:
    return InstanceSaid(message_id=id, text=text or id, asks=asks, metadata={"n": 1})


def told(id: str, *, read: bool = False) -> InstanceTold:
    return InstanceTold(message_id=id, text=id, by="bob", read=read)


def moved(to: InstanceStatus) -> InstanceMoved:
    return InstanceMoved(status=to, was=InstanceStatus.ACTIVE)


def ids(view: InstanceView) -> list[str]:
    return [each.message_id for each in view.messages]


def test_it_looks_as_it_was_opened() -> None:
    view = folded()
    assert (view.tenant, view.task_id, view.agent_type, view.name, view.transport) == ("acme", "t1", "claude", "shop", "ws")
    assert (view.owner, view.status, view.started_at, view.heard_at) == ("ann", InstanceStatus.ACTIVE, NOON, NOON)
    assert (view.last_read, view.ended_at, view.diff, view.messages) == (None, None, None, ())


def test_opening_it_again_changes_nothing_and_before_that_there_is_nothing() -> None:
    assert folded(said("a"), OPENED.model_copy(update={"owner": "eve"})) == folded(said("a"))
    assert fold_instance(None, said("a"), NOON, ("acme", "t1")) is None


def test_messages_stand_in_their_order_with_who_said_them() -> None:
    first, second = folded(said("a", asks=True), told("b")).messages
    assert (first.agent, first.asks, first.by, first.at, first.metadata) == (True, True, "", at(1), {"n": 1})
    assert (second.agent, second.asks, second.by, second.at) == (False, False, "bob", at(2))


def test_what_it_read_last_follows_the_agent_and_what_is_marked_as_read() -> None:
    assert folded(said("a")).last_read == "a"
    assert folded(said("a"), told("b")).last_read == "a"
    assert folded(said("a"), told("b", read=True)).last_read == "b"
    assert folded(said("a"), told("b"), told("c"), InstanceRead(from_id="a", to_id="c", gave=("b", "c"))).last_read == "c"
    assert folded(said("a"), told("b"), InstanceAsked(message_id="a", text="a", gave=("b",))).last_read == "b"


def test_only_the_agents_own_calls_are_signs_of_it() -> None:
    assert folded(said("a"), told("b"), moved(InstanceStatus.STALE)).heard_at == at(1)
    assert folded(said("a"), told("b"), InstanceRead(from_id="a", to_id="b", gave=("b",))).heard_at == at(3)
    assert folded(said("a"), InstanceAsked(message_id="a", text="a")).heard_at == at(2)


def test_what_is_asked_afterwards_shows_at_its_message() -> None:
    view = folded(said("a"), said("b"), InstanceAsked(message_id="a", text="a"))
    assert [each.asks for each in view.messages] == [True, False]


def test_an_end_has_a_time_and_what_comes_later_is_kept() -> None:
    view = folded(moved(InstanceStatus.FAILED), said("late"))
    assert (view.status, view.ended_at, ids(view)) == (InstanceStatus.FAILED, at(1), ["late"])


def test_the_newest_diff_shows_and_none_when_nothing_is_changed_any_more() -> None:
    view = folded(InstanceDiffed(digest="1", diff="+ one"))
    assert view.diff == "+ one"
    assert folded(InstanceDiffed(digest="1", diff="+ one"), InstanceDiffed(digest="", diff="")).diff == ""


def test_facts_of_later_versions_change_nothing() -> None:
    assert folded(UnknownFact(type="instance.sang")) == folded()


def test_the_newest_messages_are_shown_and_those_before_one_can_be_asked_for() -> None:
    view = folded(*(said(each) for each in "abcde"))
    assert ids(newest(view, 2)) == ["d", "e"]
    assert ids(newest(view, 2, before="d")) == ["b", "c"]
    assert ids(newest(view, 2, before="a")) == []
    assert ids(newest(view, 0)) == []
    assert ids(newest(view, 9)) == list("abcde")
    assert ids(newest(view, 9, before="gone")) == list("abcde")


def test_an_answer_holds_no_more_than_the_bus_carries_but_always_one_message() -> None:
    large = "\x00" * (MOST_SHOWN // 18)  # six bytes each, as JSON writes them
    view = folded(*(said(each, large) for each in "abcd"))
    assert ids(newest(view, 50)) == ["c", "d"]
    assert len(newest(view, 50).written()) <= MOST_SHOWN
    huge = folded(said("a"), said("b", "x" * MOST_SHOWN))
    assert ids(newest(huge, 50)) == ["b"]
    with_diff = folded(InstanceDiffed(digest="1", diff="+" * (MOST_SHOWN // 2)), *(said(each, large) for each in "abcd"))
    assert ids(newest(with_diff, 50)) == ["d"]

"""What becomes of an agent instance: said once, read once, asked, answered, silent, over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trunkline.contracts.errors import Conflict, Denied, Invalid
from trunkline.contracts.ids import message_id
from trunkline.contracts.instance import (
    MOST_MESSAGES,
    AskInput,
    InstanceDiffed,
    InstanceStatus,
    InstanceTold,
    MoveInstance,
    OpenInstance,
    ReadInstance,
    SayAsInstance,
    TellInstance,
    instance_subject,
)
from trunkline_router.model import instance_answers as answers
from trunkline_router.model.instance import MOST_AGAIN, MOST_GIVEN, MOST_LATELY, Instance, evolve
from trunkline_router.model.instance_cues import Decided, InstanceCue, InstanceWish, Opening, Silent, TaskEnded, Wished
from trunkline_router.model.instance_life import MOST_WAITING, decide
from trunkline_router.settings import Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
REPEAT = timedelta(seconds=120)
TASK = "0199f2f0c0de7abc8def0123456789ab"
OPENING = Opening("claude code", "", "", "ann", InstanceStatus.ACTIVE)
DISPATCHED = Opening("claude code", "", "", "ann", InstanceStatus.DISCONNECTED, dispatched=True)


def ms(seconds: float) -> dict[str, Any]:
    return {"tenant": "acme", "at": NOW + timedelta(seconds=seconds), "task_id": TASK}


def say(text: str, seconds: float = 0, **more: Any) -> SayAsInstance:
    return SayAsInstance(message_id=message_id(TASK, f"{text}{seconds}"), text=text, **{"by": "ann", **ms(seconds), **more})


def tell(text: str, seconds: float = 0, **more: Any) -> TellInstance:
    return TellInstance(message_id=message_id(TASK, f"{text}{seconds}"), text=text, **{"by": "bob", **ms(seconds), **more})


class Talk:
    """An instance, and what each step led to."""

    def __init__(self) -> None:
        self.state: Instance | None = None
        self.words: list[str] = []
        self.facts: list[Any] = []

    def cue(self, cue: InstanceCue, at: datetime = NOW) -> Instance:
        self.facts = decide(self.state, cue)
        for fact in self.facts:
            self.state = evolve(self.state, fact, at)
        assert self.state is not None
        return self.state

    def wish(self, wish: InstanceWish, opening: Opening | None = OPENING) -> Instance:
        return self.cue(Wished(wish, instance_subject(TASK), timedelta(seconds=120), opening), wish.at)

    @property
    def types(self) -> list[str]:
        return [fact.type for fact in self.facts]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_the_first_message_of_an_unknown_agent_makes_its_instance(talk: Talk) -> None:
    talk.wish(say("hello"))
    assert talk.types == ["instance.opened", "instance.said"]


def test_without_an_agent_type_nothing_is_made(talk: Talk) -> None:
    with pytest.raises(Invalid, match="agent_type"):
        talk.wish(say("hello"), opening=None)


def test_the_same_message_again_is_the_same_message_with_the_same_answer(talk: Talk) -> None:
    talk.wish(say("a"))
    talk.wish(tell("do b", 1))
    first = say("b?", 2, asks=True)
    state = talk.wish(first)
    said = answers.said(first, state)
    again = say("b?", 40, asks=True)
    talk.wish(tell("yes", 30))
    state = talk.wish(again)
    assert talk.facts == []
    assert answers.said(again, state).message_id == said.message_id
    assert [each.text for each in answers.said(again, state).queued] == ["do b"]


def test_the_same_words_later_or_after_a_sign_of_having_been_heard_are_a_new_message(talk: Talk) -> None:
    talk.wish(say("working"))
    talk.wish(say("working", 121))
    assert talk.types == ["instance.said"]
    read = ReadInstance(after=talk.state.last_read if talk.state else "", by="ann", **ms(123))
    talk.wish(tell("go on", 122))
    talk.wish(read)
    talk.wish(say("working", 124))
    assert talk.types == ["instance.said"]


def test_words_that_were_said_at_once_are_each_kept_once_in_whatever_order_they_come_again(talk: Talk) -> None:
    texts = [f"step {number}" for number in range(5)]
    talk.wish(tell("blue", -1))
    first = {text: say(text) for text in texts}
    for text in texts:
        talk.wish(first[text])
    for seconds, text in enumerate((*reversed(texts), *texts), 1):
        again = say(text, seconds)
        answer = answers.said(again, talk.wish(again))
        assert (talk.facts, answer.message_id) == ([], first[text].message_id)
        assert [each.text for each in answer.queued] == (["blue"] if text == texts[0] else []), "what went out with the lost answer"


def test_the_same_words_whose_answer_was_had_are_another_message_however_often_they_are_tried(talk: Talk) -> None:
    first, second = say("working"), say("working", 2, heard=message_id(TASK, "working0"))
    talk.wish(first)
    talk.wish(say("other", 1))
    talk.wish(second)
    assert talk.types == ["instance.said"]
    tried = say("working", 3, heard=first.message_id)
    assert answers.said(tried, talk.wish(tried)).message_id == second.message_id, "the answer to the second was lost"
    talk.wish(say("working", 4, heard=second.message_id))
    assert talk.facts == [], "who says it again at once may be who repeats whatever it does"
    talk.wish(say("working", 5, heard=second.message_id, surely=True))
    assert talk.types == ["instance.said"]


def test_a_question_that_was_answered_may_be_asked_again(talk: Talk) -> None:
    talk.wish(say("which?", asks=True))
    talk.wish(tell("main", 1))
    talk.wish(say("working", 2))
    talk.wish(say("which?", 3, asks=True))
    assert talk.types == ["instance.said", "instance.moved"]


def test_what_may_be_said_again_is_bounded(talk: Talk) -> None:
    for seconds in range(MOST_LATELY + 2):
        talk.wish(tell("x" * 200_000, seconds))
        talk.wish(say(f"step {seconds}", seconds))
    assert talk.state is not None
    kept = talk.state.lately
    assert len(kept) < MOST_LATELY and sum(len(each.text) for said in kept for each in said.gave) <= MOST_AGAIN


def test_a_repeat_is_known_for_as_long_as_the_sdk_repeats_itself() -> None:
    tries, waited, pauses = 6, 30, sum(min(2**tried, 60) for tried in range(5))
    assert Settings.model_validate({}).instance_repeat_s >= (tries - 1) * waited + pauses


def test_a_named_message_is_known_by_its_name_alone(talk: Talk) -> None:
    first = say("working", named=True)
    talk.wish(first)
    talk.wish(say("working", 1, named=True))
    assert talk.types == ["instance.said"]
    talk.wish(first)
    assert talk.facts == []


def test_an_answer_reaches_whoever_asked_and_whoever_asked_before_is_stale(talk: Talk) -> None:
    question = say("which?", asks=True)
    assert talk.wish(question).status is InstanceStatus.AWAITING_INPUT
    assert talk.wish(tell("main", 1)).status is InstanceStatus.ACTIVE
    told = talk.facts[0]
    assert isinstance(told, InstanceTold) and told.answers == question.message_id
    poll = ReadInstance(after=question.message_id, by=instance_subject(TASK), **ms(2))
    state = talk.wish(poll)
    assert [each.text for each in answers.pending(poll, state, REPEAT).messages] == ["main"]
    later = poll.model_copy(update={"at": NOW + timedelta(seconds=12)})
    state = talk.wish(later)
    assert answers.pending(later, state, REPEAT).stale
    lost = answers.pending(later.model_copy(update={"again": True}), state, REPEAT)
    assert [each.text for each in lost.messages] == ["main"] and not lost.stale


def test_what_is_marked_as_read_makes_the_waiting_one_stale(talk: Talk) -> None:
    question = say("which?", asks=True)
    talk.wish(question)
    talk.wish(tell("main", 1, read=True))
    poll = ReadInstance(after=question.message_id, by="ann", **ms(2))
    assert answers.pending(poll, talk.wish(poll), REPEAT).stale


def test_asking_afterwards_gives_what_waits_and_asking_twice_is_refused(talk: Talk) -> None:
    step = say("step")
    talk.wish(step)
    ask = AskInput(message_id=step.message_id, by="ann", **ms(1))
    assert talk.wish(ask).status is InstanceStatus.AWAITING_INPUT
    later = ask.model_copy(update={"at": NOW + timedelta(seconds=2)})
    with pytest.raises(Conflict, match="already"):
        talk.wish(later)
    state = talk.wish(later.model_copy(update={"again": True}))
    assert talk.facts == [] and answers.asked(ask, state).messages == ()


def test_somebody_else_may_not_speak_as_the_agent(talk: Talk) -> None:
    talk.wish(say("hello"))
    with pytest.raises(Denied):
        talk.wish(say("hello", by="eve"))
    with pytest.raises(Denied):
        talk.wish(say("hello", by=instance_subject("f" * 32)))


def test_a_decision_elsewhere_becomes_a_message_once(talk: Talk) -> None:
    question = say("which?", asks=True)
    talk.wish(question)
    cue = Decided(question.message_id, f"q{question.message_id}", message_id(TASK, "d"), "main", "bob")
    assert [each.text for each in talk.cue(cue).queued] == ["main"]
    talk.cue(cue)
    assert talk.facts == []


def decided(question: SayAsInstance, text: str, by: str = "cid") -> Decided:
    return Decided(question.message_id, f"q{question.message_id}", message_id(TASK, "d"), text, by)


@pytest.mark.parametrize("closing", [tell("main", 1), say("never mind", 1), say("then this", 1, asks=True)])
def test_what_was_decided_while_a_question_was_closed_is_told_beside_it_once(talk: Talk, closing: InstanceWish) -> None:
    question = say("which?", asks=True)
    talk.wish(question)
    before = talk.wish(closing).status
    state = talk.cue(decided(question, "trunk"))
    assert [(each.text, each.answers) for each in talk.facts] == [("trunk", "")]
    assert (state.status, state.queued[-1].text, state.closed) == (before, "trunk", None)
    talk.cue(decided(question, "trunk"))
    assert talk.facts == []


def test_the_approval_that_repeats_the_message_tells_nothing(talk: Talk) -> None:
    question = say("which?", asks=True)
    talk.wish(question)
    talk.wish(tell("main" + "x" * 9000, 1))
    talk.cue(decided(question, "main" + "x" * 9000, "bob"))
    assert talk.facts == []
    talk.wish(MoveInstance(status=InstanceStatus.COMPLETED, by="ann", **ms(2)))
    talk.cue(decided(question, "trunk"))
    assert talk.facts == []


def test_silence_makes_it_stale_then_failed_and_a_word_brings_it_back(talk: Talk) -> None:
    talk.wish(say("hello"))

    def quiet(seconds: float) -> InstanceStatus:
        limits = timedelta(seconds=180), timedelta(seconds=900)
        return talk.cue(Silent(NOW, True, NOW + timedelta(seconds=seconds), *limits)).status

    assert [quiet(100), quiet(180)] == [InstanceStatus.ACTIVE, InstanceStatus.STALE]
    assert talk.wish(say("back", 200)).status is InstanceStatus.ACTIVE
    assert quiet(1100) is InstanceStatus.FAILED
    assert talk.facts[0].code == "INSTANCE_LOST"


def test_one_that_is_over_keeps_what_it_still_says_and_moves_no_more(talk: Talk) -> None:
    talk.wish(say("hello"))
    end = MoveInstance(status=InstanceStatus.COMPLETED, by="ann", **ms(1))
    talk.wish(end)
    talk.wish(end)
    assert talk.facts == []
    assert talk.wish(say("one more", 2)).status is InstanceStatus.COMPLETED
    with pytest.raises(Conflict):
        talk.wish(tell("hello?", 3))


def test_a_command_that_is_heard_twice_is_answered_with_its_own_message(talk: Talk) -> None:
    first, second = say("one"), say("two", 1)
    talk.wish(tell("hint"), OPENING)
    talk.wish(first)
    talk.wish(second)
    state = talk.wish(first)
    answer = answers.said(first, state)
    assert (talk.facts, answer.message_id, answer.queued) == ([], first.message_id, ())
    told = tell("x", 2)
    talk.wish(told)
    talk.wish(tell("y", 3))
    assert answers.told(told, talk.wish(told)).message_id == told.message_id


def test_registering_twice_is_refused_but_the_same_command_heard_twice_is_not(talk: Talk) -> None:
    wish = OpenInstance(agent_type="claude", by="ann", **ms(0))
    talk.wish(wish)
    talk.wish(wish)
    assert talk.facts == []
    with pytest.raises(Conflict, match="already"):
        talk.wish(OpenInstance(agent_type="claude", by="ann", **ms(1)))


def test_a_dispatched_agent_need_not_register_and_others_may_not(talk: Talk) -> None:
    for by, refusal in (("ann", Conflict), (instance_subject(TASK), Conflict), ("eve", Denied)):
        with pytest.raises(refusal):
            talk.wish(OpenInstance(agent_type="claude", by=by, **ms(0)), DISPATCHED)
    talk.wish(ReadInstance(by=instance_subject(TASK), **ms(1)), DISPATCHED)
    assert talk.types == ["instance.opened", "instance.moved"]


def test_what_people_say_is_no_sign_of_life(talk: Talk) -> None:
    assert talk.wish(tell("take care"), DISPATCHED).status is InstanceStatus.DISCONNECTED
    talk.wish(say("here", 1))
    quiet = Silent(NOW, True, NOW + timedelta(seconds=200), timedelta(seconds=180), timedelta(seconds=900))
    talk.cue(quiet)
    assert talk.wish(tell("hello?", 201)).status is InstanceStatus.STALE
    assert talk.wish(ReadInstance(by="ann", **ms(202))).status is InstanceStatus.ACTIVE


def test_one_that_waited_for_an_answer_waits_for_it_when_it_is_heard_again(talk: Talk) -> None:
    talk.wish(say("which?", asks=True))
    limits = timedelta(seconds=180), timedelta(seconds=900)
    assert talk.cue(Silent(NOW, True, NOW + timedelta(seconds=200), *limits)).status is InstanceStatus.STALE
    beat = NOW + timedelta(seconds=210)
    assert talk.cue(Silent(beat, True, beat, *limits)).status is InstanceStatus.AWAITING_INPUT


def test_a_heartbeat_alone_says_that_a_dispatched_agent_is_there(talk: Talk) -> None:
    talk.cue(Opening("claude", "", "", "ann", InstanceStatus.DISCONNECTED, dispatched=True))
    limits = timedelta(seconds=180), timedelta(seconds=900)
    later = NOW + timedelta(seconds=60)
    assert talk.cue(Silent(later, False, later, *limits)).status is InstanceStatus.DISCONNECTED
    assert talk.cue(Silent(later, True, later, *limits)).status is InstanceStatus.ACTIVE


def test_an_answer_carries_what_fits_and_the_rest_waits(talk: Talk) -> None:
    talk.wish(say("begin"))
    large = "x" * (MOST_GIVEN // 3)
    for seconds in range(1, 5):
        talk.wish(tell(f"{seconds}{large}", seconds))
    step = say("step", 5)
    given = [[each.text[0] for each in answers.said(step, talk.wish(step)).queued]]
    after = step.message_id
    for seconds in (6, 7):
        poll = ReadInstance(after=after, by="ann", **ms(seconds))
        given.append([each.text[0] for each in answers.pending(poll, talk.wish(poll), REPEAT).messages])
        after = talk.state.last_read if talk.state else ""
    assert given == [["1", "2"], ["3", "4"], []]


def test_too_much_that_nobody_reads_is_refused(talk: Talk) -> None:
    talk.wish(say("begin"))
    with pytest.raises(Conflict, match="waits"):
        for seconds in range(1, 100):
            talk.wish(tell(f"{seconds}" + "x" * (MOST_WAITING // 40), seconds))
    assert talk.state is not None and 40 <= len(talk.state.queued) <= 41


def test_an_older_message_becomes_a_question_with_its_own_words(talk: Talk) -> None:
    old, new = say("old"), say("new", 1, asks=True)
    talk.wish(old)
    talk.wish(new)
    ask = AskInput(message_id=old.message_id, by="ann", **ms(2))
    state = talk.cue(Wished(ask, instance_subject(TASK), REPEAT, text="old"), ask.at)
    assert (talk.facts[0].text, talk.facts[0].closes, state.question) == ("old", new.message_id, old.message_id)
    assert answers.asked(ask, state).stale


def test_one_that_is_over_asks_nobody(talk: Talk) -> None:
    talk.wish(say("hello"))
    talk.cue(TaskEnded(InstanceStatus.KILLED, "enough"))
    state = talk.wish(say("and?", 1, asks=True))
    assert (talk.types, state.question, talk.facts[0].asks) == (["instance.said"], "", False)
    talk.cue(TaskEnded(InstanceStatus.FAILED, "later"))
    assert talk.facts == []


def test_a_diff_is_kept_when_it_differs_and_an_empty_one_clears_it(talk: Talk) -> None:
    talk.wish(say("a", git_diff="+1"))
    assert talk.types == ["instance.opened", "instance.said", "instance.diffed"]
    talk.wish(say("b", 1, git_diff="+1"))
    assert talk.types == ["instance.said"]
    talk.wish(say("c", 2))
    assert talk.types == ["instance.said"]
    talk.wish(say("d", 3, git_diff=""))
    assert talk.facts[1] == InstanceDiffed(digest="", diff="")


def test_an_instance_that_is_full_takes_no_more(talk: Talk) -> None:
    talk.wish(say("a"))
    assert talk.state is not None
    talk.state = talk.state._replace(asks=dict.fromkeys(map(str, range(MOST_MESSAGES)), False))
    for wish in (say("b", 1), tell("c", 2)):
        with pytest.raises(Conflict, match="holds"):
            talk.wish(wish)

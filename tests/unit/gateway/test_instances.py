"""What is known of connections that answers went by; what names, diffs and places are read as; and what dispatches look like."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import Executor, Hold, Submitted, TaskStatus
from trunkline_gateway.dialects.omnara import decode, encode, encode_github, names
from trunkline_gateway.dialects.omnara.answers import AgentSaid, Shown, ShownMessages, Spoken
from trunkline_gateway.usecases.instances import InstanceName
from trunkline_gateway.usecases.posts import Post, Posts
from trunkline_gateway.usecases.receipts import Receipts

NAME = b"public/one"


class Connection(asyncio.BaseTransport):
    """One that says whether it is being closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing


def test_an_answer_may_be_lost_until_a_connection_that_lives_carried_it() -> None:
    receipts, connection = Receipts(), Connection()
    assert receipts.lost(NAME), "another process may have given it"
    receipts.answered(NAME, connection)
    assert not receipts.lost(NAME)
    connection.closing = True
    assert receipts.lost(NAME)


def test_a_connection_is_not_kept_alive_by_what_went_by_it() -> None:
    receipts = Receipts()
    receipts.answered(NAME, Connection())
    gc.collect()
    assert receipts.lost(NAME)


def test_an_answer_was_had_when_its_connection_asked_on() -> None:
    posts, one, two = Posts(), Connection(), Connection()
    posts.answered(Post(b"words", "m1"), one, last=False)
    posts.asked(two)
    assert posts.heard(b"words") == ""
    posts.asked(one)
    assert posts.heard(b"words") == "m1"
    posts.answered(Post(b"words", "m2"), two, last=False)
    assert posts.heard(b"words") == "m1", "that to the second may be lost"
    del two
    gc.collect()
    assert posts.heard(b"words") == "m1"
    posts.answered(Post(b"words", "m3"), one, last=True)
    assert posts.heard(b"words") == "m3"


def test_who_takes_turns_with_its_connections_had_the_answer_by_one_that_lives() -> None:
    posts, one, two = Posts(), Connection(), Connection()
    assert [posts.asked(each) for each in (one, two, two, None)] == [False, False, True, False]
    posts.answered(Post(b"words", "m1"), one, last=False, alone=True)
    assert (posts.heard(b"words"), posts.heard(b"words", spare=True)) == ("", "m1")
    posts.answered(Post(b"words", "m2"), one, last=False, alone=True)
    one.closing = True
    assert posts.heard(b"words", spare=True) == "m1", "who lost an answer closes what it was lost on"
    for message in ("m3", "m4", "m4"):
        posts.answered(Post(b"words", message), two, last=False, alone=message == "m4")
    assert posts.heard(b"words", spare=True) == "m1", "what came with others or came again may be lost on a way that does not tell"
    posts.answered(Post(b"words", "m5"), two, last=False, alone=True)
    del two
    gc.collect()
    assert posts.heard(b"words", spare=True) == "m1"


def test_an_agent_is_alone_with_its_post_until_it_says_more_and_all_that_is_over() -> None:
    posts = Posts()
    with posts.saying(NAME) as first:
        with posts.saying(b"public/two"):
            assert first()
        with posts.saying(NAME) as second:
            assert not second()
        assert not first()
    with posts.saying(NAME) as third:
        assert third()


@given(st.text(), st.dictionaries(st.text(), st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1) | st.none() | st.booleans()))
def test_an_answer_is_written_as_its_model_would_write_it(text: str, metadata: dict[str, object]) -> None:
    said = Spoken(id="1", content=text, sender_type="USER", created_at="now", requires_user_input=True)
    shown = ShownMessages([Shown(**said.model_dump(), message_metadata=metadata)] * 2)
    for answer in (shown, AgentSaid(agent_instance_id=text, message_id="2", queued_user_messages=[said])):
        assert encode.answer(answer).body == answer.model_dump_json().encode()


@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 999_999])
def test_a_time_is_written_in_utc_and_as_exactly_as_it_is_known(microsecond: int) -> None:
    at = datetime(2025, 1, 12, 10, 0, 0, microsecond, timezone(timedelta(hours=-9, minutes=-30)))
    assert names.iso(at) == at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("write", [str, lambda id: id.hex, lambda id: str(id).upper(), lambda id: f"{{{id}}}", lambda id: id.urn])
def test_a_uuid_names_the_same_instance_however_it_is_written(write: object) -> None:
    id = uuid4()
    assert callable(write)
    assert decode.instance(write(id)) == InstanceName(TaskId(id.hex))


@given(st.text(min_size=1, max_size=1000))
def test_any_other_text_names_one_instance_by_a_uuid_or_is_refused(text: str) -> None:
    try:
        name = decode.instance(text)
    except Invalid as error:
        assert error.code == "INVALID_INSTANCE_ID"
        return
    assert UUID(name.task).hex == name.task
    assert decode.instance(text) == name
    assert not name.text or f"omnara:{text}" in name.aliases


@pytest.mark.parametrize("text", ["", "   ", "x" * 1001, "a\0b"])
def test_what_can_be_no_name_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        decode.instance(text)


@given(st.text())
def test_a_diff_survives_base64_and_whatever_is_none_stays_as_it_is(text: str) -> None:
    plain = text.replace("\0", "").encode("utf-8", "replace").decode()
    assert decode.git_diff(f"diff --git {plain}") == f"diff --git {plain}"


@pytest.mark.parametrize(("word", "status"), [("active", "ACTIVE"), (" Awaiting_Input ", "AWAITING_INPUT"), ("KILLED", "KILLED")])
def test_a_status_is_read_in_any_case(word: str, status: str) -> None:
    assert decode.status(word) == status


def test_a_dispatch_that_is_held_says_what_has_to_be_approved() -> None:
    task = uuid4().hex
    hold = Hold(digest="0" * 64, reasons=("deployments are approved",))
    made = Submitted(
        task_id=task, pool="github", executor=Executor.GITHUB_WORKFLOW, status=TaskStatus.ASSIGNED, hold=hold,
        submitted_at=datetime(2025, 1, 12, 10, tzinfo=UTC),
    )  # fmt: skip
    taken = encode_github.taken(made)
    assert (taken.status, taken.approval_id, taken.agent_instance_id) == ("held", f"approval_{task}", str(UUID(task)))

"""The JSON door: whatever comes, it is either one clear value or one clear refusal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trunkline.contracts.errors import Invalid
from trunkline.contracts.record import Record
from trunkline.contracts.task import Assignment, TaskSubmitted
from trunkline_gateway import strict_json
from trunkline_gateway.settings import Settings

DEPTH = 32
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans())
def test_what_is_clean_comes_back_as_it_was(value: Any, ascii_only: bool) -> None:
    assert strict_json.parse(json.dumps(value, ensure_ascii=ascii_only).encode(), DEPTH) == value


@given(st.binary() | st.text(st.characters(codec="utf-8")).map(str.encode) | st.text('{}[]",:\\u01d8Ee+-.naN ').map(str.encode))
def test_anything_else_is_refused_and_never_breaks(raw: bytes) -> None:
    try:
        value = strict_json.parse(raw, DEPTH)
    except Invalid as refusal:
        assert refusal.code == "INVALID_JSON"
    else:
        assert "\x00" not in json.dumps(value, ensure_ascii=False).encode().decode()


@pytest.mark.parametrize("levels", [1, 31, 32])
def test_nesting_up_to_the_limit_is_taken(levels: int) -> None:
    value = strict_json.parse(b"[" * levels + b"1" + b"]" * levels, DEPTH)
    for _ in range(levels):
        assert isinstance(value, list)
        (value,) = value
    assert value == 1


@pytest.mark.parametrize("levels", [33, 34, 900, 5_000, 130_000])
def test_nesting_beyond_the_limit_is_refused(levels: int) -> None:
    for raw in (b"[" * levels + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels):
        with pytest.raises(Invalid, match="nested deeper than 32 levels"):
            strict_json.parse(raw, DEPTH)


@pytest.mark.parametrize("item", ["[]", "{}", "[1]", "[[]]", '{"a":[]}'])
def test_a_body_of_tens_of_thousands_of_lists_is_refused_for_it_takes_megabytes_in_every_service(item: str) -> None:
    with pytest.raises(Invalid, match="more than 5000 objects and lists"):
        strict_json.parse_object(b'{"a":[%b]}' % b",".join([item.encode()] * 30_000), DEPTH)


def test_a_body_of_as_many_lists_as_any_honest_caller_sends_is_taken_and_numbers_are_not_counted() -> None:
    value = strict_json.parse_object(b'{"a":[%b],"b":[%b]}' % (b",".join([b"[]"] * 4_997), b",".join([b"1.5"] * 50_000)), DEPTH)
    assert value["a"] == [[]] * 4_997


def test_the_largest_body_that_is_taken_fits_into_a_record_however_much_it_grows() -> None:
    largest = 256 << 10
    with pytest.raises(ValidationError):
        Settings.model_validate({"body_limit": largest + 1})
    assert Settings.model_validate({"body_limit": largest}).body_limit == largest
    head, item = b'{"a":[1', b",1e15"
    raw = head + item * ((largest - len(head) - 2) // len(item)) + b"]}"
    task = Assignment(type="bugfix", payload=strict_json.parse_object(raw, DEPTH))
    record = Record(at=NOON, facts=(TaskSubmitted(assignment=task, submitted_by="ann", deadline_at=NOON),))
    assert len(record.model_dump_json()) < (1 << 20) - 4096


def test_half_a_character_is_refused_wherever_it_hides() -> None:
    for raw in (b'"\\ud800"', b'{"\\udc00":1}', b"[" * 32 + b'"\\ud800"' + b"]" * 32):
        with pytest.raises(Invalid, match="half a character"):
            strict_json.parse(raw, DEPTH)


def test_a_whole_pair_is_taken() -> None:
    assert strict_json.parse(b'"\\ud83d\\ude00"', DEPTH) == "\N{GRINNING FACE}"


def test_only_an_object_is_a_body() -> None:
    assert strict_json.parse_object(b"{}", DEPTH) == {}
    for raw in (b"[]", b"1", b'"x"', b"null"):
        with pytest.raises(Invalid, match="must be a JSON object"):
            strict_json.parse_object(raw, DEPTH)

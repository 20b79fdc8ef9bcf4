"""Every message that was ever released is still read, and says what it said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue, ValidationError

from tests.each import each
from tools.generate_api import messages
from trunkline.contracts.message import Fact, Message, UnknownFact
from trunkline.contracts.record import FACTS, Record, read_fact

GOLDENS = Path(__file__).parent / "goldens"
MESSAGES = messages()


def golden(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text())
    return body


def lost(wrote: object, reads: object) -> bool:
    """Whether something of what was written is not there any more; what was added since is no loss."""
    if isinstance(wrote, dict) and isinstance(reads, dict):
        return any(key not in reads or lost(value, reads[key]) for key, value in wrote.items())
    if isinstance(wrote, list) and isinstance(reads, list):
        return len(wrote) != len(reads) or any(lost(*pair) for pair in zip(wrote, reads, strict=True))
    return wrote != reads


def test_every_message_has_a_golden_and_no_golden_is_left_alone() -> None:
    assert sorted(MESSAGES) == sorted(path.stem for path in GOLDENS.glob("*.json")), "add a golden; never take one away"


def test_every_fact_is_known_to_the_log() -> None:
    assert sorted(fact.__name__ for fact in FACTS) == sorted(name for name, model in MESSAGES.items() if issubclass(model, Fact))


@each("name", MESSAGES)
def test_a_golden_still_says_all_that_it_said(name: str) -> None:
    wrote = golden(name)
    assert not lost(wrote, MESSAGES[name].model_validate(wrote).model_dump(mode="json"))


@each("name", MESSAGES)
def test_a_field_of_a_newer_version_does_no_harm(name: str) -> None:
    wrote = golden(name)
    assert MESSAGES[name].model_validate({**wrote, "added_later": {"deep": [1]}}) == MESSAGES[name].model_validate(wrote)


@each("name", [fact.__name__ for fact in FACTS])
def test_the_log_reads_each_fact_as_what_it_is(name: str) -> None:
    assert type(read_fact(golden(name))).__name__ == name


def test_a_fact_of_a_newer_version_is_kept_and_understood_by_nobody() -> None:
    body: dict[str, JsonValue] = {"type": "task.praised", "by": "ann"}
    record = Record.model_validate({"at": "2026-11-21T12:00:00Z", "facts": [body]})
    assert record.facts == (UnknownFact(type="task.praised", body=body),)


@each("name", [name for name, model in MESSAGES.items() if issubclass(model, Message)])
def test_what_cannot_be_read_is_refused_without_a_word_of_what_it_says(name: str) -> None:
    """The refusal stands in logs and dead letters."""
    broken = {field: {"canary": ["hunter2"]} for field in MESSAGES[name].model_fields}
    with pytest.raises(ValidationError) as refusal:
        MESSAGES[name].model_validate(broken)
    assert "hunter2" not in str(refusal.value)


@each("name", [name for name, model in MESSAGES.items() if issubclass(model, Message)])
def test_a_message_is_written_as_its_model_would_be(name: str) -> None:
    message = MESSAGES[name].model_validate(golden(name))
    assert message.written() == message.model_dump_json().encode()


def test_an_integer_of_more_than_64_bits_is_written_as_it_is() -> None:
    said = UnknownFact(type="task.praised", body={"times": 2**70})
    assert said.written() == said.model_dump_json().encode()


def test_what_a_record_remembers_beside_its_fields_is_not_written() -> None:
    record = Record.model_validate(golden("Record"))
    assert record.body == record.written() == record.model_dump_json().encode()

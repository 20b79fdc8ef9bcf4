"""The papers that are made from the code say what the code does, and leave nothing out. That they are up to date `make check` says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from tests.architecture.source import ROOT
from tools import asyncapi, bus_page, error_codes, heard, who
from trunkline.bus.streams import CONSUMERS, declared
from trunkline.contracts.record import FACTS
from trunkline_cli.services import NAMES

documents = cache(asyncapi.documents)
ERRORS = (ROOT / "docs" / "reference" / "errors.md").read_text()
EVENTS = (ROOT / "docs" / "reference" / "events.md").read_text()


def test_every_durable_consumer_is_heard_by_exactly_one_service() -> None:
    heard_by_service = sorted(one.durable for one in heard.everything() if one.durable)
    assert heard_by_service == sorted(str(config.name) for _, config in CONSUMERS)


def test_every_consumer_filters_what_its_service_hears() -> None:
    filters = {config.name: (stream, config.filter_subject) for stream, config in CONSUMERS}
    assert {one.durable: (one.stream, one.subject) for one in heard.everything() if one.durable} == filters


def test_every_fact_is_said_by_exactly_one_service() -> None:
    makers = {fact.__name__: who.makers(fact.__name__) for fact in FACTS}
    assert {name: found for name, found in makers.items() if len(found) != 1} == {name: ["router", "sandbox"] for name in who.CARRIERS}


def test_the_page_of_the_bus_names_every_stream_consumer_and_fact() -> None:
    page = bus_page.page()
    names = [*(stream.name for stream in declared(1, 1)), *(config.name for _, config in CONSUMERS)]
    names += [fact.model_fields["type"].default for fact in FACTS]
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("service", NAMES)
def test_a_document_of_asyncapi_is_one(service: str) -> None:
    document = documents()[service]
    ApplicationSchema.model_validate(document)
    assert document["asyncapi"] == "3.0.0"
    assert [ref for ref in _refs(document) if not _leads_somewhere(document, ref)] == []


@pytest.mark.parametrize("service", NAMES)
def test_every_parameter_of_an_address_is_told_and_no_other(service: str) -> None:
    for channel in documents()[service]["channels"].values():
        assert sorted(re.findall(r"{(\w+)}", channel["address"] or "")) == sorted(channel.get("parameters", {}))


def test_every_code_is_explained_and_no_other() -> None:
    explained = re.findall(r"^\| `([A-Z_0-9]+)` \|", ERRORS, re.MULTILINE)
    found = error_codes.codes()
    assert {code: files for code, files in found.items() if code not in explained} == {}, "say in errors.md what happened and what to do"
    assert [code for code in explained if code not in found] == [], "nothing says these any more"
    assert len(explained) == len(set(explained))


def test_every_explanation_says_what_to_do() -> None:
    rows = [line for line in ERRORS.splitlines() if line.startswith("| `")]
    assert [row for row in rows if len([cell for cell in re.split(r"(?<!\\)\|", row) if cell.strip()]) != 3] == []


def test_every_fact_is_told_in_plain_words() -> None:
    assert [name for name in (fact.model_fields["type"].default for fact in FACTS) if f"| `{name}` |" not in EVENTS] == []


def test_a_new_code_is_found_wherever_it_is_said() -> None:
    said = 'A: Final = "FIRST"\nraise Invalid("x", code=A)\nfailed(e, "SECOND", t)\nT = ("THIRD", "it broke")\nraise Broken("x")\n'
    assert sorted(error_codes.of(said)) == ["BROKEN", "FIRST", "SECOND", "THIRD"]


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _leads_somewhere(document: Any, ref: str) -> bool:
    for step in ref.removeprefix("#/").split("/"):
        if not isinstance(document, dict) or step not in document:
            return False
        document = document[step]
    return bool(json.dumps(document))

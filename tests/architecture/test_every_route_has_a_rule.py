"""Every route of every dialect says who may use it and what it answers: one that does not fails here."""

from __future__ import annotations

import json

from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from tests.each import each
from tools import api_document
from trunkline.auth.policy import ALLOWED, Action
from trunkline.auth.principal import Role
from trunkline_gateway import openapi
from trunkline_gateway.dialect import Media, Route, owners

DIALECTS = api_document.dialects()
ROUTES = [(dialect, route) for dialect in DIALECTS for route in dialect.routes()]
NAMES = [f"{route.method} {route.path}" for _, route in ROUTES]
OPEN = frozenset(
    {
        "LOOK_AROUND", "OPEN_SUBMIT", "OPEN_READ", "OPEN_CANCEL", "MINT_TOKEN", "READ_PULL_REQUEST", "READ_SHOWN", "READ_REALTIME",
        "REGISTER", "FORGE_NEWS",
    }
)  # fmt: skip
"""What strangers may do. Whoever makes this longer opens a door, and should notice."""


@each("route", [route for _, route in ROUTES])
def test_a_route_has_a_rule_and_says_what_it_answers(route: Route) -> None:
    assert isinstance(route.rule, Action)
    assert any(route.rule in actions for actions in ALLOWED.values())
    assert route.spec.summary and not route.spec.summary.endswith(".")
    assert any(status < 400 for status in route.spec.answers) or route.rule is Action.REGISTER, "it never succeeds"
    every = [one for answer in route.spec.answers.values() for one in (answer if isinstance(answer, tuple) else (answer,))]
    assert all(isinstance(one, Media) or issubclass(one, BaseModel) for one in every)


@each("route", [route for _, route in ROUTES])
def test_a_route_that_changes_things_is_no_reading_one(route: Route) -> None:
    reading = {Action.LOOK_AROUND, *(action for action in Action if action.name.startswith(("READ", "OPEN_READ")))}
    assert (route.method in ("GET", "HEAD")) == (route.rule in reading)


@each(("dialect", "route"), ROUTES)
def test_a_route_lies_where_its_dialect_answers(dialect: object, route: Route) -> None:
    assert owners(DIALECTS)(route.path) is dialect, "its errors would be spoken by another"


def test_strangers_may_do_what_is_listed_here_and_no_more() -> None:
    assert {action.name for action in ALLOWED[Role.ANONYMOUS]} == OPEN


def test_every_role_is_in_the_table_and_an_admin_may_everything() -> None:
    assert ALLOWED.keys() == set(Role)
    assert ALLOWED[Role.ADMIN] == set(Action)


def test_an_approver_decides_and_reads_and_does_nothing_else() -> None:
    changing = {action for action in ALLOWED[Role.APPROVER] if not action.value.endswith((".read", ".look"))}
    assert changing == {Action.DECIDE_APPROVAL, Action.MINT_TOKEN, Action.REVOKE_TOKEN}


def test_the_document_is_openapi_3_1_and_the_same_every_time() -> None:
    document = openapi.document(DIALECTS, "1")
    OpenAPIV31SpecValidator(json.loads(json.dumps(document))).validate()
    assert json.dumps(document) == json.dumps(openapi.document(api_document.dialects(), "1"))


def test_no_two_operations_have_one_name() -> None:
    described = json.loads(json.dumps(openapi.document(DIALECTS, "1")))["paths"]
    names = [each["operationId"] for path in described.values() for each in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)

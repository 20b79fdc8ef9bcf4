"""The API document says what the routes, their rules and their models say, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, cast

from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, Field, create_model

from trunkline.auth.policy import Action
from trunkline.contracts.errors import DomainError
from trunkline_gateway import openapi
from trunkline_gateway.dialect import Answer, Media, Route, Spec


class Colour(StrEnum):
    RED = "red"


class Car(BaseModel):
    """A car."""

    colour: Colour
    doors: int = 4


class Boat(BaseModel):
    colour: Colour


class Problem(BaseModel):
    detail: str


class Query(BaseModel):
    limit: Annotated[int | None, Field(ge=1, description="At most so many.")] = None
    colour: Colour
    word: str | None = Field(None, alias="a-word")


class Place(BaseModel):
    id: str = Field(description="Which one.", max_length=9)


async def handler(request: web.Request, principal: object) -> web.StreamResponse:
    return web.Response()


@dataclass
class Made:
    """A dialect of one route or more."""

    given: tuple[Route, ...]
    name: str = "made"
    claims: tuple[str, ...] = ("/made",)
    visitors: None = None
    error_model: Answer = Problem
    strict: bool = False

    def routes(self) -> tuple[Route, ...]:
        return self.given

    def encode_error(self, error: DomainError) -> web.Response:
        return web.Response()


def route(method: str = "GET", path: str = "/made", rule: Action = Action.LOOK_AROUND, limit: str = "", **spec: Any) -> Route:
    """`place` in the spec is the model of the path."""
    said = {"answers": {200: Car}, **{"path" if name == "place" else name: value for name, value in spec.items()}}
    return Route(method, path, rule, handler, Spec("Do it", "things", **said), limit)


def document(*dialects: Made) -> dict[str, Any]:
    made = cast(dict[str, Any], openapi.document(dialects, "1.2.3"))
    OpenAPIV31SpecValidator(made).validate()
    return made


def operation(*routes: Route, strict: bool = False) -> dict[str, Any]:
    paths = document(Made(routes, strict=strict))["paths"]
    [[described]] = [list(path.values()) for path in paths.values()]
    return cast(dict[str, Any], described)


def statuses(described: Mapping[str, Any]) -> set[int]:
    return {int(status) for status in described["responses"]}


def test_the_same_routes_give_the_same_bytes_in_any_order() -> None:
    one, other = route(path="/made/a", query=Query), route(path="/made/b", body=Boat)
    first = document(Made((one, other)))
    assert json.dumps(first) == json.dumps(document(Made((one, other))))
    assert json.dumps(first["paths"], sort_keys=True) == json.dumps(document(Made((other, one)))["paths"], sort_keys=True)


def test_a_path_is_written_without_its_patterns_and_keeps_them_as_parameters() -> None:
    described = document(Made((route(path="/made/{id:[0-9]{1,3}}/to/{rest}"),)))["paths"]["/made/{id}/to/{rest}"]["get"]
    assert described["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^(?:[0-9]{1,3})$"}},
        {"name": "rest", "in": "path", "required": True, "schema": {"type": "string"}},
    ]
    assert described["operationId"] == "made_get_id_to_rest"


def test_a_model_of_the_path_says_what_a_part_means() -> None:
    [parameter] = operation(route(path="/made/{id:[a-z]+}", place=Place))["parameters"]
    assert parameter == {
        "name": "id", "in": "path", "required": True, "description": "Which one.",
        "schema": {"type": "string", "pattern": "^(?:[a-z]+)$", "maxLength": 9},
    }  # fmt: skip


def test_a_query_is_described_field_by_field_and_nothing_in_it_is_null() -> None:
    found = {each["name"]: each for each in operation(route(query=Query))["parameters"]}
    assert found["limit"] == {
        "name": "limit", "in": "query", "required": False, "description": "At most so many.", "schema": {"type": "integer", "minimum": 1},
    }  # fmt: skip
    assert found["colour"]["required"] is True
    assert found["colour"]["schema"] == {"$ref": "#/components/schemas/Colour"}
    assert found["a-word"]["schema"] == {"type": "string"}


def test_a_post_takes_an_idempotency_key_unless_its_answer_is_a_secret() -> None:
    [key] = operation(route("POST"))["parameters"]
    assert (key["name"], key["in"], key["required"]) == ("Idempotency-Key", "header", False)
    assert "Idempotency-Replayed" in operation(route("POST"))["responses"]["200"]["headers"]
    assert "parameters" not in operation(route("GET"))
    assert "parameters" not in operation(route("POST", rule=Action.MINT_TOKEN))


def test_a_body_is_the_model_that_validates_and_an_answer_the_one_that_answers() -> None:
    described = operation(route("POST", body=Car, body_required=False))
    assert described["requestBody"] == {
        "required": False,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Car"}}},
    }
    assert described["responses"]["200"]["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Car"}}}


def test_only_what_is_pointed_at_is_described() -> None:
    schemas = document(Made((route(query=Query),)))["components"]["schemas"]
    assert sorted(schemas) == ["Car", "Colour", "Problem"]
    assert schemas["Car"] == {
        "description": "A car.", "type": "object", "required": ["colour"],
        "properties": {"colour": {"$ref": "#/components/schemas/Colour"}, "doors": {"type": "integer", "default": 4}},
    }  # fmt: skip


def test_two_dialects_that_call_different_things_alike_do_not_mix_them_up() -> None:
    theirs = create_model("Car", colour=(Colour, ...), sails=(int, ...))
    made = document(
        Made((route(path="/made"),)),
        Made((route(path="/theirs", answers={200: theirs}),), name="their_own", claims=("/theirs",)),
    )
    assert sorted(made["components"]["schemas"]) == ["Colour", "MadeCar", "Problem", "TheirOwnCar"]
    answer = made["paths"]["/theirs"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/TheirOwnCar"}


def test_pages_streams_and_choices_have_their_content_types() -> None:
    answers = {200: (Car, Media("text/event-stream", "Events.")), 202: Media("application/json"), 304: Media("")}
    said = operation(route(answers=answers))["responses"]
    assert sorted(said["200"]["content"]) == ["application/json", "text/event-stream"]
    assert said["200"]["description"] == "Events."
    assert said["202"]["content"] == {"application/json": {}}
    assert "content" not in said["304"]


def test_who_may_is_said_from_the_rules() -> None:
    free, closed = operation(route()), operation(route(rule=Action.SUBMIT_TASK))
    assert free["security"] == [{}, {"bearerAuth": []}, {"apiKeyAuth": []}]
    assert closed["security"] == [{"bearerAuth": []}, {"apiKeyAuth": []}]
    assert closed["x-required-roles"] == ["agent", "admin"]
    assert closed["description"] == "Open to the roles agent, admin."
    assert (401 in statuses(free), 401 in statuses(closed)) == (False, True)


def test_a_dialect_that_refuses_bad_credentials_does_so_on_open_routes_too() -> None:
    assert 401 in statuses(operation(route(), strict=True))


def test_what_every_route_of_its_kind_may_refuse_is_said_by_rule() -> None:
    everywhere = {400, 403, 414, 429, 431, 500, 503}
    assert statuses(operation(route())) == {200} | everywhere
    assert statuses(operation(route(query=Query))) == {200} | everywhere
    assert statuses(operation(route(path="/made/{id}"))) == {200, 404} | everywhere
    assert statuses(operation(route("PATCH", body=Boat))) == {200, 408, 413, 415, 422} | everywhere
    assert statuses(operation(route("POST"))) == {200, 408, 409, 413, 422} | everywhere
    assert statuses(operation(route(refusals=(409,), rule=Action.READ_TASK))) == {200, 401, 409, 504} | everywhere


def test_an_absence_does_not_promise_that_nothing_was_done() -> None:
    for status in ("Made503", "Made504"):
        said = document(Made((route(rule=Action.READ_TASK),)))["components"]["responses"][status]["description"]
        assert "may have been done" in said and "Idempotency-Key" in said


def test_a_refusal_has_the_shape_of_its_dialect_or_of_the_route() -> None:
    made = document(Made((route(),)))
    shared = made["components"]["responses"]["Made503"]
    assert made["paths"]["/made"]["get"]["responses"]["503"] == {"$ref": "#/components/responses/Made503"}
    assert shared["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert list(shared["headers"]) == ["Retry-After"]
    assert operation(route(error=Media("text/html")))["responses"]["503"]["content"] == {"text/html": {"schema": {"type": "string"}}}


def test_a_limited_route_says_so() -> None:
    made = document(Made((route(limit="look"),)))
    assert sorted(made["paths"]["/made"]["get"]["responses"]["200"]["headers"]) == [
        "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
    ]  # fmt: skip
    assert "Retry-After" in made["components"]["responses"]["Made429"]["headers"]
    assert "headers" not in operation(route())["responses"]["200"]


def test_an_answer_that_names_what_it_made_leads_to_what_can_be_done_with_it() -> None:
    class Receipt(BaseModel):
        id: str

    one, other = "/made/{id}", "/made/{id}/in/{place}"
    routes = route("POST", answers={201: Receipt}), route(path=one), route("POST", one, answers={200: Boat}), route(path=other)
    paths = document(Made(routes))["paths"]
    assert paths["/made"]["post"]["responses"]["201"]["links"] == {
        "made_get_id": {"operationId": "made_get_id", "parameters": {"id": "$response.body#/id"}},
        "made_post_id": {"operationId": "made_post_id", "parameters": {"id": "$response.body#/id"}},
    }
    assert "links" not in paths[one]["post"]["responses"]["200"]
    assert "links" not in paths[one]["get"]["responses"]["200"]

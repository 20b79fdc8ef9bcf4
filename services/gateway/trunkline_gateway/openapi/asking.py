"""What a client sends with a request, as the document says it: parameters and body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from pydantic import BaseModel, JsonValue

from trunkline_gateway.dialect import Dialect, Route, Spec
from trunkline_gateway.openapi import paths
from trunkline_gateway.openapi.shapes import Object, Shapes

IDEMPOTENCY: Final[Object] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request gives the stored answer, for a day; with another request it is refused with 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
JSON: Final = "application/json"


def parameters(dialect: Dialect, route: Route, shapes: Shapes) -> list[JsonValue]:
    spec = route.spec
    found = [
        *_in_path(dialect, route, shapes),
        *_of_model(dialect, spec.query, "query", shapes),
        *_of_model(dialect, spec.headers, "header", shapes),
    ]
    if route.remembers:
        found.append(IDEMPOTENCY)
    return list(found)


def body(dialect: Dialect, spec: Spec, shapes: Shapes) -> Object:
    assert spec.body
    return {"required": spec.body_required, "content": {JSON: {"schema": shapes.body(dialect, spec.body)}}}


def _in_path(dialect: Dialect, route: Route, shapes: Shapes) -> Iterator[Object]:
    """The model says what a part means; the pattern of the path says what reaches the route at all."""
    described = {parameter["name"]: parameter for parameter in _of_model(dialect, route.spec.path, "path", shapes)}
    for name, pattern in paths.patterns(route.path).items():
        plain: Object = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        parameter: Object = {**plain, **described.get(name, {}), "required": True}
        schema = cast(Object, parameter["schema"])
        text = pattern and schema.get("type") == "string"
        yield {**parameter, "schema": {"pattern": pattern, **schema} if text else schema}


def _of_model(dialect: Dialect, model: type[BaseModel] | None, place: str, shapes: Shapes) -> Iterator[Object]:
    if model is None:
        return
    schema = shapes.asked(dialect, model)
    required = cast(list[str], schema.get("required", []))
    for name, each in cast(dict[str, Object], schema.get("properties", {})).items():
        said = {"description": text} if (text := each.get("description")) else {}
        rest: Object = {key: value for key, value in each.items() if key != "description"}
        yield {"name": name, "in": place, "required": name in required, **said, "schema": _sent_as_text(rest)}


def _sent_as_text(schema: Object) -> Object:
    """A parameter that is not sent is absent: nobody can send null in a path, a query or a header."""
    options = schema.get("anyOf")
    if not isinstance(options, list) or {"type": "null"} not in options:
        return schema
    left = [option for option in options if option != {"type": "null"}]
    rest: Object = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**rest, **cast(Object, left[0])} if len(left) == 1 else {**rest, "anyOf": left}

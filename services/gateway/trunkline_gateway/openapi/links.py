"""What can be asked next about a thing that an answer names, so that tools find their way from making it to using it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from trunkline_gateway.dialect import Dialect, Media, Route
from trunkline_gateway.openapi import paths
from trunkline_gateway.openapi.shapes import Object, Shapes, each


def links(dialect: Dialect, route: Route, status: int, shapes: Shapes) -> Object:
    """From what a POST answers to the routes of its dialect whose paths name nothing else, by their names."""
    if route.method != "POST":
        return {}
    said = _fields(dialect, route, status, shapes)
    others = [(other, paths.patterns(other.path).keys()) for other in dialect.routes() if other is not route]
    return {paths.name(dialect, other): _link(paths.name(dialect, other), names) for other, names in others if names and names <= said}


def _fields(dialect: Dialect, route: Route, status: int, shapes: Shapes) -> set[str]:
    models = [one for one in each(route.spec.answers[status]) if not isinstance(one, Media)]
    described = [shapes.answered(dialect, model) for model in models]
    return {name for schema in described for name in cast(Object, schema.get("properties", {}))}


def _link(operation: str, names: Iterable[str]) -> Object:
    return {"operationId": operation, "parameters": {name: f"$response.body#/{name}" for name in sorted(names)}}

"""The schemas of every model of the document, under one name each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import models_json_schema

from trunkline_gateway.dialect import Answer, Dialect, Media, Spec

Object = dict[str, JsonValue]
Model = type[BaseModel]
Mode = Literal["validation", "serialization"]

ROOT: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Shapes:
    """Where each model of each dialect is described."""

    named: Mapping[tuple[str, Model, Mode], str]
    schemas: Object

    def asked(self, dialect: Dialect, model: Model) -> Object:
        """The schema itself of what a client sends."""
        return cast(Object, self.schemas[self.named[dialect.name, model, "validation"]])

    def answered(self, dialect: Dialect, model: Model) -> Object:
        """The schema itself of what a client reads."""
        return cast(Object, self.schemas[self.named[dialect.name, model, "serialization"]])

    def body(self, dialect: Dialect, model: Model) -> Object:
        return {"$ref": ROOT + self.named[dialect.name, model, "validation"]}

    def answer(self, dialect: Dialect, model: Model) -> Object:
        return {"$ref": ROOT + self.named[dialect.name, model, "serialization"]}

    def used_by(self, *described: Object) -> Object:
        """Those that something there points to, by name."""
        found: set[str] = set()
        open_ends = {name for each in described for name in pointed_at(each)}
        while open_ends:
            found |= open_ends
            open_ends = {end for name in open_ends for end in pointed_at(self.schemas[name])} - found
        return {name: self.schemas[name] for name in sorted(found)}


def gathered(dialects: Sequence[Dialect]) -> Shapes:
    """Every model that a route names, those of refusals included. What two dialects call alike gets the dialect's name in front."""
    drawn = {dialect.name: _drawn(dialect) for dialect in dialects}
    named: dict[tuple[str, Model, Mode], str] = {}
    schemas: Object = {}
    for dialect, (names, own) in drawn.items():
        others = [schema for other, (_, schema) in drawn.items() if other != dialect]
        new_names = {name: _name(dialect, name, own, others) for name in own}
        schemas |= {new_names[name]: _renamed(schema, new_names) for name, schema in own.items()}
        named |= {(dialect, model, mode): new_names[name] for (model, mode), name in names.items()}
    return Shapes(named, schemas)


def _drawn(dialect: Dialect) -> tuple[dict[tuple[Model, Mode], str], Object]:
    wanted = list(dict.fromkeys(_wanted(dialect)))
    places, every = models_json_schema(wanted, ref_template=ROOT + "{model}")
    names = {(cast(Model, model), mode): str(place["$ref"]).removeprefix(ROOT) for (model, mode), place in places.items()}
    return names, {name: _untitled(schema) for name, schema in every.get("$defs", {}).items()}


def _wanted(dialect: Dialect) -> Iterator[tuple[Model, Mode]]:
    for spec in (route.spec for route in dialect.routes()):
        yield from ((model, "validation") for model in (spec.path, spec.query, spec.headers, spec.body) if model)
        yield from ((model, "serialization") for model in _answers(spec) if not isinstance(model, Media))
    if not isinstance(dialect.error_model, Media):
        yield dialect.error_model, "serialization"


def _answers(spec: Spec) -> Iterator[Answer]:
    for answer in spec.answers.values():
        yield from each(answer)
    if spec.error:
        yield spec.error


def each(answer: Answer | tuple[Answer, ...]) -> tuple[Answer, ...]:
    return answer if isinstance(answer, tuple) else (answer,)


def _name(dialect: str, name: str, own: Object, others: Sequence[Object]) -> str:
    """A schema that is the same in both and points nowhere is one schema."""
    alone = not list(pointed_at(own[name]))
    if all(alone and other[name] == own[name] for other in others if name in other):
        return name
    return titled(dialect) + name


def titled(dialect: str) -> str:
    """`pr_agent` as `PrAgent`."""
    return dialect.title().replace("_", "")


def _renamed(value: JsonValue, names: Mapping[str, str]) -> JsonValue:
    if isinstance(value, dict):
        return {key: _pointer(item, names) if key == "$ref" else _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _pointer(value: JsonValue, names: Mapping[str, str]) -> JsonValue:
    return ROOT + names[value.removeprefix(ROOT)] if isinstance(value, str) else _renamed(value, names)


def _untitled(value: JsonValue) -> JsonValue:
    """Titles that pydantic makes of names say nothing that the name does not."""
    if isinstance(value, dict):
        return {key: _untitled(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    return [_untitled(item) for item in value] if isinstance(value, list) else value


def pointed_at(value: JsonValue) -> Iterator[str]:
    """The names of the schemas that a piece of the document refers to."""
    if isinstance(value, dict):
        if isinstance(to := value.get("$ref"), str) and to.startswith(ROOT):
            yield to.removeprefix(ROOT)
        for item in value.values():
            yield from pointed_at(item)
    elif isinstance(value, list):
        for item in value:
            yield from pointed_at(item)

"""Fills a settings model once, from flags, environment, one TOML file and defaults, and remembers where each value came from."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from trunkline.contracts.errors import Invalid

PREFIX = "TRUNKLINE_"
S = TypeVar("S", bound=BaseModel)
_CREDENTIALS = re.compile(r"(^|,|://)[^/@\s:]+:[^/@\s]+@")
_NONE: Mapping[str, str] = {}
_NOTHING: Mapping[str, object] = {}


class Source(StrEnum):
    """Where a value came from; the first that has one wins, in this order."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A filled model, and for each of its fields who filled it."""

    settings: S
    sources: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as people read it; a secret is masked already."""

    name: str
    value: str
    source: Source
    env: str
    reason: str


def env_name(name: str, field: FieldInfo) -> str:
    """`TRUNKLINE_<NAME>`, or the one that the field asks for by `json_schema_extra={"env": …}`; `env_first` is one that counts before."""
    prefix, chosen = env_prefix(field), _extra(field, "env")
    return f"{prefix}<NAME>" if prefix else chosen or PREFIX + name.upper()


def variables(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Every variable that says what the setting is, the one that counts first before the others."""
    first = _extra(field, "env_first")
    return (*([first] if first else []), env_name(name, field))


def env_prefix(field: FieldInfo) -> str:
    """How the variables begin that fill a table, one entry each (`json_schema_extra={"env_prefix": …}`); else empty."""
    return _extra(field, "env_prefix")


def fills(variable: str, name: str, field: FieldInfo) -> bool:
    """Whether a variable says something about the setting."""
    prefix = env_prefix(field)
    return variable.startswith(prefix) if prefix else variable in variables(name, field)


def load(
    cls: type[S], flags: Mapping[str, str] = _NONE, environ: Mapping[str, str] = _NONE, toml: Mapping[str, object] = _NOTHING
) -> Loaded[S]:
    """Flag before environment before file before default. Names that `cls` does not have are left to other models.

    Empty text is as good as absent. Raises Invalid (BAD_SETTING) with every value that does not fit, secrets unshown.
    """
    values: dict[str, object] = {}
    sources: dict[str, Source] = {}
    for name, field in cls.model_fields.items():
        sources[name], values[name] = _find(name, field, (flags, environ, toml))
    try:
        settings = cls.model_validate({name: value for name, value in values.items() if sources[name] is not Source.DEFAULT})
    except ValidationError as error:
        raise _bad(cls, error, sources) from None
    return Loaded(settings, sources)


def read_file(path: Path) -> dict[str, object]:
    """The names and values of a TOML file. Raises Invalid (BAD_CONFIG)."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Invalid(f"The settings file {path} cannot be read ({error.strerror}). Check --config.", code="BAD_CONFIG") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The settings file {path} is not TOML: {error}. Mend that line.", code="BAD_CONFIG") from None


def refuse_unknown(toml: Mapping[str, object], known: Iterable[str], path: Path | str = "the settings file") -> None:
    """Raises Invalid (UNKNOWN_SETTING) for the first name that no model knows, and names the nearest one that is known."""
    names = sorted(known)
    for name in toml:
        if name not in names:
            raise Invalid(f"{path}: there is no setting {name!r}. {_nearest(name, names)}", code="UNKNOWN_SETTING")


def unknown_variables(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """A warning for each `TRUNKLINE_…` variable that nothing reads."""
    names = sorted(known)
    strays = sorted(name for name in environ if name.startswith(PREFIX) and name not in names)
    return [f"{name} is set, but nothing reads it. {_nearest(name, names)}" for name in strays]


def rows(loaded: Loaded[S]) -> list[Row]:
    """Every setting of a model, ready to be shown."""
    return [
        Row(name, shown(getattr(loaded.settings, name)), loaded.sources[name], env_name(name, field), field.description or "")
        for name, field in type(loaded.settings).model_fields.items()
    ]


def shown(value: object) -> str:
    """A value as people read it; a secret only says whether it is set."""
    match value:
        case SecretStr():
            return "********" if value.get_secret_value() else "(not set)"
        case None | "":
            return "(not set)"
        case bool():
            return "on" if value else "off"
        case ByteSize():
            return value.human_readable()
        case Mapping():
            return ", ".join(f"{name}={shown(each)}" for name, each in value.items()) or "(none)"
        case tuple() | list() | set() | frozenset():
            return ", ".join(map(str, value)) or "(none)"
        case str():
            return _CREDENTIALS.sub(r"\1********@", value)
        case _:
            return str(value)


Layers = tuple[Mapping[str, str], Mapping[str, str], Mapping[str, object]]


def _find(name: str, field: FieldInfo, layers: Layers) -> tuple[Source, object]:
    flags, environ, toml = layers
    if entries := _entries(field, environ):
        return Source.ENVIRONMENT, {**_but(toml.get(name), entries), **entries}
    if text := flags.get(name):
        return Source.FLAG, _decoded(text, field)
    if text := next(filter(None, (environ.get(variable) for variable in variables(name, field))), None):
        return Source.ENVIRONMENT, _decoded(text, field)
    if name in toml:
        return Source.FILE, toml[name]
    return Source.DEFAULT, None


def _entries(field: FieldInfo, environ: Mapping[str, str]) -> dict[str, str]:
    """What the variables say of a table, by the rest of their names."""
    prefix = env_prefix(field)
    found = environ.items() if prefix else ()
    return {name.removeprefix(prefix): text for name, text in found if name.startswith(prefix) and text}


def _but(table: object, entries: Mapping[str, str]) -> dict[str, object]:
    """The entries of the file that no variable stands for, large and small letters being the same."""
    said = {name.lower() for name in entries}
    return {name: value for name, value in table.items() if str(name).lower() not in said} if isinstance(table, dict) else {}


def _extra(field: FieldInfo, key: str) -> str:
    extra = field.json_schema_extra
    chosen = extra.get(key) if isinstance(extra, dict) else None
    return str(chosen or "")


def _decoded(text: str, field: FieldInfo) -> object:
    """Text of a flag or a variable: JSON or words between commas for what holds several, else pydantic reads it."""
    if not _holds_several(field.annotation):
        return text
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [part.strip() for part in text.split(",") if part.strip()]


def _holds_several(annotation: object) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(_holds_several(each) for each in get_args(annotation) if each is not NoneType)
    return (origin or annotation) in (tuple, list, set, frozenset, dict, Mapping)


def _bad(cls: type[BaseModel], error: ValidationError, sources: Mapping[str, Source]) -> Invalid:
    told = [_told(cls, each["loc"] or ("",), each["msg"], sources) for each in error.errors(include_input=False)]
    return Invalid("; ".join(told) + ". `trunkline settings` lists every setting.", code="BAD_SETTING")


def _told(cls: type[BaseModel], loc: tuple[int | str, ...], message: str, sources: Mapping[str, Source]) -> str:
    name, within = str(loc[0]), "".join(f"{part}: " for part in loc[1:])
    field = cls.model_fields.get(name)
    message = message.removeprefix("Value error, ")  # how pydantic begins what our own checks say
    if field is None:
        return message
    source = sources[name]
    place = {Source.FLAG: "--" + name.replace("_", "-"), Source.ENVIRONMENT: env_name(name, field)}.get(source, name)
    return f"{place} (from {source}): {within}{message[:1].lower()}{message[1:]}"


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return f"Did you mean {near[0]!r}?" if near else ""

"""Reads flags, environment and the settings file for every model at once, since all share one flat set of names."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from trunkline.runtime.settings import Loaded, Row, env_name, load, read_file, refuse_unknown, rows, unknown_variables
from trunkline_cli.services import NAMES, settings_of
from trunkline_cli.settings import StackSettings

S = TypeVar("S", bound=BaseModel)
CONFIG = "TRUNKLINE_CONFIG"
OUTSIDE = ("TRUNKLINE_URL", CONFIG)
"""Variables that are read though they are no settings."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What was said by flag, by environment and in the file, unread yet."""

    flags: Mapping[str, str]
    environ: Mapping[str, str]
    toml: Mapping[str, object] = field(default_factory=dict)
    path: Path | None = None

    def load(self, cls: type[S]) -> Loaded[S]:
        return load(cls, self.flags, self.environ, self.toml)

    def over(self, **values: str) -> Sources:
        """The same, with these values decided."""
        return Sources({**self.flags, **values}, self.environ, self.toml, self.path)

    def environment(self) -> dict[str, str]:
        """An environment in which a child finds the same values: what was a flag here is a variable there."""
        names = {name: env_name(name, field) for name, field in every_field()}
        said = {names[name]: value for name, value in self.flags.items() if name in names}
        return {**self.environ, **said, **({CONFIG: str(self.path)} if self.path else {})}


def models() -> list[type[BaseModel]]:
    """Every settings model; the command line's own first, as it decides where two have the same name."""
    return [StackSettings, *(settings_of(name) for name in NAMES)]


def every_field() -> Iterator[tuple[str, FieldInfo]]:
    """Each setting once."""
    seen: set[str] = set()
    for model in models():
        for name, info in model.model_fields.items():
            if name not in seen:
                seen.add(name)
                yield name, info


def add_flags(parser: argparse.ArgumentParser) -> None:
    """One flag per setting, except secrets: a command line can be read by everybody on the machine."""
    parser.add_argument("--config", metavar="FILE", help="settings file (default: ./trunkline.toml, then <data-dir>/trunkline.toml)")
    for name, info in every_field():
        if not is_secret(info):
            _add_flag(parser, name, info)


def read(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> tuple[Sources, list[str]]:
    """What was said, and warnings about what nothing reads. Raises Invalid for a file that cannot be understood."""
    environ = os.environ if environ is None else environ
    fields = dict(every_field())
    flags = {name: value for name in fields if (value := getattr(args, name, None))}
    sources = _with_file(Sources(flags, dict(environ)), args.config)
    refuse_unknown(sources.toml, fields, sources.path or "")
    known = {env_name(name, info) for name, info in fields.items()} | set(OUTSIDE)
    return sources, unknown_variables(environ, known)


def every_row(sources: Sources) -> list[Row]:
    """Every setting of every model, once, as `trunkline settings` shows it."""
    found: dict[str, Row] = {}
    for model in models():
        for row in rows(sources.load(model)):
            found.setdefault(row.name, row)
    return list(found.values())


def _with_file(sources: Sources, asked: str | None) -> Sources:
    chosen = asked or sources.environ.get(CONFIG)
    if chosen:
        path = Path(chosen).expanduser().absolute()
        return Sources(sources.flags, sources.environ, read_file(path), path)
    beside = [Path("trunkline.toml").absolute(), sources.load(StackSettings).settings.root() / "trunkline.toml"]
    path_found = next((path for path in beside if path.is_file()), None)
    return Sources(sources.flags, sources.environ, read_file(path_found), path_found) if path_found else sources


def is_secret(info: FieldInfo) -> bool:
    """Whether a value must never be shown."""
    return "SecretStr" in str(info.annotation) or info.annotation is SecretStr


def _add_flag(parser: argparse.ArgumentParser, name: str, info: FieldInfo) -> None:
    flag = ["--" + name.replace("_", "-"), *(["--nats"] if name == "nats_url" else [])]
    reason = (info.description or "").replace("%", "%%")
    if info.annotation is bool:
        parser.add_argument(*flag, dest=name, nargs="?", const="true", metavar="on|off", help=reason)
    else:
        parser.add_argument(*flag, dest=name, metavar=name.rpartition("_")[2].upper(), help=reason)

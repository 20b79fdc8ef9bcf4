"""Reads flags, environment and the settings file for every model at once, since all share one flat set of names."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from trunkline.runtime.settings import Loaded, Row, fills, load, read_file, refuse_unknown, rows, shown, unknown_variables, variables
from trunkline_cli.forge_token import GITHUB_TOKEN
from trunkline_cli.inheritance import inherited
from trunkline_cli.meanings import meaning
from trunkline_cli.services import NAMES, settings_of
from trunkline_cli.settings import StackSettings

S = TypeVar("S", bound=BaseModel)
CONFIG = "TRUNKLINE_CONFIG"
OUTSIDE = ("TRUNKLINE_URL", "TRUNKLINE_TOKEN", "TRUNKLINE_API_KEY", "TRUNKLINE_INTO_USER", "TRUNKLINE_INTO_PASSWORD", GITHUB_TOKEN, CONFIG)
"""Variables that are read though they are no settings."""
EPILOG: Final = "Each is also a variable or a line of the file: `trunkline settings` lists them with value, source and reason."
FOR_ONE: Final = ("data_dir", "log_level", "nats_url", "nats_user", "nats_password", "nats_monitor", "accept_unsafe_nats", "start_within_s")
"""Settings of ours that a single service goes by."""


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

    def with_figures_at(self, place: int) -> Sources:
        """For one of several services on this machine: the first has the port that was named, and each other one of its own behind it."""
        port = int(self.load(settings_of(NAMES[0])).settings.model_dump().get("metrics_port") or 0)
        return self.over(metrics_port=str(port + place)) if port else self

    def surroundings(self) -> dict[str, str]:
        """What any child finds around it; no secret of ours."""
        return {name: value for name, value in self.environ.items() if inherited(name)}

    def environment(self, service: str) -> dict[str, str]:
        """All that a child finds around it: what any program needs, and what was said here by flag or variable of its own settings."""
        fields = fields_of(service)
        said = {variables(name, fields[name])[0]: value for name, value in self.flags.items() if name in fields}
        kept = {name: value for name, value in self.environ.items() if _read_by(fields, name)}
        return {**self.surroundings(), **kept, **said, **({CONFIG: str(self.path)} if self.path else {})}


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


def fields_of(service: str) -> dict[str, FieldInfo]:
    """What `trunkline serve SERVICE` reads: the settings of the service, and the few of ours that mean something to one service."""
    return {name: info for name, info in StackSettings.model_fields.items() if name in FOR_ONE} | settings_of(service).model_fields


def add_flags(parser: argparse.ArgumentParser, service: str | None = None) -> None:
    """One flag per setting (of one service), except secrets: a command line can be read by everybody on the machine."""
    parser.epilog = EPILOG
    parser.add_argument("--config", metavar="FILE", help="settings file (default: ./trunkline.toml, then <data-dir>/trunkline.toml)")
    for name, info in fields_of(service).items() if service else every_field():
        if not is_secret(info):
            _add_flag(parser, name, info)


def read(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> tuple[Sources, list[str]]:
    """What was said, and warnings about what nothing reads. Raises Invalid for a file that cannot be understood."""
    environ = os.environ if environ is None else environ
    fields = dict(every_field())
    flags = {name: value for name in fields if (value := getattr(args, name, None))}
    sources = _with_file(Sources(flags, dict(environ)), args.config)
    refuse_unknown(sources.toml, fields, sources.path or "")
    known = {variable for name, info in fields.items() for variable in variables(name, info)} | set(OUTSIDE)
    return sources, unknown_variables(environ, known)


def unchecked(args: argparse.Namespace) -> Sources:
    """The same for a command that needs only where the stack lives: settings of services are neither read nor refused."""
    flags = {name: value for name in StackSettings.model_fields if (value := getattr(args, name, None))}
    return _with_file(Sources(flags, dict(os.environ)), args.config)


def confidential(environ: Mapping[str, str]) -> list[str]:
    """The variables that hold a secret of some setting."""
    secret = [(name, info) for name, info in every_field() if is_secret(info)]
    return [variable for variable in environ if any(fills(variable, name, info) for name, info in secret)]


def every_row(sources: Sources) -> list[Row]:
    """Every setting of every model, once, as `trunkline settings` shows it."""
    found: dict[str, Row] = {}
    for model in models():
        for row in rows(sources.load(model)):
            found.setdefault(row.name, row)
    return list(found.values())


def _read_by(fields: Mapping[str, FieldInfo], variable: str) -> bool:
    return any(fills(variable, name, info) for name, info in fields.items())


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
    text = f"{meaning(name)}{_default(info)}".replace("%", "%%")
    if info.annotation is bool:
        parser.add_argument(*flag, dest=name, nargs="?", const="true", metavar="on|off", help=text)
    else:
        parser.add_argument(*flag, dest=name, metavar=_metavar(name, info), help=text)


def _metavar(name: str, info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        return "|".join(map(str, get_args(info.annotation)))
    return name.rpartition("_")[2].upper()


def _default(info: FieldInfo) -> str:
    """Only a default that is something: `off`, empty and unset go without saying."""
    return f" (default: {shown(info.default)})" if info.default else ""

"""Writes api/ from the contracts, or with --check says which files of it are stale."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from trunkline import contracts
from trunkline.contracts.message import Command, Fact, Message, UnknownFact

SCHEMAS = Path(__file__).resolve().parent.parent / "api" / "schemas"
ABSTRACT = (Message, Command, Fact, UnknownFact)
REPLIES = ("Accepted", "Refusal", "Record", "View", "Page")
"""How the names of what travels and is neither a command nor a fact end."""


def modules() -> Iterator[str]:
    return (f"{contracts.__name__}.{found.name}" for found in pkgutil.iter_modules(contracts.__path__))


def declared() -> dict[str, type[BaseModel]]:
    """Every model that a module of the contracts declares, by its name."""
    loaded = {name: vars(importlib.import_module(name)) for name in modules()}
    found = (value for name, names in loaded.items() for value in names.values() if getattr(value, "__module__", "") == name)
    return {value.__name__: value for value in found if isinstance(value, type) and issubclass(value, BaseModel)}


def messages() -> dict[str, type[BaseModel]]:
    """Everything that travels on the bus, by the name of its class."""
    every = declared()
    return {name: every[name] for name in sorted(every) if travels(every[name])}


def travels(model: type[BaseModel]) -> bool:
    return model not in ABSTRACT and (issubclass(model, Command | Fact) or model.__name__.endswith(REPLIES))


def schemas() -> dict[Path, str]:
    return {
        SCHEMAS / f"{name}.json": json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for name, model in messages().items()
    }


def stale(wanted: dict[Path, str]) -> list[str]:
    """A sentence for each file that is missing, differs or should not be there."""
    there = {path: path.read_text() for path in SCHEMAS.glob("*.json")}
    lost = [f"{path.name} is missing" for path in wanted.keys() - there.keys()]
    old = [f"{path.name} is stale" for path in wanted.keys() & there.keys() if wanted[path] != there[path]]
    extra = [f"{path.name} belongs to no message" for path in there.keys() - wanted.keys()]
    return sorted(lost + old + extra)


def write(wanted: dict[Path, str]) -> None:
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    for path in set(SCHEMAS.glob("*.json")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)


def main() -> int:
    wanted = schemas()
    found = stale(wanted)
    if "--check" not in sys.argv:
        write(wanted)
        print(f"docs: api/schemas holds {len(wanted)} messages; {len(found)} files changed")
        return 0
    for line in found:
        print(f"api/schemas/{line}: run `make docs`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Writes api/ and the generated pages of docs/ from the code, or with --check says which of these files are stale."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from tools import api_document, asyncapi, bus_page, settings_page
from trunkline import contracts
from trunkline.contracts import agent
from trunkline.contracts.message import Command, Fact, Message, UnknownFact

ROOT = Path(__file__).resolve().parent.parent
API = ROOT / "api"
ABSTRACT = (Message, Command, Fact, UnknownFact)
REPLIES = ("Accepted", "Refusal", "Record", "View", "Page", "Submitted", "Moved", "Answer", "Counts")
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
    found = {name: every[name] for name in every if travels(every[name])} | {model.__name__: model for model in of_agents()}
    return dict(sorted(found.items()))


def of_agents() -> list[type[BaseModel]]:
    """What travels between agents on NATS and the control plane."""
    models = [each for each in vars(agent).values() if isinstance(each, type) and issubclass(each, BaseModel)]
    return [each for each in models if each.__module__ == agent.__name__ and not each.__name__.startswith("_")]


def travels(model: type[BaseModel]) -> bool:
    return model not in ABSTRACT and (issubclass(model, Command | Fact) or model.__name__.endswith(REPLIES))


def wanted() -> dict[Path, str]:
    """Every generated file with the text that belongs into it."""
    return {
        **{API / "schemas" / f"{name}.json": _json(model.model_json_schema(), sort_keys=True) for name, model in messages().items()},
        **{API / "asyncapi" / f"{service}.json": _json(document) for service, document in asyncapi.documents().items()},
        API / "openapi.json": _json(api_document.document()),
        API / "bus.md": bus_page.page(),
        ROOT / "docs" / "reference" / "settings.md": settings_page.page(),
    }


def _json(body: object, *, sort_keys: bool = False) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False, sort_keys=sort_keys) + "\n"


def stale(texts: dict[Path, str]) -> list[str]:
    """A sentence for each file that is missing, differs or should not be there."""
    there = {path: path.read_text() for path in {*API.rglob("*.*"), *texts} if path.is_file()}
    lost = [f"{_name(path)} is missing" for path in texts.keys() - there.keys()]
    old = [f"{_name(path)} is stale" for path in texts.keys() & there.keys() if texts[path] != there[path]]
    extra = [f"{_name(path)} belongs to nothing any more" for path in there.keys() - texts.keys()]
    return sorted(lost + old + extra)


def write(texts: dict[Path, str]) -> None:
    for path in {path for path in API.rglob("*.*") if path.is_file()} - texts.keys():
        path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def main() -> int:
    texts = wanted()
    found = stale(texts)
    if "--check" not in sys.argv:
        write(texts)
        print(f"docs: {len(texts)} generated files in api/ and docs/reference; {len(found)} changed")
        return 0
    for line in found:
        print(f"{line}: run `make docs`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())

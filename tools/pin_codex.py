"""Writes what a codex program says of its own protocol, as far as Trunkline speaks it: `python -m tools.pin_codex PROGRAM`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PINNED = Path(__file__).parents[1] / "tests" / "contracts" / "codex"
SAID = (
    *("initialize", "initialized", "thread/start", "thread/resume", "thread/fork"),
    *("turn/start", "turn/interrupt", "thread/backgroundTerminals/clean"),
)
ASKED = ("item/commandExecution/requestApproval", "item/fileChange/requestApproval")
TOLD = (
    *("error", "turn/started", "turn/completed", "item/started", "item/completed"),
    *("thread/tokenUsage/updated", "serverRequest/resolved"),
)
ANSWERS = ("CommandExecutionRequestApprovalResponse", "FileChangeRequestApprovalResponse")
PARTS = {"ClientRequest": SAID, "ClientNotification": SAID, "ServerRequest": ASKED, "ServerNotification": TOLD}
_PROSE = ("description", "title", "default", "$schema")

Schema = dict[str, Any]


def pinned(whole: Path) -> Schema:
    """One schema with a definition for each part of the protocol, and nothing that none of them needs."""
    definitions: Schema = {}
    for name in (*PARTS, *ANSWERS):
        schema = json.loads((whole / f"{name}.json").read_text())
        own = {**definitions, **schema.pop("definitions", {})}
        if name in PARTS:
            schema = {"oneOf": [one for one in schema["oneOf"] if _method(one) in PARTS[name]]}
        definitions |= {**_reached(schema, own), name: schema}
    return {"definitions": dict(sorted((name, _plain(schema)) for name, schema in definitions.items()))}


def _method(one: Schema) -> str:
    return str(one["properties"]["method"]["enum"][0])


def _reached(schema: Schema, definitions: Schema) -> Schema:
    found: Schema = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = definitions[name]
            waiting += _references(definitions[name])
    return found


def _references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix("#/definitions/")
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _plain(value: Any) -> Any:
    """Without prose, but for properties that are called so."""
    if isinstance(value, Mapping):
        kept = {name: inner for name, inner in value.items() if name not in _PROSE or not isinstance(inner, str | bool | int | None)}
        return {name: _plain(inner) for name, inner in kept.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def main(program: str) -> None:
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout.split()[-1]
    with tempfile.TemporaryDirectory() as folder:
        words = ["app-server", "generate-json-schema", "--experimental", "--out", folder]
        subprocess.run([program, *words], check=True, timeout=120)
        schema = pinned(Path(folder))
    target = PINNED / version / "schema.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(schema, indent=None, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

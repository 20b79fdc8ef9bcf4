"""JSON-RPC 2.0 with one message a line: what a line of the program is, and the lines that it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from trunkline_sandbox.adapters.agents.talking import entry, json_line
from trunkline_sandbox.model import Entry

Body = Mapping[str, object]
_HEAD: Body = {"jsonrpc": "2.0"}
_NO_METHOD = -32601


@dataclass(frozen=True, slots=True)
class Request:
    """The program wants an answer. `id` is its own, spelled as JSON, for it may be a number or a text."""

    id: str
    method: str
    params: Body


@dataclass(frozen=True, slots=True)
class Notice:
    method: str
    params: Body


@dataclass(frozen=True, slots=True)
class Answer:
    """To a request of ours, under the id that we gave it. `error` is None when it went well."""

    id: str
    result: Body
    error: Body | None = None


def read(text: str) -> Request | Notice | Answer | None:
    """None when the line is no message."""
    body = _object(text)
    if body is None:
        return None
    method, id = body.get("method"), body.get("id")
    if isinstance(method, str):
        params = mapping(body.get("params"))
        return Notice(method, params) if id is None else Request(json.dumps(id), method, params)
    if id is None or not ("result" in body or "error" in body):
        return None
    error = mapping(body.get("error")) if "error" in body else None
    return Answer(id if isinstance(id, str) else "", mapping(body.get("result")), error)


def request(kind: str, id: str, method: str, params: Body) -> Entry:
    """A request whose id is that of its entry: its answer can be known without remembering anything."""
    named = entry(kind, id, {})
    return replace(named, data=json_line({**_HEAD, "id": named.id, "method": method, "params": params}))


def notice(method: str, params: Body | None = None) -> bytes:
    return json_line({**_HEAD, "method": method, **({} if params is None else {"params": params})})


def answer(id: str, result: Body) -> Entry:
    """To a request of the program; `id` as it was read."""
    return entry("answer", id, {**_HEAD, "id": json.loads(id), "result": result})


def refusal(asked: Request) -> Entry:
    """An unanswered request would be waited for."""
    error = {"code": _NO_METHOD, "message": f"{asked.method[:80]} is not supported here"}
    return entry("refuse", asked.id, {**_HEAD, "id": json.loads(asked.id), "error": error})


def mapping(value: object) -> Body:
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else 0


def _object(text: str) -> Body | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None

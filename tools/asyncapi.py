"""Writes api/asyncapi/<service>.json: what one service hears and says, as an AsyncAPI 3.0 document.

FastStream could write one from its subscribers, but ours take bytes and answer by themselves, so it would call every payload empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Union

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import models_json_schema

from tools import heard, who
from tools.heard import Heard
from trunkline.bus.commands import Ping
from trunkline.contracts import subjects
from trunkline.contracts.agent import ANSWERS, STOP, Stopping
from trunkline.contracts.message import Accepted, Fact, Reply
from trunkline.contracts.record import FACTS, Record
from trunkline_cli.services import NAMES

Object = dict[str, Any]
REF = "#/components/schemas/{model}"
TOKENS = {"cmd": ("tenant", "id"), "evt": ("tenant", "task", "part"), "work": ("tenant",), "deliver": ("tenant", "webhook", "delivery")}
TOKENS["agent"] = TOKENS["told"] = ("tenant", "name")
"""What the wildcards of a subject stand for, by its first token."""
MEANING = {
    "tenant": "Who the task belongs to.",
    "id": "The aggregate that is meant; `-` where it is none.",
    "task": "The id of the task.",
    "part": "Which of its aggregates.",
    "webhook": "The id of the webhook.",
    "delivery": "The id of the delivery.",
    "name": "Who asks: the subject of its token, or the name of its API key.",
}

AGENTS_OWNER = "router"
"""Whom agents ask, and who tells them things."""
ASKED = ("command", "agent")
"""What has an answer."""
Entry = tuple[Heard, str, type[BaseModel]]
"""A subscription or its counterpart, `receive` or `send`, and what travels."""


def document(service: str) -> Object:
    """Everything that a service takes and gives on the bus."""
    every = heard.everything()
    mine = [one for one in every if one.service == service]
    asked = [one for one in every if one.kind == "command" and one.message and service in who.makers(one.message.__name__)]
    said = {part: facts for part, facts in _parts().items() if service in who.makers(facts[0].__name__)}
    entries: list[Entry] = [
        *((one, "receive", _payload(one)) for one in mine),
        *((one, "send", _payload(one)) for one in asked),
        *((_fact_channel(service, part), "send", _records(part)) for part in said),
        *([] if service == "gateway" else [(_ping(service), "receive", Ping)]),
        *([(Heard(service, "told", STOP, f"told.*.*.{STOP}"), "send", Stopping)] if service == AGENTS_OWNER else []),
    ]
    return _document(service, entries)


def _ping(service: str) -> Heard:
    return Heard(service, "command", "ping", subjects.commands_of(service, "ping"), message=Ping)


def _fact_channel(service: str, part: str) -> Heard:
    return Heard(service, "facts", part, f"evt.*.*.{part}")


def _parts() -> dict[str, list[type[Fact]]]:
    """Every fact, by the part of a task whose subject it lies on."""
    found: dict[str, list[type[Fact]]] = {}
    for fact in FACTS:
        found.setdefault(who.part(fact), []).append(fact)
    return found


def _payload(one: Heard) -> type[BaseModel]:
    named = "approval-{id}" if one.name.startswith("approval-") else one.name
    return one.message or _records(named)


def _records(part: str) -> type[BaseModel]:
    """A Record as it looks on the subject of one part: with the facts that it may hold spelt out."""
    facts = tuple(_parts()[part])
    kind = Union[facts] if len(facts) > 1 else facts[0]  # noqa: UP007  # built, not written
    listed: Any = (tuple[kind, ...], Field(min_length=1))  # type: ignore[valid-type]  # known when it runs
    fields = {name: (info.annotation, info) for name, info in Record.model_fields.items() if name != "facts"}
    named = f"{part.partition('-')[0].capitalize()}Record"
    return create_model(named, __doc__=Record.__doc__, **fields, facts=listed)  # type: ignore[call-overload,no-any-return]


def _document(service: str, entries: Sequence[Entry]) -> Object:
    answers = any(one.kind in ASKED for one, _, _ in entries)
    payloads = {payload.__name__: payload for _, _, payload in entries} | ({"Reply": Reply} if answers else {})
    told = {one.name: _answer(one.name) for one, _, _ in entries if one.kind == "agent"}
    payloads |= {answer.__name__: answer for answer in told.values()}
    channels = {_name(one): _channel(one, payload) for one, _, payload in entries} | ({"reply": _reply(Reply)} if answers else {})
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Trunkline: {service}", "version": "1", "description": "Written by `make docs` from the code."},
        "defaultContentType": "application/json",
        "channels": channels | {f"agent.{verb}.reply": _reply(answer) for verb, answer in told.items()},
        "operations": {f"{action}.{_name(one)}": _operation(one, action, payload) for one, action, payload in entries},
        "components": {
            "messages": {name: {"payload": {"$ref": REF.format(model=name)}} for name in sorted(payloads)},
            "schemas": _schemas(payloads.values()),
        },
    }


def _schemas(payloads: Iterable[type[BaseModel]]) -> Object:
    _, together = models_json_schema([(payload, "validation") for payload in payloads], ref_template=REF)
    definitions: Object = together["$defs"]
    return definitions


def _name(one: Heard) -> str:
    owner = one.subject.split(".")[1] if one.kind == "command" else one.kind
    return re.sub(r"[^A-Za-z0-9_.-]", "", f"{owner}.{one.name}").strip(".-")


def _channel(one: Heard, payload: type[BaseModel]) -> Object:
    address = _address(one.subject)
    names = re.findall(r"{(\w+)}", address)
    channel: Object = {"address": address, "messages": {payload.__name__: {"$ref": f"#/components/messages/{payload.__name__}"}}}
    channel["description"] = (vars(payload).get("__doc__") or payload.__name__).strip().partition("\n")[0]
    return channel | ({"parameters": {name: {"description": MEANING[name]} for name in names}} if names else {})


def _address(subject: str) -> str:
    names = iter(TOKENS.get(subject.partition(".")[0], ()))
    return ".".join(_filled(token, names) for token in subject.split("."))


def _filled(token: str, names: Iterator[str]) -> str:
    if token == ">":
        return ".".join(f"{{{name}}}" for name in names)
    return f"{{{next(names)}}}" if token == "*" else token


def _operation(one: Heard, action: str, payload: type[BaseModel]) -> Object:
    channel = {"$ref": f"#/channels/{_name(one)}"}
    found: Object = {"action": action, "channel": channel, "messages": [{"$ref": f"#/channels/{_name(one)}/messages/{payload.__name__}"}]}
    if one.kind in ASKED:
        found["reply"] = {
            "address": {"location": "$message.header#/reply", "description": "The inbox of the request."},
            "channel": {"$ref": f"#/channels/{_name(one)}.reply" if one.kind == "agent" else "#/channels/reply"},
        }
    if one.kind in ASKED and action == "receive":
        found["bindings"] = {"nats": {"queue": one.service, "bindingVersion": "0.1.0"}}
    if one.stream:
        each = "as a durable consumer for each tenant, made when it is first asked"
        whose = f"as the durable consumer `{one.durable}`" if one.durable else each
        found["description"] = f"From the stream {one.stream}, {whose}."
    return found


def _answer(verb: str) -> type[BaseModel]:
    """A Reply as it is to one verb of agents: with the body that was accepted spelt out."""
    named, body = verb.capitalize(), ANSWERS.get(verb)
    if body is None:
        return Reply
    accepted = create_model(f"{named}Accepted", __base__=Accepted, __doc__=Accepted.__doc__, body=(body, ...))
    either: Any = (accepted | None, None)
    return create_model(f"{named}Reply", __base__=Reply, __doc__=Reply.__doc__, accepted=either)


def _reply(answer: type[BaseModel]) -> Object:
    return {
        "address": None,
        "description": "The answer: `accepted` or `refused`.",
        "messages": {answer.__name__: {"$ref": f"#/components/messages/{answer.__name__}"}},
    }


def documents() -> dict[str, Object]:
    return {service: document(service) for service in NAMES}

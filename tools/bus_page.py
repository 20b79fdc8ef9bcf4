"""Writes api/bus.md: who says what, who hears it, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nats.js.api import ConsumerConfig, StreamConfig
from pydantic import BaseModel

from tools import heard, who
from tools.heard import Heard
from trunkline.bus.commands import Ping
from trunkline.bus.delivery import PAUSES, TRIES
from trunkline.bus.settings import BusSettings
from trunkline.bus.streams import CONSUMERS, DAY, HEARTBEAT, declared
from trunkline.contracts.agent import ANSWERS
from trunkline.contracts.record import FACTS
from trunkline_cli.services import NAMES

HEAD = """# The bus: who says, who hears

Written by `make docs` from the code; do not edit. The words are explained in [words](../docs/reference/words.md), the reasons in
[one log](../docs/why/one-log.md). Every message has its schema in [schemas/](schemas), every service its document in [asyncapi/](asyncapi).
"""
FLAGS = ("allow_direct", "deny_delete", "allow_msg_schedules", "allow_msg_ttl")


def page() -> str:
    every = heard.everything()
    defaults = BusSettings.model_validate({})
    streams = declared(defaults.replicas, defaults.events_days)
    parts = (
        HEAD,
        picture(every),
        _streams(streams),
        _consumers(every),
        _commands(every),
        _agents(every),
        _timers(every),
        _facts(),
        _others(),
    )
    return "\n".join(parts)


def picture(every: Sequence[Heard]) -> str:
    """Commands as arrows between services, facts as arrows to and from the streams."""
    lines = ["```mermaid", "flowchart LR", *(f"  {name}([{name}])" for name in NAMES), *(f"  {name}[({name})]" for name in _stream_names())]
    for sender, owner, verbs in _sent(every):
        lines.append(f"  {sender} -- {verbs} --> {owner}")
    for owner, names in _said().items():
        lines.append(f"  {owner} == {names} ==> EVENTS")
    for one in every:
        if one.stream:
            lines.append(f"  {one.stream} -. {one.name} .-> {one.service}")
    lines += ["  router == released work ==> WORK", "  router & approvals == alarms ==> TIMERS"]
    lines += ["  EVENTS -. everything .-> relay", "  EVENTS -. timelines .-> gateway", "```", ""]
    legend = "Thin arrows are commands, thick ones what is stored, dotted ones what is heard. What no handler could take goes to `DEAD`.\n"
    return "\n".join([*lines, legend])


def _stream_names() -> list[str]:
    return [str(stream.name) for stream in declared(1, 1)]


def _sent(every: Sequence[Heard]) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for one in every:
        for sender in who.makers(one.message.__name__) if one.kind == "command" and one.message else ():
            found.setdefault((sender, one.service), []).append(one.name)
    return [(*ends, ", ".join(verbs)) for ends, verbs in found.items()]


def _said() -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for fact in FACTS:
        for maker in who.makers(fact.__name__):
            names = found.setdefault(maker, [])
            names.extend([] if who.part(fact) in names else [who.part(fact)])
    return {maker: "facts of " + ", ".join(names).replace("{id}", "id") for maker, names in found.items()}


def _streams(streams: Iterable[StreamConfig]) -> str:
    rows = [(f"`{stream.name}`", _codes(stream.subjects or ()), stream.description or "", _settings(stream)) for stream in streams]
    note = "Ages are those of the default `events_days`. nats-server syncs every append to the disk before it says that it is stored.\n"
    return "\n".join(["## Streams\n", table(("stream", "subjects", "holds", "settings"), rows), note])


def _settings(stream: StreamConfig) -> str:
    kept = f"kept {stream.max_age / DAY:g} days" if stream.max_age else "kept until taken"
    facts = [f"retention {stream.retention.value if stream.retention else ''}", kept]
    facts += [f"repeats known for {stream.duplicate_window or 0:g} s"]
    facts += [f"at most {stream.max_msg_size >> 10} KiB a message"] if (stream.max_msg_size or -1) > 0 and stream.max_msg_size else []
    facts += [f"republished below `{stream.republish.dest}`"] if stream.republish else []
    return "; ".join([*facts, *(f"`{flag}`" for flag in FLAGS if getattr(stream, flag))])


def _consumers(every: Sequence[Heard]) -> str:
    by_name = {one.durable: one for one in every if one.durable}
    rows = [_consumer(stream, config, by_name.get(config.name or "")) for stream, config in CONSUMERS]
    pauses = ", ".join(f"{pause:g}" for pause in PAUSES)
    note = (
        "Each is pulled by all replicas of its service, and a message is with one of them at a time. While it is worked on, a sign of\n"
        f"life goes out every {HEARTBEAT:g} s. A failed try is repeated after {pauses} s; after {TRIES} tries a letter is put under\n"
        "`dead.>`. When a bus or an owner is away, the message is tried for as long as it takes.\n"
    )
    return "\n".join(["## Durable consumers\n", table(("consumer", "stream", "subject", "heard by", "settings", "for"), rows), note])


def _consumer(stream: str, config: ConsumerConfig, one: Heard | None) -> tuple[str, ...]:
    policy = config.ack_policy.value if config.ack_policy else ""
    settings = f"ack {policy}, again after {config.ack_wait or 0:g} s, at most {config.max_ack_pending} at once"
    return f"`{config.name}`", stream, f"`{config.filter_subject}`", one.service if one else "nobody", settings, config.description or ""


def _commands(every: Sequence[Heard]) -> str:
    rows = [
        (f"`{one.subject}`", link(one.message), one.service, _names(who.makers(one.message.__name__)), sentence(one.message))
        for one in every
        if one.kind == "command" and one.message
    ]
    ping = (f"`cmd.*.*.*.{Ping.model_fields['type'].default}`", "Ping", "every service but the gateway", "gateway", sentence(Ping))
    note = (
        "Request and reply. The answer comes after the owner's facts are on disk: `accepted` ([Accepted](schemas/Accepted.json)) or\n"
        "`refused` ([Refusal](schemas/Refusal.json)). A command says in the header `Trunkline-Sent` by\n"
        "the sender's own clock when it was sent and how long its answer is waited for, and is refused when it comes later than others.\n"
    )
    return "\n".join(["## Commands\n", table(("subject", "message", "owner", "sent by", "what"), [*rows, ping]), note])


def _agents(every: Sequence[Heard]) -> str:
    rows = [
        (f"`{one.subject}`", link(one.message), _body(one.name), one.service, sentence(one.message))
        for one in every
        if one.kind == "agent" and one.message
    ]
    note = (
        "Asked by agents in an account of their own, answered as commands are. Who asks is the second and third token, which nats-server\n"
        "lets nobody else write. What concerns one agent alone it is told at once, as `told.<tenant>.<name>.stop` with a\n"
        "[Stopping](schemas/Stopping.json). See [agents on NATS](../docs/reference/agents-on-nats.md).\n"
    )
    return "\n".join(["## Asked by agents\n", table(("subject", "message", "body of the answer", "answered by", "what"), rows), note])


def _body(verb: str) -> str:
    return link(ANSWERS[verb]) if verb in ANSWERS else ""


def _timers(every: Sequence[Heard]) -> str:
    rows = [
        (f"`{one.subject}`", one.service, one.message.__name__ if one.message else "", sentence(one.message))
        for one in every
        if one.kind == "timer"
    ]
    note = "A pending timer lies under `timer.<name>.<id>` and is fired by nats-server itself. One that comes late or twice is refused.\n"
    return "\n".join(["## Timers\n", table(("fires to", "set and heard by", "carries", "what"), rows), note])


def _facts() -> str:
    rows = []
    for fact in FACTS:
        type_name, name = fact.model_fields["type"].default, fact.__name__
        readers = _names(who.readers(name), "kept for readers")
        subject = f"`evt.<tenant>.<task>.{who.part(fact).replace('{id}', '<id>')}`"
        rows.append((f"`{type_name}`", link(fact), _names(who.makers(name)), subject, readers))
    note = (
        "What each means is told in [events](../docs/reference/events.md). One decision is one [Record](schemas/Record.json) with one or\n"
        "more facts.\n"
    )
    return "\n".join(["## Facts\n", table(("type", "message", "owner", "stored under", "acted on or shown by"), rows), note])


def _others() -> str:
    return (
        "## Without a consumer\n\n"
        "* The **gateway** follows timelines, and the **relay** everything, over one core subscription of `live.evt.>` for each process;\n"
        "  what they missed they read from EVENTS by direct get. See [ADR 0008](../docs/adr/0008-timelines-by-one-subscription.md).\n"
        "* Every service answers `ping`, and `redo`: one of its consumers takes once more a message that was given up on.\n"
        "* Of `dead.>` the relay hears only what people do about a letter; [they read](../docs/how-to/read-a-dead-letter.md) the letters.\n"
    )


def link(model: type[BaseModel]) -> str:
    return f"[{model.__name__}](schemas/{model.__name__}.json)"


def sentence(model: type[BaseModel] | None) -> str:
    """The first line of a model's own docstring."""
    return (vars(model).get("__doc__") or "").strip().partition("\n")[0] if model else ""


def _names(services: Sequence[str], nobody: str = "nobody yet") -> str:
    return ", ".join(services) or nobody


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"

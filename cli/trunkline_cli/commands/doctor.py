"""Checks this machine: what is needed, what is there, and what to do about the difference."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from trunkline.bus.streams import UNFINISHED
from trunkline.bus.visiting import visiting
from trunkline.contracts.errors import DomainError, NotFound, Unavailable
from trunkline.runtime.clock import now
from trunkline_cli import checks, nats_outside, sources, stack_checks
from trunkline_cli.checks import Check, State, guarded
from trunkline_cli.console import FAILED, OK, out
from trunkline_cli.nats_place import Place, place_of
from trunkline_cli.operator import VAULT_FILE
from trunkline_cli.plain import plain
from trunkline_cli.services import settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources
from trunkline_cli.stack_facts import Found, gathered
from trunkline_cli.views_anew import Difference, compare

VIEWS = "views"
MARK = {State.OK: "green", State.WARN: "yellow", State.MISSING: "bold red", State.REFUSED: "bold red"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--views", action="store_true", help="fold the log anew and compare it with what a running relay answers from")
    parser.add_argument("--json", action="store_true", help="print JSON")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    said, warnings = sources.read(args)
    differences: list[Difference] = []
    found = [*_machine(said), *_stack(said), *(Check("environment", State.WARN, warning) for warning in warnings)]
    if args.views:
        found += _views(said, differences)
    if args.json:
        told = [asdict(each) for each in differences]
        print(json.dumps([asdict(check) | ({"differences": told} if check.name == VIEWS else {}) for check in found], indent=2))
    elif sys.stdout.isatty():
        out().print(_table(found))
        if differences:
            out().print(_differences(differences))
    else:
        print("\n".join([*_plain(found), *(plain(_told(each)) for each in differences)]))
    return OK if all(check.state.enough for check in found) else FAILED


def _machine(said: Sources) -> list[Check]:
    stack = said.load(StackSettings).settings
    root = stack.root()
    looks: dict[str, Callable[[], Check]] = {
        "python": checks.python,
        "git": checks.git,
        "nats-server": checks.nats_server,
        "isolation": checks.isolation,
        "user namespaces": checks.user_namespaces,
        "control groups": checks.cgroups,
        "data directory": partial(checks.data_dir, root),
        "disk": partial(checks.disk, root),
        "open files": partial(_open_files, said),
        "daytona": partial(_cloud, said, "daytona", "api_url"),
        "e2b": partial(_cloud, said, "e2b", "domain"),
        "agent": partial(_agent, said),
        "model door": partial(_model_door, said),
        "vault key": partial(_vault, said, stack),
        "running server": partial(_server, stack),
    }
    return [guarded(name, look) for name, look in looks.items()]


def _open_files(said: Sources) -> Check:
    streams = getattr(said.load(settings_of("gateway")).settings, "stream_limit", 0)
    return checks.open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1], streams)


def _agent(said: Sources) -> Check:
    settings = said.load(settings_of("sandbox")).settings
    name = str(getattr(settings, "agent", ""))
    wanted = {"claude": ("anthropic",), "codex": ("openai",)}.get(name, ("openai", "anthropic"))
    keys = [getattr(settings, f"{model}_api_key", None) for model in wanted]
    set_up = any(isinstance(key, SecretStr) and key.get_secret_value() for key in keys)
    return checks.agent(name, str(getattr(settings, "agent_command", "")), getattr(settings, f"{name}_path", None), set_up)


def _model_door(said: Sources) -> Check:
    settings = said.load(settings_of("sandbox")).settings
    return checks.model_door(*(str(getattr(settings, name, "")) for name in ("sandbox", "agent", "model_door_url")))


def _cloud(said: Sources, name: str, address: str) -> Check:
    settings = said.load(settings_of("sandbox")).settings
    key = getattr(settings, f"{name}_api_key", None)
    set_up = isinstance(key, SecretStr) and bool(key.get_secret_value())
    return checks.cloud(name, getattr(settings, "sandbox", "") == name, set_up, str(getattr(settings, f"{name}_{address}", "")))


def _vault(said: Sources, stack: StackSettings) -> Check:
    """The services that seal read it under one name."""
    try:
        key = bool(getattr(said.load(settings_of("relay")).settings, "sealing_key", b""))
    except DomainError as error:
        return Check("vault key", State.REFUSED, error.message, checks.SEALS)
    return checks.vault(key, (stack.root() / VAULT_FILE).is_file(), outside=bool(stack.nats_url))


def _stack(said: Sources) -> list[Check]:
    """Looks into the nats-server that runs now; of none there is nothing to say but that."""
    stack = said.load(StackSettings).settings
    boxes = Path(getattr(said.over(data_dir=str(stack.root())).load(settings_of("sandbox")).settings, "boxes", stack.root() / "boxes"))
    try:
        place = place_of(stack)
        found = asyncio.run(_gathered(place)) if place else None
    except NotFound as error:
        remedy = "Name the nats-server of a Trunkline by --nats, or start one with `trunkline up`."
        return [Check("log", State.WARN, error.message, remedy)]  # before the first start there is none
    except DomainError as error:
        state = State.MISSING if stack.nats_url or error.code == UNFINISHED else State.OK
        return [Check("log", state, error.message if state is State.MISSING else "not looked at: no nats-server runs now")]
    if found is None:
        return []
    return [guarded(name, look) for name, look in stack_checks.all_of(found, now(), boxes).items()]


async def _gathered(place: Place) -> Found:
    async with visiting(place.settings) as visit:
        found = await gathered(visit)
    found.limit = found.limit or await nats_outside.room(place.settings.nats_url, place.monitor)
    return found


def _views(said: Sources, differences: list[Difference]) -> list[Check]:
    place = place_of(said.load(StackSettings).settings)
    try:
        if place is None:
            return [Check(VIEWS, State.MISSING, "there is no log to fold anew", "Start one with `trunkline up`.")]
        done = asyncio.run(compare(place.settings))
    except DomainError as error:
        return [Check(VIEWS, State.MISSING, f"not compared: {error.message}", "Start the relay, and ask again.")]
    differences += done.differences
    rate = done.records / done.seconds if done.seconds else 0.0
    made = f"{done.records:,} records folded anew in {done.seconds:.1f} s ({rate:,.0f}/s)"
    if not done.differ:
        return [Check(VIEWS, State.OK, f"{made}: all {done.rows:,} rows are the same")]
    why = " (the relay is of another version)" if done.others else ""
    remedy = "Stop the relay, remove its file below `relay` in the data directory, and start it: it folds everything anew."
    return [Check(VIEWS, State.REFUSED, f"{made}: {done.differ:,} of {done.rows:,} rows differ{why}", remedy)]


def _server(stack: StackSettings) -> Check:
    """Whether the server that runs now, ours or the outside one, acknowledges only what is on disk."""
    try:
        return asyncio.run(_ask(stack))
    except Unavailable as error:
        state = State.MISSING if stack.nats_url else State.OK
        return Check("running server", state, error.message if stack.nats_url else "none runs now; `trunkline up` starts one")
    except DomainError as error:
        accepted = stack.accept_unsafe_nats and error.code == nats_outside.UNSAFE
        return Check("running server", State.WARN if accepted else State.REFUSED, error.message)


async def _ask(stack: StackSettings) -> Check:
    place = place_of(stack)
    if place is None:
        raise Unavailable("none was started in this data directory", code="NATS_UNREACHABLE")
    url, info = await nats_outside.first_answer(place.settings)
    await nats_outside.check(url, place.monitor, info)
    return Check("running server", State.OK, f"nats-server {info.version}, acknowledges what is on disk")


def _table(found: list[Check]) -> Table:
    table = Table("check", "", "found", "what to do", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for check in found:
        table.add_row(check.name, f"[{MARK[check.state]}]{check.state}[/]", escape(plain(check.found)), escape(plain(check.remedy)))
    return table


def _plain(found: list[Check]) -> list[str]:
    return [plain(f"{check.name:<16} {check.state:<8} {check.found}{'  ->  ' + check.remedy if check.remedy else ''}") for check in found]


def _differences(differences: list[Difference]) -> Table:
    table = Table("view", "row", "the relay has", "the log says", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for each in differences:
        table.add_row(*(escape(plain(text)) for text in (each.view, each.key, each.live, each.anew)))
    return table


def _told(each: Difference) -> str:
    return f"differs          {each.view} {each.key}: the relay has {each.live}; the log says {each.anew}"

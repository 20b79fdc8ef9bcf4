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

from pydantic import BaseModel, SecretStr, ValidationError
from rich.markup import escape
from rich.table import Table

from trunkline.contracts.errors import DomainError, Unavailable
from trunkline_cli import checks, nats_outside, sources
from trunkline_cli.checks import Check, State, guarded
from trunkline_cli.console import FAILED, OK, out
from trunkline_cli.nats_wire import greet
from trunkline_cli.operator import VAULT_FILE
from trunkline_cli.plain import plain
from trunkline_cli.services import settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources

MARK = {State.OK: "green", State.WARN: "yellow", State.MISSING: "bold red", State.REFUSED: "bold red"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    said, warnings = sources.read(args)
    found = [*_machine(said), *(Check("environment", State.WARN, warning) for warning in warnings)]
    if args.json:
        print(json.dumps([asdict(check) for check in found], indent=2))
    elif sys.stdout.isatty():
        out().print(_table(found))
    else:
        print("\n".join(_plain(found)))
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


class _Kept(BaseModel):
    """The part of the embedded server's memory that tells where it would be."""

    control: str
    clients: int
    monitor: int


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
    url, user, password, monitor = _where(stack)
    info = await greet(url, user, password)
    await nats_outside.check(url, monitor, info)
    return Check("running server", State.OK, f"nats-server {info.version}, acknowledges what is on disk")


def _where(stack: StackSettings) -> tuple[str, str, str, str]:
    if stack.nats_url:
        return stack.nats_url.split(",")[0], stack.nats_user, stack.nats_password.get_secret_value(), stack.nats_monitor
    try:
        kept = _Kept.model_validate_json((stack.root() / "nats" / "secrets.json").read_bytes())
    except (OSError, ValidationError):
        return "nats://127.0.0.1:1", "", "", ""
    return f"nats://127.0.0.1:{kept.clients}", "control", kept.control, f"http://127.0.0.1:{kept.monitor}"


def _table(found: list[Check]) -> Table:
    table = Table("check", "", "found", "what to do", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for check in found:
        table.add_row(check.name, f"[{MARK[check.state]}]{check.state}[/]", escape(plain(check.found)), escape(plain(check.remedy)))
    return table


def _plain(found: list[Check]) -> list[str]:
    return [plain(f"{check.name:<16} {check.state:<8} {check.found}{'  ->  ' + check.remedy if check.remedy else ''}") for check in found]

"""Runs an agent written with the SDK: `trunkline agent fixer:agent` takes `agent` of fixer.py, in this folder or wherever Python finds it.

Where the bus is and who comes stands in the environment: TRUNKLINE_NATS_AGENTS_URL, else what `up` has on this machine, and TRUNKLINE_TOKEN
or TRUNKLINE_API_KEY with TRUNKLINE_AGENT_NAME. SIGTERM lets it finish what it has begun, or hand it back.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Final

from trunkline import Agent
from trunkline.contracts.errors import Invalid
from trunkline.sdk.agents.agent import SERVERS
from trunkline.sdk.agents.failing import AgentError
from trunkline_cli import sources
from trunkline_cli.agent_lines import set_up
from trunkline_cli.console import FAILED, OK, complain
from trunkline_cli.nats_place import place_of
from trunkline_cli.settings import StackSettings

USUAL: Final = "agent"
LEVELS: Final = ("debug", "info", "warning", "error")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="MODULE[:NAME]", help=f"where it is; its name is {USUAL!r} where none is said")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="what is told on stderr (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="tell it as one JSON document a line")
    parser.add_argument("--data-dir", metavar="DIR", help="data directory of the Trunkline on this machine, as for `up`")


def run(args: argparse.Namespace) -> int:
    """Raises Invalid."""
    set_up(args.log_level, as_json=args.json)
    if not os.environ.get(SERVERS) and (here := _here(args)):
        os.environ[SERVERS] = here
    agent = found(args.agent)
    try:
        agent.run()
    except AgentError as error:
        complain(Invalid(f"the agent cannot go on: {error}"))
        return FAILED
    return OK


def _here(args: argparse.Namespace) -> str:
    """Where the nats-server of this machine's Trunkline listens; empty: nowhere that is known. Raises Invalid."""
    said, _ = sources.read(argparse.Namespace(config=None, data_dir=args.data_dir))
    stack = said.load(StackSettings).settings
    place = None if stack.nats_url else place_of(stack)
    return place.settings.nats_url if place else ""


def found(words: str) -> Agent:
    """The agent in a module. Raises Invalid (BAD_AGENT)."""
    module, _, name = words.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        agent = getattr(importlib.import_module(module), name or USUAL)
    except ModuleNotFoundError as error:
        raise Invalid(f"there is no module {error.name!r}; begin in the folder where it is, and leave .py out", code="BAD_AGENT") from None
    except (AttributeError, ValueError):
        raise Invalid(f"there is no {name or USUAL!r} in {module!r}; name the agent: {module or 'MODULE'}:NAME", code="BAD_AGENT") from None
    except AgentError as error:
        raise Invalid(f"{module}: {error}", code="BAD_AGENT") from None
    if not isinstance(agent, Agent):
        raise Invalid(f"{words!r} is a {type(agent).__name__}, and no trunkline.Agent", code="BAD_AGENT")
    return agent

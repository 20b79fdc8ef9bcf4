"""Says which service makes a message, and which reads it, by looking at their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from trunkline.contracts.message import Fact
from trunkline.contracts.subjects import MESSAGE
from trunkline_cli.services import NAMES

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE_THE_ROOMS = {"relay": ("libs/trunkline/contracts/views.py",)}
"""The relay folds with the contracts' own fold."""


CARRIERS = {"AgentOutput", "ApprovalWanted", "ApprovalDropped"}
"""Facts of whoever carries a task out: the sandbox for runs of ours, the router for agents on NATS, and never both for one task."""


@cache
def trees(service: str) -> tuple[ast.Module, ...]:
    files = sorted((ROOT / "services" / service / f"trunkline_{service}").rglob("*.py"))
    more = [ROOT / path for path in OUTSIDE_THE_ROOMS.get(service, ())]
    return tuple(ast.parse(file.read_text()) for file in (*files, *more))


@cache
def nodes(service: str) -> tuple[ast.AST, ...]:
    return tuple(node for tree in trees(service) for node in ast.walk(tree))


def makers(name: str) -> list[str]:
    """The services that build the message called `name`."""
    return [service for service in NAMES if name in _called(service)]


def readers(name: str) -> list[str]:
    """The services that look whether a fact is the one called `name`."""
    return [service for service in NAMES if name in _asked(service)]


def part(fact: type[Fact]) -> str:
    """The part of a task that a fact belongs to, as its subject has it."""
    prefix = str(fact.model_fields["type"].default).partition(".")[0]
    return {"approval": "approval-{id}", "event": MESSAGE}.get(prefix, prefix)


@cache
def _called(service: str) -> frozenset[str]:
    return frozenset(node.func.id for node in nodes(service) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))


@cache
def _asked(service: str) -> frozenset[str]:
    return frozenset(name for node in nodes(service) for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    """The classes that a pattern, a type or a tuple of types names."""
    match node:
        case ast.MatchClass(cls=ast.Name(id=name)):
            yield name
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
            yield from (each.id for each in ast.walk(kinds) if isinstance(each, ast.Name))
        case ast.Tuple(elts=elements):
            yield from (each.id for each in elements if isinstance(each, ast.Name))

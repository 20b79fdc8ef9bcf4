"""Finds every error code of ours in the source, so that a test can hold docs/reference/errors.md to it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from trunkline.contracts import errors
from trunkline.contracts.errors import DomainError

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\Z")
KINDS = {name: kind.kind.upper() for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DomainError)}
"""What a refusal is called that was given no code of its own."""


def codes() -> dict[str, list[str]]:
    """Every code, with the files that say it."""
    found: dict[str, set[str]] = {}
    roots = [file for root in ("libs", "services", "cli") for file in (ROOT / root).rglob("*.py")]
    for file in sorted(file for file in roots if not {"testing", "sdk"} & set(file.parts)):  # a client repeats what it was told
        for code in of(file.read_text()):
            found.setdefault(code, set()).add(str(file.relative_to(ROOT)))
    return {code: sorted(found[code]) for code in sorted(found)}


def of(source: str) -> set[str]:
    """The codes that one file says."""
    tree = ast.parse(source)
    return set(_in(tree, dict(_constants(tree))))


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module constants that hold text, those that the contracts lend included."""
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                yield name, text
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("trunkline.contracts."):
                lent = vars(import_module(module))
                yield from ((each.asname or each.name, lent[each.name]) for each in names if isinstance(lent.get(each.name), str))


def _in(tree: ast.Module, constants: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        for part in _told(node):
            text = constants.get(part.id) if isinstance(part, ast.Name) else getattr(part, "value", None)
            if isinstance(text, str) and CODE.match(text):
                yield text


def _told(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a node that are codes: named so, followed by their sentence, or in a table of codes."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            named = [keyword.value for keyword in keywords if keyword.arg == "code"]
            yield from named
            if name in KINDS and args and not named:
                yield ast.Constant(KINDS[name])
            if name.endswith("failed") or name == "PydanticCustomError":
                yield from args
            yield from [] if name in ("Route", "Wish") else _before_sentences(args)
        case ast.Tuple(elts=elements):
            yield from _before_sentences(elements)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys, values=values)) if "CODE" in name:
            yield from (each for each in (*keys, *values) if each)
        case ast.Dict(keys=keys, values=values):
            yield from (value for key, value in zip(keys, values, strict=True) if getattr(key, "value", "") == "error_code")


def _before_sentences(row: list[ast.expr]) -> Iterator[ast.expr]:
    for code, text in pairwise(row):
        if isinstance(text, ast.JoinedStr) or (isinstance(text, ast.Constant) and " " in str(text.value)):
            yield code

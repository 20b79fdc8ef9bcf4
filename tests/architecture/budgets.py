"""Measures one source file against the budgets and says every breach as a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from tests.architecture.source import Function, Source

FILE_LINES, FUNCTION_LINES, PARAMETERS, NESTING = 400, 50, 5, 3
VAGUE = r"managers?|helpers?|utils?|impl"
BANNED = re.compile(rf"(?:\A|_)(?:{VAGUE}|common|base)(?:\Z|_)")
BANNED_FUNCTION = re.compile(rf"(?:\A|_)(?:{VAGUE})(?:\Z|_)|\A_*(?:common|base)\Z|\A_*handle_")
"""`merge_base` and `base_url` are words of the trade, so a function may have them in its name."""
OPEN_BASES = frozenset({"Protocol", "BaseModel", "BaseSettings", "RootModel", "Exception", "BaseException"})
"""What may be inherited, and inherited again."""
CLOSED_BASES = frozenset({"Generic", "NamedTuple", "TypedDict", "Enum", "StrEnum", "IntEnum", "Flag", "IntFlag"})
EXCEPTION = re.compile(r"(?:Error|Exception|Warning|Interrupt)\Z")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
Node = ast.stmt | ast.ExceptHandler | ast.match_case


def breaches(source: Source, open_bases: frozenset[str]) -> Iterator[str]:
    """Everything in the file that is over budget; `open_bases` are the names of the classes that may be inherited."""
    yield from of_file(source)
    yield from of_names(source)
    for function in source.functions:
        yield from of_function(source, function)
    for cls in source.classes:
        yield from of_bases(source, cls, open_bases)


def of_file(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > FILE_LINES:
        yield f"{source.path} has {lines} lines; {FILE_LINES} are allowed"
    doc = ast.get_docstring(source.tree)
    if not doc:
        yield f"{source.path} does not open with a docstring"
    elif not doc.splitlines()[0].rstrip().endswith("."):
        yield f"{source.path}: the first line of the module docstring is not one sentence: {doc.splitlines()[0]!r}"
    for number, line in enumerate(source.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{source.path}:{number} is unfinished: {line.strip()}"


def of_function(source: Source, function: Function) -> Iterator[str]:
    where = f"{source.path}:{function.lineno} {function.name}"
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if lines > FUNCTION_LINES:
        yield f"{where} has {lines} lines; {FUNCTION_LINES} are allowed"
    if (count := parameters(function)) > PARAMETERS:
        yield f"{where} takes {count} parameters; {PARAMETERS} are allowed"
    if (depth := nesting(function.body)) > NESTING:
        yield f"{where} is nested {depth} deep; {NESTING} are allowed"


def parameters(function: Function) -> int:
    """How many it takes, `self` and `cls` not counted."""
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def nesting(body: Iterable[Node]) -> int:
    """How many blocks lie in each other at the deepest place; an `elif` is not deeper than its `if`."""
    return max((depth(node) for node in body), default=0)


def depth(node: Node) -> int:
    if isinstance(node, ast.ExceptHandler | ast.match_case):
        return nesting(node.body)
    if not isinstance(node, BLOCKS):
        return 0
    inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, Node)]
    if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        return max(1 + nesting(node.body), depth(node.orelse[0]))
    return 1 + nesting(inner)


def of_names(source: Source) -> Iterator[str]:
    module = source.path.rsplit("/", 1)[-1].removesuffix(".py")
    things = [(1, module), *((cls.lineno, cls.name) for cls in source.classes)]
    functions = ((function.lineno, function.name) for function in source.functions)
    vague = [named for named in things if BANNED.search(snake(named[1]))]
    for line, name in (*vague, *(named for named in functions if BANNED_FUNCTION.search(named[1]))):
        yield f"{source.path}:{line} is named {name!r}, which says nothing of what it is for"


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def of_bases(source: Source, cls: ast.ClassDef, open_bases: frozenset[str]) -> Iterator[str]:
    for base in bases(cls):
        if base not in open_bases | CLOSED_BASES and not EXCEPTION.search(base):
            yield f"{source.path}:{cls.lineno} {cls.name} inherits from {base}; only Protocol, exceptions, pydantic and enums may be"


def bases(cls: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).split("[")[0].rsplit(".", 1)[-1] for base in cls.bases]


def inheritable(sources: Iterable[Source]) -> frozenset[str]:
    """The names of Protocol, exceptions, pydantic models, and of every class that descends from one of them."""
    classes = [cls for source in sources for cls in source.classes]
    found = OPEN_BASES
    while more := {cls.name for cls in classes if found & set(bases(cls)) or any(map(EXCEPTION.search, bases(cls)))} - found:
        found |= more
    return found

"""The budgets hold for every file that is shipped, without an allow-list."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture import budgets
from tests.architecture.source import ROOT, Source, product, read
from tests.each import each

TEST_FILE_LINES, TEST_FUNCTION_LINES = 500, 70
TESTS = sorted(file for folder in ("tests", "tools", "bench") for file in (ROOT / folder).rglob("*.py"))
INHERITABLE = budgets.inheritable(product())


def breaches_of(text: str) -> list[str]:
    return list(budgets.breaches(Source("made/up.py", text, ast.parse(text)), INHERITABLE))


@each("source", product())
def test_every_file_keeps_the_budgets(source: Source) -> None:
    assert list(budgets.breaches(source, INHERITABLE)) == []


@each("file", TESTS)
def test_tests_and_tools_stay_readable_too(file: Path) -> None:
    source = read(file)
    assert source.text.count("\n") <= TEST_FILE_LINES
    sizes = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in source.functions}
    assert {name: size for name, size in sizes.items() if size > TEST_FUNCTION_LINES} == {}


@each(
    ("text", "says"),
    [
        ("x = 1\n", "does not open with a docstring"),
        ('"""Not a sentence"""\n', "not one sentence"),
        ('"""Long."""\n' + "x = 1\n" * 400, "401 lines"),
        ('"""Long."""\ndef f() -> None:\n' + "    x = 1\n" * 50, "51 lines"),
        ('"""Many."""\ndef f(a, b, c, d, *, e, f): ...\n', "6 parameters"),
        ('"""Deep."""\ndef f():\n if 1:\n  for x in y:\n   with z:\n    while 1: pass\n', "nested 4 deep"),
        ('"""Deep."""\ndef f():\n try: pass\n except E:\n  for x in y:\n   with z:\n    match z:\n     case 1: pass\n', "nested 4 deep"),
        ('"""Named."""\nclass TaskManager: ...\n', "TaskManager"),
        ('"""Named."""\nclass BaseTask: ...\n', "BaseTask"),
        ('"""Named."""\ndef handle_task(): ...\n', "handle_task"),
        ('"""Named."""\ndef task_helper(): ...\n', "task_helper"),
        ('"""Open."""\n# TODO: later\n', "unfinished"),
        ('"""Child."""\nclass Car(Vehicle): ...\n', "inherits from Vehicle"),
    ],
)
def test_a_breach_is_seen(text: str, says: str) -> None:
    assert any(says in breach for breach in breaches_of(text))


def test_good_code_is_left_alone() -> None:
    text = '''"""Good."""
class Lost(NotFound): ...
class Port(Protocol[T]): ...
class _Body(BaseModel): ...
class Task:
    def move(self, a, b, c, d, e):
        if a: pass
        elif b: pass
        elif c: pass
        elif d:
            for x in e:
                if x: pass
def database(): ...
def merge_base(): ...
'''
    assert breaches_of(text) == []

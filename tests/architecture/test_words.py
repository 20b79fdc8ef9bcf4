"""What may not be written: subjects outside their one place, this machine, and anybody's download address."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

from tests.architecture.source import ROOT, Source, product
from tests.each import each

SUBJECT = re.compile(r"\A(?:live\.)?(?:evt|cmd|work|timer|due|trace|dead|rl|memo)\.")
SUBJECTS_LIVE_IN = ("libs/trunkline/contracts/subjects.py", "libs/trunkline/bus/streams.py")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
# Written in pieces, so that this file does not find itself.
MACHINE = re.compile("/wo" r"rk/(?:main|shared|\.library)" "|/ro" "ot/|/ho" r"me/(?!agent|user|trunkline)[a-z]+/")
REGISTRY = re.compile("pypi" r"\.org" "|pythonhosted" r"\.org" "|npmjs" r"\.(?:org|com)" "|deb" r"\.debian\.org" "|/opt/" "pypi")
BINARY = {".png", ".gif", ".ico", ".woff2", ".gz", ".zip", ".bundle"}


LOG_LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def strays(source: Source) -> list[str]:
    """Subjects written out, docstrings and names of log events left aside."""
    free = {id(text) for node in source.nodes for text in free_texts(node)}
    texts = (node for node in source.nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [f"{source.path}:{node.lineno} {node.value!r}" for node in texts if id(node) not in free and SUBJECT.match(str(node.value))]


def free_texts(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Expr):
        return [node.value]
    logs = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_LEVELS
    return node.args[:1] if logs and isinstance(node, ast.Call) else []


def written() -> list[Path]:
    """Every text file that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and file.suffix not in BINARY]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{number}"
        for file in written()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_subjects_are_built_never_typed() -> None:
    found = [stray for source in product() if source.path not in SUBJECTS_LIVE_IN for stray in strays(source)]
    assert found == []


def test_a_stray_subject_is_seen() -> None:
    text = '"""Doc."""\nasync def f(): await say(f"evt.{tenant}.x")\n'
    assert len(strays(Source("made/up.py", text, ast.parse(text)))) == 1


def test_nothing_names_the_machine_it_was_written_on() -> None:
    assert lines_with(MACHINE) == []


def test_nothing_names_a_package_registry() -> None:
    assert lines_with(REGISTRY) == []


@each("lock", LOCKS)
def test_a_lock_holds_names_versions_and_hashes_only(lock: Path) -> None:
    allowed = re.compile(r"\A(?:#.*|\s+--hash=sha256:[0-9a-f]{64}(?: \\)?|[a-z0-9.-]+==[^\s;]+(?: ; [a-z_ =!<>'\"0-9.]+)?(?: \\)?|)\Z")
    assert [line for line in lock.read_text().splitlines() if not allowed.match(line)] == []
    assert LOCKS, "requirements/ is empty: run `make lock`"

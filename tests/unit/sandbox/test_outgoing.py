"""What may leave without asking, and what may not."""

from __future__ import annotations

import pytest

from tests.each import each
from trunkline_sandbox.model.outgoing import Leak, OutgoingPolicy, fits, reasons, too_many
from trunkline_sandbox.settings import OUTGOING_PATHS

POLICY = OutgoingPolicy(OUTGOING_PATHS, files=3)


@each(
    "path",
    [
        ".github/workflows/ci.yml",
        ".github/workflows/deep/er/ci.yml",
        ".GitHub/Workflows/CI.yml",
        "CODEOWNERS",
        ".github/CODEOWNERS",
        "CLAUDE.md",
        "packages/web/AGENTS.md",
        ".claude/settings.json",
        ".mcp.json",
        ".gitmodules",
        ".claude",
        "packages/web/.claude/settings.json",
        "GEMINI.md",
        ".github/copilot-instructions.md",
        "web/.cursorrules",
    ],
)
def test_what_runs_with_other_rights_is_looked_at_first(path: str) -> None:
    (reason,) = reasons(["src/app.py", path], [], POLICY)
    assert path in reason


@pytest.mark.parametrize(
    "path", ["src/app.py", "docs/workflows/ci.yml", "github/workflows/ci.yml", "src/CODEOWNERS.py", "a.claude/x", "README.md"]
)
def test_ordinary_files_go_without_asking(path: str) -> None:
    assert reasons([path], [], POLICY) == ()


def test_more_files_than_people_read_are_looked_at_first() -> None:
    assert reasons(["a", "b", "c"], [], POLICY) == ()
    (reason,) = reasons(["a", "b", "c", "d"], [], POLICY)
    assert "4 files" in reason


def test_a_secret_is_named_by_its_place_and_never_by_its_text() -> None:
    (reason,) = reasons(["a"], [Leak("config/prod.env", 7, "aws-key-id")], POLICY)
    assert "config/prod.env:7 (aws-key-id)" in reason


def test_a_long_list_is_cut() -> None:
    (reason,) = reasons([], [Leak("f", number, "npm-token") for number in range(9)], POLICY)
    assert reason.endswith("and 4 more")


def test_every_reason_is_told_at_once() -> None:
    assert len(reasons(["CODEOWNERS", "a", "b", "c"], [Leak("a", 1, "npm-token")], POLICY)) == 3


@each(
    ("pattern", "path", "does"),
    [
        ("**/x.md", "x.md", True),
        ("**/x.md", "a/b/x.md", True),
        ("**/x.md", "ax.md", False),
        ("a/**", "a/b", True),
        ("a/**", "a", True),
        ("**/.claude/**", ".claude", True),
        ("**/.claude/**", "web/.claude/x", True),
        ("a/**", "ab", False),
        ("*.yml", "a.yml", True),
        ("*.yml", "a/b.yml", False),
        ("a?c", "abc", True),
        ("a.c", "abc", False),
    ],
)
def test_a_pattern_fits_as_people_expect(pattern: str, path: str, does: bool) -> None:
    assert fits(pattern, path) is does


def test_too_many_pull_requests_say_how_many() -> None:
    assert too_many(POLICY, "acme/shop") == "acme/shop has had 10 pull requests within an hour"

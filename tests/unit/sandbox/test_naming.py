"""Names of branches, commits and pull requests: valid and steady whatever the prompt is."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.each import each
from trunkline.contracts.run import Usage
from trunkline_sandbox import naming

TASK = "0197c5d2a1b27e0f8a3b4c5d6e7f8091"
PROMPTS = st.text(max_size=300)


def git_takes(branch: str) -> bool:
    return subprocess.run(["git", "check-ref-format", "--branch", branch], capture_output=True, timeout=10).returncode == 0


def test_a_branch_is_read_from_its_prompt() -> None:
    assert re.fullmatch(r"trunkline/fix-the-login-bug-[0-9a-f]{12}", naming.branch_name(TASK, "Fix the Login bug!"))


def test_tasks_of_the_same_moment_and_prompt_have_branches_of_their_own() -> None:
    assert naming.branch_name(TASK, "x") != naming.branch_name(TASK[:-1] + "2", "x")


@each("prompt", ["", "   ", "修复登录错误", "../../etc", "--force", "a..b.lock", "\x00\x1b[31m\n", "@{", "x" * 100_000])
def test_git_takes_the_branch_of_any_prompt(prompt: str) -> None:
    assert git_takes(naming.branch_name(TASK, prompt))


@given(PROMPTS)
def test_a_branch_is_a_branch_and_the_same_again(prompt: str) -> None:
    branch = naming.branch_name(TASK, prompt)
    assert naming.is_branch(branch)
    assert len(branch) <= 63
    assert branch == naming.branch_name(TASK, prompt)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab/.-@{}~^:?*[\\ \x01lock", min_size=1, max_size=12))
def test_a_name_that_passes_here_passes_in_git(name: str) -> None:
    if naming.is_branch(name):
        assert git_takes(name)


@pytest.mark.parametrize("name", ["main", "feature/x.y", "release-1.0", "ünïcode", "user@host"])
def test_usual_branches_are_branches(name: str) -> None:
    assert naming.is_branch(name)


@each(
    "name", ["", "-x", "*", "a b", "a..b", "a/", "/a", "a//b", ".a", "a/.b", "a.lock", "a.", "@", "HEAD", "a@{1}", "a\n", "x" * 241, "a:b"]
)
def test_what_git_would_misread_is_no_branch(name: str) -> None:
    assert not naming.is_branch(name)


def test_a_commit_message_has_a_short_subject_the_whole_prompt_and_the_trailer() -> None:
    prompt = "Fix the sum. " * 20
    lines = naming.commit_message(prompt, TASK).splitlines()
    assert len(lines[0]) <= 72
    assert lines[1] == ""
    assert prompt.strip() in lines
    assert lines[-1] == f"Trunkline-Task: {TASK}"


def test_a_prompt_of_one_short_line_is_not_said_twice() -> None:
    assert naming.commit_message("Fix it\n", TASK) == f"Fix it\n\nTrunkline-Task: {TASK}\n"


@given(PROMPTS)
def test_git_finds_one_subject_and_the_trailer_of_any_prompt(prompt: str) -> None:
    message = naming.commit_message(prompt, TASK)
    subject, blank, *_ = message.split("\n")
    assert 0 < len(subject) <= 72
    assert not blank
    assert message.endswith(f"\n\nTrunkline-Task: {TASK}\n")
    assert "\0" not in message
    message.encode()


def test_a_title_shows_what_a_terminal_or_a_page_would_obey_as_nothing() -> None:
    assert naming.title("\n \x1b[31mfix \u202e it\ud800\x00 \nmore") == "[31mfix it"
    assert naming.title("") == "Changes made by an agent"
    assert naming.title("x" * 100) == "x" * 71 + "…"


def test_a_pull_request_quotes_the_prompt_so_that_it_mentions_nobody() -> None:
    body = naming.pull_request_body("ping @everyone ```\n# big\n``` closes #1", TASK, "command", "Done.")
    assert "````text\nping @everyone" in body
    assert "Done." in body
    assert TASK in body


def test_a_pull_request_stays_below_what_forges_take() -> None:
    assert len(naming.pull_request_body("p" * 200_000, TASK, "claude", "s" * 200_000)) < 60_000


def test_a_pull_request_says_what_it_cost_where_its_timeline_is_and_ends_with_the_trailer() -> None:
    foot = naming.Footnote(Usage(model="opus", input_tokens=12345, output_tokens=678, cost_usd=0.417), "http://trunkline.example/tasks/1")
    body = naming.pull_request_body("Fix it", TASK, "claude", "Done.", foot)
    assert "It cost US$ 0.42, 12,345 tokens in, 678 tokens out, opus." in body
    assert f"[task `{TASK}`](http://trunkline.example/tasks/1)" in body
    assert body.splitlines()[-1] == f"Trunkline-Task: {TASK}"


def test_what_is_not_known_of_the_cost_is_not_said() -> None:
    for usage in (None, Usage(), Usage(model="opus")):
        assert naming.cost(usage) == ""
        assert "cost" not in naming.pull_request_body("x", TASK, "claude", "Done.", naming.Footnote(usage))
    assert naming.cost(Usage(cost_usd=0.0012)) == "US$ 0.0012"


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "http://x/) [y](http://evil", "http://x\n"])
def test_what_is_no_plain_address_is_no_link(url: str) -> None:
    assert "](" not in naming.pull_request_body("x", TASK, "claude", "", naming.Footnote(url=url))


@pytest.mark.parametrize("summary", ["```py\nx = 1", "<!-- ", f"Trunkline-Task: {'0' * 32}\n```"])
def test_no_summary_hides_the_foot_or_names_another_task(summary: str) -> None:
    body = naming.pull_request_body("x", TASK, "claude", summary)
    assert re.findall(r"^Trunkline-Task: ([0-9a-f]{32})\s*$", body, re.MULTILINE)[-1] == TASK
    assert body.count("```") % 2 == 0
    assert "<!--" not in body


OTHERS = ("a" * 32, "b" * 32)


def named(body: str) -> list[str]:
    return re.findall(r"^Trunkline-Task: ([0-9a-f]{32})$", body, re.MULTILINE)


def test_a_pull_request_that_holds_the_work_of_several_names_them_all() -> None:
    body = naming.pull_request_body("x", TASK, "claude", "", naming.Footnote(before=OTHERS))
    assert named(body) == [*OTHERS, TASK]
    assert f", after task `{OTHERS[0]}`, task `{OTHERS[1]}`." in body


def test_a_fork_says_what_it_was_forked_off_and_is_told_no_news_of_it() -> None:
    body = naming.pull_request_body("x", TASK, "claude", "", naming.Footnote(fork_of=OTHERS[0]))
    assert named(body) == [TASK]
    assert f", forked off task `{OTHERS[0]}`." in body


def test_whoever_goes_on_is_named_behind_the_others_once() -> None:
    first = naming.pull_request_body("x", OTHERS[0], "claude", "Done.")
    note = naming.went_on(TASK, "codex", naming.Footnote(Usage(input_tokens=1), "http://trunkline.example/tasks/1"))
    both = naming.joined(first, note, TASK)
    assert named(both) == [OTHERS[0], TASK]
    assert f"Continued by `codex` for Trunkline [task `{TASK}`](http://trunkline.example/tasks/1). It cost 1 tokens in." in both
    assert naming.joined(both, note, TASK) == both
    assert naming.joined("", note, TASK) == f"{note}\n\nTrunkline-Task: {TASK}\n", "somebody emptied it"


def test_a_text_without_room_gets_the_trailer_alone_and_one_that_is_full_stays() -> None:
    trailer = f"\n\nTrunkline-Task: {OTHERS[0]}\n"
    nearly, full = "x" * (naming.LONGEST - 150) + trailer, "x" * (naming.LONGEST - 60) + trailer
    assert naming.joined(nearly, "note " * 100, TASK) == f"{nearly}Trunkline-Task: {TASK}\n"
    assert naming.joined(full, "note", TASK) == full

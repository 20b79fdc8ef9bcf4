"""Rules over calls, the question that is put to people, and what their answer means."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from trunkline.contracts.approval import ApprovalDecided, ApprovalWithdrawn, DecidedBy
from trunkline.contracts.approval import Verdict as Decided
from trunkline.contracts.calls import Allowance, Ruling, Scope, ToolRule, call_digest
from trunkline.contracts.run import CallAnswered, CallVerdict, RuleGranted
from trunkline_sandbox.model import Ask, Skill
from trunkline_sandbox.model.asking import MOST_SHOWN, Asked, Asker, answer, call_name, question, told_later
from trunkline_sandbox.model.rules import MOST_INPUT, Judged, Rules, asked_always, fits, literal, malformed, ruling, supervised

ASKER = Asker("claude", Skill(ask=True, rewrite=True, resume=True), attempt=1, sitting=1)


def shell(command: str, id: str = "c1") -> Ask:
    return Ask(id, "Bash", {"command": command}, command)


def edit(path: str) -> Ask:
    return Ask("c1", "Edit", {"file_path": path}, path)


def rule(argument: str, then: Ruling, tool: str = "*", reason: str = "") -> ToolRule:
    return ToolRule(tool=tool, argument=argument, then=then, reason=reason)


def wanted(ask: Ask) -> Asked:
    return Asked(question(ASKER, ask, Judged(Ruling.ASK), dict(ask.input)), 1, ask)


def decided(asked: Asked, verdict: Decided = Decided.APPROVED, **more: Any) -> ApprovalDecided:
    fields = {"decided_by": DecidedBy.HUMAN, "by": "eve", "digest": asked.wanted.digest, **more}
    return ApprovalDecided(approval_id=asked.wanted.approval_id, verdict=verdict, **fields)


def verdict_of(asked: Asked, decision: ApprovalDecided | ApprovalWithdrawn) -> CallAnswered:
    said = answer(asked, decision).facts[0]
    assert isinstance(said, CallAnswered)
    return said


@each(
    ("pattern", "argument", "fitting"),
    [
        ("git status", "git status", True),
        ("git *", "git log --oneline", True),
        ("git *", "git log; rm -rf /", False),
        ("git *", "git log && rm x", False),
        ("git *", "git log | sh", False),
        ("git *", "git log > ~/.bashrc", False),
        ("git *", "git log $(rm x)", False),
        ("git *", "git log `rm x`", False),
        ("git *", "git log\nrm x", False),
        ("git *", "git log\rrm x", False),
        ("git *", "my git log", False),
        ("git log; ls *", "git log; ls a", True),
        ("ls ?.py", "ls a.py", True),
        ("ls ?.py", "ls ab.py", False),
        ("src/*", "src/a/b.py", True),
        ("src/*", "src/../.github/workflows/ci.yml", False),
        ("*", "anything; at | all", True),
    ],
)
def test_a_rule_that_allows_fits_whole_arguments_and_no_other_command(pattern: str, argument: str, fitting: bool) -> None:
    assert fits(rule(pattern, Ruling.ALLOW), shell(argument)) is fitting


@pytest.mark.parametrize("argument", ["git push", "cd x && git push -f", "true;git push", "echo `git push`", "a\ngit push"])
def test_a_rule_that_denies_or_asks_fits_what_holds_it_anywhere(argument: str) -> None:
    assert fits(rule("git push*", Ruling.DENY), shell(argument))
    assert fits(rule("git push*", Ruling.ASK), shell(argument))


@pytest.mark.parametrize("then", [Ruling.DENY, Ruling.ALLOW])
@pytest.mark.parametrize(
    ("pattern", "argument"), [("*curl*|*sh*", "curl | " * 50_000), ("*a*a*a*a*z", "a" * 200_000), ("*secret*", "x" * 400_000)]
)
def test_an_agent_that_chooses_its_argument_does_not_choose_how_long_a_rule_takes(pattern: str, argument: str, then: Ruling) -> None:
    began = time.perf_counter()
    assert not fits(ToolRule(tool="Bash", argument=pattern, then=then), shell(argument))
    assert time.perf_counter() - began < 20, "minutes, unless it grows with the length only"


@given(st.text("ab;*?", min_size=1, max_size=7), st.text("ab;", max_size=9))
def test_stars_and_question_marks_fit_as_they_always_do(pattern: str, argument: str) -> None:
    plain = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert fits(ToolRule(argument=pattern, then=Ruling.DENY), shell(argument)) == bool(re.search(plain, argument) or pattern == "*")
    whole = re.escape(pattern).replace(r"\*", "[^;]*").replace(r"\?", "[^;]")
    assert fits(ToolRule(argument=pattern, then=Ruling.ALLOW), shell(argument)) == bool(re.fullmatch(whole, argument) or pattern == "*")


def test_names_of_tools_fit_as_a_whole() -> None:
    assert fits(rule("*", Ruling.DENY, "mcp__*"), Ask("1", "mcp__db__drop", {}, ""))
    assert not fits(rule("*", Ruling.DENY, "Edit"), Ask("1", "MultiEdit", {}, ""))


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_literal_pattern_fits_its_own_text_and_no_other(text: str, other: str) -> None:
    exactly = rule(literal(text) or "x", Ruling.ALLOW)
    if text and text != "*" and ".." not in text.split("/"):
        assert fits(exactly, shell(text))
        assert fits(exactly, shell(other)) is (text == other)


def test_of_the_installations_rules_and_the_tasks_own_the_stricter_counts() -> None:
    deny, ask, allow = (rule("make*", then) for then in (Ruling.DENY, Ruling.ASK, Ruling.ALLOW))
    call = shell("make")
    assert ruling(call, Rules((deny,)), (ask,), ()).then is Ruling.DENY
    assert ruling(call, Rules((ask,)), (deny,), ()).then is Ruling.DENY
    assert ruling(call, Rules((allow,)), (ask,), ()).then is Ruling.ASK
    assert ruling(call, Rules((ask,)), (allow,), ()).then is Ruling.ASK, "a task allows itself nothing"
    assert ruling(call, Rules(otherwise=Ruling.DENY), (), ()).then is Ruling.DENY


def test_no_rule_of_a_task_weakens_another_of_it_whatever_their_order() -> None:
    ask, deny, allow = rule("*", Ruling.ASK), rule("make*", Ruling.DENY, reason="no"), rule("*", Ruling.ALLOW)
    for own in ((ask, deny), (deny, ask), (allow, ask, deny), (deny, allow)):
        assert ruling(shell("make all"), Rules(), own, ()) == Judged(Ruling.DENY, "no", deny)
    assert ruling(shell("ls"), Rules(), (deny, ask), ()).then is Ruling.ASK


def test_the_first_rule_that_fits_decides() -> None:
    rules = Rules((rule("make test", Ruling.ALLOW), rule("make*", Ruling.ASK)), Ruling.DENY)
    assert [ruling(shell(one), rules, (), ()).then for one in ("make test", "make all", "ls")] == [Ruling.ALLOW, Ruling.ASK, Ruling.DENY]


def test_what_was_granted_answers_a_question_and_lifts_no_denial() -> None:
    granted = (rule("*", Ruling.ALLOW, "Bash"),)
    rules = Rules((rule("git push*", Ruling.DENY), rule("*", Ruling.ASK)))
    assert ruling(shell("ls"), rules, (), granted).then is Ruling.ALLOW
    assert ruling(shell("git push"), rules, (), granted).then is Ruling.DENY


def test_an_input_that_cannot_be_bound_is_denied_and_says_why() -> None:
    huge = Ask("1", "Bash", {"command": "x" * MOST_INPUT}, "x")
    endless = Ask("1", "Bash", {"timeout": float("nan")}, "")
    for ask in (huge, endless):
        judged = ruling(ask, Rules(), (), (rule("*", Ruling.ALLOW),))
        assert (judged.then, judged.reason) == (Ruling.DENY, malformed(ask))


def test_agents_ask_only_where_a_rule_could_say_no() -> None:
    assert not supervised(Rules((rule("*", Ruling.ALLOW),)), (rule("*", Ruling.ALLOW),))
    assert supervised(Rules((rule("*", Ruling.ASK, "Bash"),)), ())
    assert supervised(Rules(), (rule("*", Ruling.DENY),))
    assert asked_always(Rules((rule("a", Ruling.ASK, "Read"), rule("b", Ruling.ALLOW, "Bash"))), (rule("*", Ruling.DENY, "Edit"),)) == (
        "Edit",
        "Read",
    )
    assert asked_always(Rules(otherwise=Ruling.ASK), ()) == ("*",)


def test_the_question_is_bound_to_the_whole_input_however_much_of_it_is_shown() -> None:
    ask = shell("x" * MOST_SHOWN)
    asked = question(ASKER, ask, Judged(Ruling.ASK), {"command": "x" * MOST_SHOWN})
    assert asked.digest == call_digest("Bash", ask.input)
    assert asked.about["cut"] is True
    assert len(asked.model_dump_json()) < 128 << 10
    assert asked.requested_by == "agent:claude"
    assert asked.about["offers"] == ["once", "run", "rewrite"]


def test_each_call_has_an_approval_of_its_own_by_whoever_carries_it() -> None:
    names = {call_name(attempt, sitting, shell("ls", id)) for attempt in (1, 2) for sitting in (1, 2) for id in ("a", "b")}
    assert len(names) == 8
    assert call_name(1, 1, shell("ls", "a")) == call_name(1, 1, shell("other", "a"))


def test_a_yes_lets_exactly_the_call_run_that_was_shown() -> None:
    asked = wanted(shell("make"))
    assert verdict_of(asked, decided(asked)).verdict is CallVerdict.ALLOWED
    assert verdict_of(asked, decided(asked, digest="0" * 64)).verdict is CallVerdict.DENIED
    changed = Asked(asked.wanted, 1, shell("make evil"))
    assert verdict_of(changed, decided(asked)).verdict is CallVerdict.DENIED


def test_another_input_runs_under_its_own_digest_and_only_where_the_agent_takes_it() -> None:
    asked, other = wanted(shell("make")), {"command": "make test"}
    yes = decided(asked, allowance=Allowance(input=other))
    outcome = answer(asked, yes)
    assert outcome.verdict.input == other
    assert verdict_of(asked, yes).digest == call_digest("Bash", other)
    rigid = Asked(asked.wanted, 1, asked.ask, rewrite=False)
    assert verdict_of(rigid, yes).verdict is CallVerdict.DENIED


def test_nobody_in_time_is_not_a_refusal() -> None:
    asked = wanted(shell("make"))
    late = verdict_of(asked, decided(asked, Decided.REJECTED, decided_by=DecidedBy.TIMEOUT, by="timeout"))
    assert (late.verdict, "not a refusal" in late.reason) == (CallVerdict.TIMED_OUT, True)
    refused = verdict_of(asked, decided(asked, Decided.REJECTED, reason="no"))
    assert (refused.verdict, refused.reason) == (CallVerdict.DENIED, "no")
    taken_back = verdict_of(asked, ApprovalWithdrawn(approval_id=asked.wanted.approval_id))
    assert taken_back.verdict is CallVerdict.WITHDRAWN


def test_a_yes_for_the_run_is_a_rule_for_exactly_this_argument_unless_it_names_another() -> None:
    asked = wanted(shell("ls *.py"))
    said = answer(asked, decided(asked, allowance=Allowance(scope=Scope.RUN))).facts
    [granted] = [fact for fact in said if isinstance(fact, RuleGranted)]
    assert fits(granted.rule, shell("ls *.py"))
    assert not fits(granted.rule, shell("ls a.py"))
    wide = Allowance(scope=Scope.RUN, rule=rule("ls *", Ruling.DENY, "Bash"))
    [granted] = [fact for fact in answer(asked, decided(asked, allowance=wide)).facts if isinstance(fact, RuleGranted)]
    assert fits(granted.rule, shell("ls a.py"))
    assert granted.rule.then is Ruling.ALLOW


def test_a_refusal_grants_nothing() -> None:
    asked = wanted(shell("make"))
    assert len(answer(asked, decided(asked, Decided.REJECTED, allowance=Allowance(scope=Scope.RUN))).facts) == 1


def test_an_answer_that_comes_late_is_told_in_words() -> None:
    asked = wanted(shell("make"))
    allowed = verdict_of(asked, decided(asked))
    assert "make exactly the same call again" in told_later("Bash", "make", allowed, None)
    assert json.dumps({"command": "b"}, separators=(",", ":")) in told_later("Bash", "make", allowed, {"command": "b"})
    assert "denied: no" in told_later("Bash", "make", verdict_of(asked, decided(asked, Decided.REJECTED, reason="no")), None)

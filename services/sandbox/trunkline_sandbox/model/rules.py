"""Which calls of an agent are allowed, denied or asked about: pure rules over tools and arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from trunkline.contracts.calls import Ruling, ToolRule, canonical
from trunkline.contracts.errors import Invalid
from trunkline_sandbox.model.conversation import Ask

MOST_INPUT: Final = 1 << 20
_STRICTNESS: Final = (Ruling.ALLOW, Ruling.ASK, Ruling.DENY)
_JOINS: Final = r";&|<>$()`\n\r"
"""What makes one shell command into another; no wildcard of a rule that allows stands for any of it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The installation's rules, in their order, and what becomes of calls that none of them fits."""

    rules: tuple[ToolRule, ...] = ()
    otherwise: Ruling = Ruling.ALLOW


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of one call, and by which rule."""

    then: Ruling
    reason: str = ""
    rule: ToolRule | None = None


def supervised(rules: Rules, own: Sequence[ToolRule]) -> bool:
    """Whether any call might be asked about or denied; else agents need not ask, which costs nothing."""
    return rules.otherwise is not Ruling.ALLOW or any(rule.then is not Ruling.ALLOW for rule in (*rules.rules, *own))


def asked_always(rules: Rules, own: Sequence[ToolRule]) -> tuple[str, ...]:
    """Patterns of tools that must ask, even those that an agent thinks harmless."""
    if rules.otherwise is not Ruling.ALLOW:
        return ("*",)
    return tuple(dict.fromkeys(rule.tool for rule in (*own, *rules.rules) if rule.then is not Ruling.ALLOW))


def ruling(ask: Ask, rules: Rules, own: Sequence[ToolRule], granted: Sequence[ToolRule]) -> Judged:
    """The first of the installation's rules that fits decides, unless one of the task's own is stricter; of those the strictest counts,
    so that none of them weakens another, and what they allow is nothing. What is granted answers a question, and never lifts a denial."""
    if problem := malformed(ask):
        return Judged(Ruling.DENY, problem)
    ours = _first(rules.rules, ask) or Judged(rules.otherwise)
    theirs = (Judged(rule.then, rule.reason, rule) for rule in own if rule.then is not Ruling.ALLOW and fits(rule, ask))
    judged = max((*theirs, ours), key=lambda each: _STRICTNESS.index(each.then))
    if judged.then is Ruling.ASK and (allowed := _first(granted, ask)):
        return allowed
    return judged


def malformed(ask: Ask) -> str:
    """Why this input can be neither shown nor bound; empty when it can."""
    try:
        size = len(canonical(ask.input).encode("utf-8", "backslashreplace"))
    except Invalid as error:
        return error.message
    return f"the input of this call is larger than {MOST_INPUT:,} bytes; ask for less at once" if size > MOST_INPUT else ""


def _first(rules: Sequence[ToolRule], ask: Ask) -> Judged | None:
    return next((Judged(rule.then, rule.reason, rule) for rule in rules if fits(rule, ask)), None)


def fits(rule: ToolRule, ask: Ask) -> bool:
    """A rule that allows fits the whole argument; one that asks or denies fits what holds it anywhere."""
    if not _pattern(rule.tool, ".", anywhere=False).match(ask.tool):
        return False
    if rule.argument == "*":
        return True
    if rule.then is not Ruling.ALLOW:
        return _pattern(rule.argument, ".", anywhere=True).match(ask.argument) is not None
    climbs = ".." in ask.argument.split("/") and ("*" in rule.argument or "?" in rule.argument)
    return not climbs and _pattern(rule.argument, f"[^{_JOINS}]", anywhere=False).match(ask.argument) is not None


@lru_cache(maxsize=1024)
def _pattern(text: str, one: str, *, anywhere: bool) -> re.Pattern[str]:
    """`*` and `?` as wildcards for what `one` stands for; a backslash before one of them, or before itself, takes it as it is.

    Each piece between two stars is found once and never looked for again: the agent chooses the text, and must not choose the time.
    """
    first, *others = _pieces(text, one)
    if anywhere:
        return re.compile("".join(f"(?>.*?{piece})" for piece in (first, *others) if piece), re.DOTALL)
    if not others:
        return re.compile(rf"{first}\Z", re.DOTALL)
    *middle, last = others
    return re.compile(first + "".join(f"(?>{one}*?{piece})" for piece in middle if piece) + rf"{one}*{last}\Z", re.DOTALL)


def _pieces(text: str, one: str) -> list[str]:
    """What stands between the stars, as expressions."""
    words = {"?": one, r"\*": r"\*", r"\?": r"\?", r"\\": r"\\"}
    pieces = [""]
    for part in re.findall(r"\\[*?\\]|[*?]|[^*?\\]+|\\", text):
        if part == "*":
            pieces.append("")
        else:
            pieces[-1] += words.get(part) or re.escape(part)
    return pieces


def literal(text: str) -> str:
    """A pattern that fits exactly this text."""
    return re.sub(r"([*?\\])", r"\\\1", text)

"""What a caller demands of its own task: rules on top of the installation's, and a budget below it; nothing ever becomes looser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.contracts.calls import ToolRule
from trunkline.contracts.errors import Invalid
from trunkline.contracts.task import Assignment
from trunkline_gateway.usecases import struck

MOST_RULES: Final = 100
"""Of one task, with what it took over from the one that it goes on from."""
LEAST_USD: Final = 0.000_001
"""What costs are counted in."""
MOST_USD: Final = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Terms:
    """`budget_usd` in US dollars; None takes the installation's."""

    rules: tuple[ToolRule, ...] = ()
    budget_usd: float | None = None


NONE: Final = Terms()


def under(assignment: Assignment, terms: Terms) -> Assignment:
    """The assignment with the terms on top of its own: all rules of both, and the smaller budget. Raises Invalid."""
    if terms is NONE or terms == NONE:
        return assignment
    rules = tuple(dict.fromkeys((*assignment.tool_rules, *terms.rules)))
    if len(rules) > MOST_RULES:
        raise Invalid(f"a task may have {MOST_RULES} rules at most, those that it took over included", code="TOO_MANY_RULES")
    if any(struck.text(text) != text for rule in terms.rules for text in (rule.tool, rule.argument, rule.reason)):
        raise Invalid("a rule holds what looks like a secret; name what it stands in instead", code="SECRET_IN_RULE")
    budgets = [usd for usd in (assignment.budget_usd, terms.budget_usd) if usd is not None]
    return assignment.model_copy(update={"tool_rules": rules, "budget_usd": min(budgets, default=None)})

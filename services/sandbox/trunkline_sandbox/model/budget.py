"""What a task has cost, what it may cost, and which limit is used up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from trunkline.contracts.run import Usage
from trunkline.contracts.spend import MICRO, ModelAnswered, counted, micro, newest_model


class BudgetScope(StrEnum):
    """Whose spending a limit bounds."""

    TASK = "task"
    DAY = "tenant_day"


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """US dollars; 0 is any amount."""

    task_usd: float = 0.0
    """For all attempts of one task together."""
    tenant_day_usd: float = 0.0
    """For all tasks of its tenant in one day (UTC)."""

    def of(self, scope: BudgetScope) -> float:
        return self.task_usd if scope is BudgetScope.TASK else self.tenant_day_usd

    def raised(self, scope: BudgetScope, usd: float) -> BudgetLimits:
        """A scope without a limit stays without one."""
        if not self.of(scope):
            return self
        if scope is BudgetScope.TASK:
            return replace(self, task_usd=self.task_usd + usd)
        return replace(self, tenant_day_usd=self.tenant_day_usd + usd)


@dataclass(frozen=True, slots=True)
class Totals:
    """What the answers of models came to."""

    answers: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    """Part of the input."""
    output_tokens: int = 0
    micro_usd: int = 0
    unpriced: int = 0
    """Answers of models whose own price is not known: what they cost is a guess on the high side."""
    estimated: int = 0
    """Answers whose tokens nobody told."""
    model: str | None = None
    """The last that answered."""

    @property
    def usd(self) -> float:
        return self.micro_usd / MICRO

    @property
    def usage(self) -> Usage:
        return counted(self.model, (self.input_tokens, self.output_tokens), self.usd, priced=not self.unpriced)

    def plus(self, answer: ModelAnswered) -> Totals:
        return Totals(
            answers=self.answers + 1,
            input_tokens=self.input_tokens + answer.input_tokens,
            cached_tokens=self.cached_tokens + answer.cached_tokens,
            output_tokens=self.output_tokens + answer.output_tokens,
            micro_usd=self.micro_usd + micro(answer.usd),
            unpriced=self.unpriced + (not answer.priced),
            estimated=self.estimated + answer.estimated,
            model=newest_model(answer, self.model),
        )


@dataclass(frozen=True, slots=True)
class UsedUp:
    """The limit that holds a job back. US dollars."""

    scope: BudgetScope
    limit: float
    """As it stands now, with what was added to it."""
    spent: float


def used_up(limits: BudgetLimits, totals: Totals, day_micro_usd: int) -> UsedUp | None:
    """The task's own limit is named before that of the day. A limit is used up once it is reached."""
    spent = {BudgetScope.TASK: totals.micro_usd, BudgetScope.DAY: day_micro_usd}
    for scope, micro_usd in spent.items():
        limit = limits.of(scope)
        if limit and micro_usd >= micro(limit):
            return UsedUp(scope, limit, micro_usd / MICRO)
    return None


def dollars(usd: float) -> str:
    """As people are told it: cents, and more places where there are only those."""
    return f"{usd:.2f}" if usd >= 1 else f"{usd:.4f}" if usd >= 0.01 else f"{usd:.6f}"


def lower(asked: float | None, configured: float) -> float:
    """The limit of a task that asked for its own: a caller may lower what is configured, and set one where none is."""
    if not asked or not configured:
        return asked or configured
    return min(asked, configured)

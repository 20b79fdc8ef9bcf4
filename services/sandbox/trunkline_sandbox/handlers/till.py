"""What one job's models cost: every answer is written down and added up, and requests wait while a budget is used up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from trunkline.bus import BusAway, Counters, Log, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.errors import Exhausted
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Record
from trunkline.contracts.spend import ModelAnswered, micro
from trunkline_sandbox.model.budget import BudgetLimits, BudgetScope, Totals, UsedUp, dollars, used_up

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0
"""How old the day's total may be at most when a request is let in: others of the tenant spend too."""
LOOK_WITHIN_S: Final = 1.0
IN_DOUBT: Final = 32
"""As many answers as one job may have on the way at once, at both APIs together."""
ON_THE_WAY: Final = timedelta(minutes=1)
"""Longer than writing down and adding up an answer is tried."""
REPEATED: Final = timedelta(minutes=45)
"""Less than a counter remembers what was added to it: an older answer would be added a second time."""
_USD, _INPUT, _OUTPUT = "usd", "in", "out"


class SpendLog:
    """The part `spend` of one task, as one sitting of one attempt writes it."""

    def __init__(self, log: Log, item: WorkItem, now: Callable[[], datetime], sitting: int = 1) -> None:
        self.tenant = TenantId(item.tenant)
        self._log = log
        self._attempt = item.attempt
        self._sitting = sitting
        self._now = now
        self._subject = subjects.event(self.tenant, TaskId(item.task), subjects.SPEND)

    async def load(self) -> list[tuple[datetime, ModelAnswered]]:
        """Every answer of all attempts so far. Raises BusAway."""
        records = [stored.record for stored in (await self._log.load(self._subject)).records]
        return [(record.at, fact) for record in records for fact in record.facts if isinstance(fact, ModelAnswered)]

    async def say(self, answer: ModelAnswered) -> datetime:
        """Store one answer; the same request again stores nothing. Returns the moment it is booked at. Raises Unavailable."""
        at = self._now()
        told = answer.model_copy(update={"attempt": self._attempt, "sitting": self._sitting})
        await self._log.say(self._subject, Record(at=at, cause="model", facts=(told,)), id=answer.request)
        return at

    def in_doubt(self, answers: list[tuple[datetime, ModelAnswered]]) -> list[tuple[datetime, ModelAnswered]]:
        """Those that somebody else may have written down without adding them up; adding them up again is known for a repeat."""
        newest = max((at for at, _ in answers), default=self._now())
        since = max(newest - ON_THE_WAY, self._now() - REPEATED)
        return [(at, answer) for at, answer in answers[-IN_DOUBT:] if at > since]

    def today(self) -> str:
        return day_of(self._now())


class TaskTill:
    """The port Till for one sitting. Limits are looked at before a request: those on the way at once may overshoot them.

    `used_up` is set while a limit holds requests back. `raised` holds by how much people raised the budget of a day.
    """

    def __init__(
        self, spend: SpendLog, counters: Counters, limits: BudgetLimits, used_up: asyncio.Event, raised: Mapping[str, float] | None = None
    ) -> None:
        self.totals = Totals()
        self.what: UsedUp | None = None
        """Which limit holds requests back now."""
        self._spend = spend
        self._counters = counters
        self._first = self._limits = limits
        self._raised = dict(raised or {})
        self._used_up = used_up
        self._moved = asyncio.Event()
        self._ended = False
        self._day_micro = 0
        self._on_the_way_micro = 0
        """Spent here and not yet known to be in the tenant's counter."""
        self._looked = -LOOK_S

    async def open(self) -> None:
        """Take up what was spent before, in this attempt and in earlier ones. Raises BusAway."""
        answers = await self._spend.load()
        for _, answer in answers:
            self.totals = self.totals.plus(answer)
        try:
            async with asyncio.TaskGroup() as group:
                for at, answer in self._spend.in_doubt(answers):
                    group.create_task(self._count(answer, at))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def admit(self) -> None:
        """Returns when the job may ask its model; waits while its budget is used up. Raises Exhausted once the till has ended."""
        while True:
            if self._ended:
                raise _refused(self.what)
            await self._look_at_the_day()
            if self._judge() is None:
                return
            await self._moved.wait()

    async def spent(self, answer: ModelAnswered) -> None:
        """Add up and write down. Raises Unavailable when the bus does not store it; the totals of this sitting hold it even so."""
        self.totals = self.totals.plus(answer)
        self._on_the_way_micro += micro(answer.usd)
        told = answer.model_copy(update={"limit_usd": self._limits.task_usd or None})
        await self._count(answer, await self._spend.say(told))
        self._on_the_way_micro -= micro(answer.usd)

    def raise_(self, usd: float, scope: BudgetScope | None = None, day: str = "") -> None:
        """Let more be spent: of the limit that holds requests back, where `scope` names no other; of `day`, or of today."""
        named = scope or (self.what.scope if self.what else None) or (BudgetScope.TASK if self._limits.task_usd else BudgetScope.DAY)
        if named is BudgetScope.DAY:
            day = day or self._spend.today()
            self._raised[day] = self._raised.get(day, 0.0) + usd
        else:
            self._limits = self._limits.raised(named, usd)
        self._judge()
        self._wake()

    def again(self) -> float:
        """US dollars that are added where nobody names an amount: as many as the limit had at first."""
        return self._first.of(self.what.scope if self.what else BudgetScope.TASK)

    def begin_day(self) -> None:
        """What was spent on an earlier day holds nothing back any more; what is spent today is looked at anew."""
        self._day_micro, self._looked = 0, -LOOK_S
        self._judge()
        self._wake()

    def end(self) -> None:
        """Nothing more is let in; what waits is refused."""
        self._ended = True
        self._wake()

    def _judge(self) -> UsedUp | None:
        limits = self._limits.raised(BudgetScope.DAY, self._raised.get(self._spend.today(), 0.0))
        self.what = used_up(limits, self.totals, self._day_micro + self._on_the_way_micro)
        if self.what is None and self._used_up.is_set():
            self._used_up.clear()
            self._wake()
        elif self.what is not None and not self._used_up.is_set():
            log.info("budget.used_up", scope=self.what.scope, limit=self.what.limit, spent=self.what.spent)
            self._used_up.set()
        return self.what

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _look_at_the_day(self) -> None:
        """What the tenant spent today may be known a second ago; while the bus is away, what was known last counts."""
        if not self._limits.tenant_day_usd or time.monotonic() - self._looked < LOOK_S:
            return
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                self._day_micro = await self._counters.total(self._spend.tenant, self._spend.today(), _USD)
            self._looked = time.monotonic()
        except (BusAway, TimeoutError) as error:
            log.warning("budget.day_unknown", error=type(error).__name__)

    async def _count(self, answer: ModelAnswered, at: datetime) -> None:
        amounts = {_USD: micro(answer.usd), _INPUT: answer.input_tokens, _OUTPUT: answer.output_tokens}
        for what, amount in amounts.items():
            if amount:
                total = await self._counters.add(self._spend.tenant, day_of(at), what, amount, id=f"{answer.request}:{what}")
                if what == _USD and day_of(at) == self._spend.today():
                    self._day_micro = max(self._day_micro, total)


def day_of(at: datetime) -> str:
    """As yyyymmdd; `at` is UTC."""
    return f"{at:%Y%m%d}"


def _refused(what: UsedUp | None) -> Exhausted:
    spent = f"{dollars(what.spent)} of {dollars(what.limit)} US dollars ({what.scope})" if what else "what it may"
    return Exhausted(f"this job spent {spent} on its models, and nobody let it spend more", code="BUDGET")

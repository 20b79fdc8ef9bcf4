"""Any order of asking, deciding, expiring, escalating and withdrawing keeps the promises, checked against a small model of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import JsonValue

from tests.campaigns import tries
from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalOverdue,
    ApprovalPolicy,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
    DecideApproval,
    DecidedBy,
    FourEyes,
    OnExpiry,
    RequestApproval,
    Stage,
    Verdict,
)
from trunkline.contracts.calls import Allowance, Ruling, Scope, ToolRule
from trunkline.contracts.errors import DomainError
from trunkline.contracts.message import Fact
from trunkline_approvals.model import (
    Approval,
    Ask,
    Cue,
    ExpireApproval,
    Rule,
    State,
    TimeUp,
    Withdraw,
    decide,
    evolve,
    expiry,
    next_wake,
)

START = datetime(2026, 5, 1, tzinfo=UTC)
ROLES = {"ann": "approver", "bob": "approver", "cid": "agent", "root": "admin", "zoe": "user"}
PEOPLE = some.sampled_from(sorted(ROLES))
DIGESTS = some.sampled_from(["a" * 64, "a" * 64, "a" * 64, "b" * 64])
RULE = ToolRule(tool="Bash", argument="make *", then=Ruling.ALLOW)
ALLOWANCES = some.sampled_from(
    [*[None] * 5, Allowance(), Allowance(scope=Scope.RUN), Allowance(scope=Scope.RUN), Allowance(scope=Scope.RUN, rule=RULE),
     Allowance(input={"command": "ls"}), Allowance(usd=2.0)]
)  # fmt: skip
NEEDS = {None: "", "run": "run", "rule": "run", "input": "rewrite", "usd": "usd"}
STAGES = some.builds(
    Stage,
    roles=some.sampled_from([("admin", "agent", "approver"), ("approver",), ("admin",), ("agent",)]),
    names=some.sampled_from([(), ("zoe",), ("ann", "zoe")]),
    quorum=some.sampled_from([1, 2, 3, 3]),
    expires_s=some.sampled_from([5.0, 9.0, None]),
)
POLICIES = some.builds(
    ApprovalPolicy,
    first=STAGES,
    veto=some.booleans(),
    four_eyes=some.sampled_from(FourEyes),
    on_expiry=some.sampled_from([*OnExpiry, OnExpiry.ESCALATE, OnExpiry.ESCALATE]),
    escalation=some.sampled_from([0, 1, 1, 2]).flatmap(lambda size: some.lists(STAGES, min_size=size, max_size=size)).map(tuple),
)


@dataclass
class Small:
    """The rules once more, as a person would tell them who has never seen the code."""

    policy: ApprovalPolicy
    digest: str = ""
    requester: str = ""
    stage: int = 0
    deadline: datetime | None = None
    words: dict[str, tuple[str, Verdict, str | None]] = field(default_factory=dict)
    """Who said what, by person, with the id of the wish, and what their yes was meant to hold."""
    offers: tuple[str, ...] = ()
    end: str = ""
    """approved, rejected, withdrawn."""
    never: bool = False

    def chain(self) -> list[Stage]:
        return [self.policy.first, *(self.policy.escalation if self.policy.on_expiry == "escalate" else ())]

    def may(self, who: str) -> bool:
        if who == self.requester and self.policy.four_eyes != "off" and not (self.policy.four_eyes == "on" and ROLES[who] == "admin"):
            return False
        return any(ROLES[who] in stage.roles or who in stage.names for stage in self.chain()[: self.stage + 1])

    def hears(self, who: str, word: tuple[str, Verdict, str | None], digest: str | None, now: datetime) -> bool:
        """Whether the word is taken, and what comes of it."""
        _, verdict, meaning = word
        if not self.digest or digest not in (None, self.digest):
            return False
        if self.words.get(who) == word:
            return True
        closes = self.policy.on_expiry in ("reject", "approve") or (
            self.policy.on_expiry == "escalate" and self.stage + 1 == len(self.chain())
        )
        late = self.deadline is not None and now >= self.deadline and closes
        if not self.may(who) or self.end or late or who in self.words:
            return False
        if meaning and (verdict == "rejected" or NEEDS[meaning] not in self.offers):
            return False
        if verdict == "approved" and any(said == "approved" and other != meaning for _, said, other in self.words.values()):
            return False
        self.words[who] = word
        agree = [one for one, (_, said, _) in self.words.items() if said is verdict]
        own = [stage.quorum for stage in self.chain()[: self.stage + 1] if ROLES[who] in stage.roles or who in stage.names]
        if len(agree) >= max(own[-1], self.chain()[self.stage].quorum) or (verdict == "rejected" and self.policy.veto):
            self.end = str(verdict)
        return True

    def clock(self, stage: int, at: datetime, now: datetime) -> None:
        if self.end or stage != self.stage or self.deadline is None or at < self.deadline or self.policy.on_expiry == "hold":
            return
        if self.stage + 1 < len(self.chain()):
            self.stage += 1
            seconds = self.chain()[self.stage].expires_s
            self.deadline = now + timedelta(seconds=seconds) if seconds else None
        else:
            self.end = "approved" if self.policy.on_expiry == "approve" else "rejected"


def meaning(allowance: Allowance | None) -> str | None:
    """In a word, what a yes holds beyond yes."""
    said = {} if allowance is None else allowance.model_dump(exclude_defaults=True)
    return next((word for word in ("rule", "input", "usd") if word in said), "run" if "scope" in said else None)


class AnApproval(RuleBasedStateMachine):
    """The model's facts, the small model, and timers that come once, twice, late, or for something that was never stored."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.facts: list[Fact] = []
        self.timers: list[ExpireApproval] = []

    @initialize(
        policy=POLICIES,
        by=PEOPLE,
        how=some.sampled_from(["asked", "asked", "asked", "lost first", "later", "forestalled"]),
        offers=some.sampled_from([(), ("once", "run"), ("once", "run", "rewrite"), ("usd",)]),
    )
    def begin(self, policy: ApprovalPolicy, by: str, how: str, offers: tuple[str, ...]) -> None:
        self.small = Small(policy, offers=offers)
        if how == "forestalled":
            self.end()
        if how == "lost first":
            self.ask("a" * 64, by, lost=True)
            self.now += timedelta(seconds=3)
        if how != "later":
            self.ask("a" * 64, by, lost=False)

    def state(self) -> State | None:
        state: State | None = None
        for fact in self.facts:
            state = evolve(state, fact)
        return state

    def votes(self) -> list[ApprovalVoted]:
        return [fact for fact in self.facts if isinstance(fact, ApprovalVoted)]

    def decisions(self) -> list[ApprovalDecided]:
        return [fact for fact in self.facts if isinstance(fact, ApprovalDecided)]

    def tell(self, cue: Cue) -> bool:
        """Whether the cue was taken; what follows from it is kept."""
        try:
            self.facts += decide(self.state(), cue)
        except DomainError:
            return False
        return True

    @rule(seconds=some.integers(1, 9))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(digest=DIGESTS, by=PEOPLE, lost=some.booleans())
    def somebody_asks(self, digest: str, by: str, lost: bool) -> None:
        self.ask(digest, by, lost)

    def ask(self, digest: str, by: str, lost: bool) -> None:
        """`lost`: the service dies between the timer and the fact."""
        about: dict[str, JsonValue] = {"tool": "Bash", "offers": list(self.small.offers)}
        request = RequestApproval(
            tenant="acme", at=self.now, approval_id="a", task_id="t", subject="?", digest=digest, requested_by=by, about=about
        )
        cue = Ask(request, Rule(self.small.policy))
        moment = expiry(cue.rule, request)
        if moment and self.state() is None:
            self.timers.append(ExpireApproval(tenant="acme", at=moment, approval_id="a", task_id="t"))
        if lost:
            return
        taken = self.tell(cue)
        if not self.small.digest and not self.small.never:
            self.small.digest, self.small.requester, self.small.deadline = digest, by, moment
        assert taken == (self.small.never or self.small.digest == digest)

    @rule(
        digest=some.one_of(some.none(), DIGESTS),
        who=PEOPLE,
        said=some.tuples(some.sampled_from("xy"), some.sampled_from(Verdict)),
        allowance=ALLOWANCES,
    )
    def somebody_decides(self, digest: str | None, who: str, said: tuple[str, Verdict], allowance: Allowance | None) -> None:
        wish, verdict = said
        command = DecideApproval(
            tenant="acme",
            at=self.now,
            approval_id="a",
            task_id="t",
            decision_id=wish,
            verdict=verdict,
            digest=digest,
            by=who,
            role=ROLES[who],
            allowance=allowance,
        )
        before, word = len(self.facts), (wish, verdict, meaning(allowance))
        again = self.small.words.get(who) == word and digest in (None, self.small.digest)
        assert self.tell(command) == self.small.hears(who, word, digest, self.now)
        assert not again or len(self.facts) == before, "a repeat wrote something"

    @precondition(lambda self: any(timer.at <= self.now for timer in self.timers))
    @rule(data=some.data(), again=some.booleans(), lost=some.booleans())
    def a_timer_fires(self, data: some.DataObject, again: bool, lost: bool) -> None:
        """`again`: it is delivered a second time, later. `lost`: the service dies before the fact; then it is certainly delivered again."""
        wake = data.draw(some.sampled_from([timer for timer in self.timers if timer.at <= self.now]))
        cue, state = TimeUp(wake, self.now), self.state()
        if isinstance(state, Approval) and (following := next_wake(state, cue)):
            self.timers.append(following)
        if lost:
            return
        if self.tell(cue) and not again:
            self.timers.remove(wake)
        self.small.clock(wake.stage, wake.at, self.now)

    @precondition(lambda self: self.now > START + timedelta(seconds=30))
    @rule()
    def its_task_ends(self) -> None:
        self.end()

    def end(self) -> None:
        assert self.tell(Withdraw("acme", "t", "a", "over"))
        self.small.never = self.small.never or not self.small.digest
        self.small.end = self.small.end or "withdrawn"

    @invariant()
    def it_stands_as_the_small_model_says(self) -> None:
        state = self.state()
        if isinstance(state, Approval):
            assert (state.status, state.stage, state.expires_at) == (self.small.end or "pending", self.small.stage, self.small.deadline)

    @invariant()
    def it_ends_once_and_nothing_follows(self) -> None:
        ends = [number for number, fact in enumerate(self.facts) if isinstance(fact, (ApprovalDecided, ApprovalWithdrawn))]
        assert ends in ([], [len(self.facts) - 1])
        assert sum(isinstance(fact, ApprovalRequested) for fact in self.facts) <= 1
        assert sum(isinstance(fact, ApprovalOverdue) for fact in self.facts) <= 1

    @invariant()
    def nobody_speaks_twice_and_the_quorum_was_met_by_different_people(self) -> None:
        said, human = self.votes(), [fact for fact in self.decisions() if fact.decided_by is DecidedBy.HUMAN]
        people = [fact.by for fact in said] + [fact.by for fact in human]
        assert len(people) == len(set(people))
        for decision in human:
            agree = {decision.by, *(fact.by for fact in said if fact.verdict is decision.verdict)}
            vetoed = decision.verdict is Verdict.REJECTED and self.small.policy.veto
            assert vetoed or len(agree) >= self.small.chain()[self.small.stage].quorum

    @invariant()
    def whoever_asked_is_never_alone(self) -> None:
        who = self.small.requester
        roles = [vote.role for vote in self.votes() if vote.by == who] + [end.role for end in self.decisions() if end.by == who]
        rule = self.small.policy.four_eyes
        assert rule is FourEyes.OFF or all(rule is FourEyes.ON and role == "admin" for role in roles)

    @invariant()
    def what_was_decided_is_what_was_asked(self) -> None:
        assert all(fact.digest == self.small.digest for fact in self.decisions())
        assert all((fact.decided_by is DecidedBy.TIMEOUT) == (fact.by == "timeout") for fact in self.decisions())

    @invariant()
    def a_yes_holds_what_everybody_who_agreed_meant_and_nothing_else(self) -> None:
        for decision in self.decisions():
            agreed = [fact.allowance for fact in self.votes() if fact.verdict is decision.verdict]
            if decision.decided_by is not DecidedBy.HUMAN or decision.verdict is Verdict.REJECTED:
                assert decision.allowance is None
            else:
                assert all(allowance == decision.allowance for allowance in agreed)
                assert NEEDS[meaning(decision.allowance)] in ("", *self.small.offers)

    @invariant()
    def nothing_waits_for_ever_that_has_an_end(self) -> None:
        state = self.state()
        if isinstance(state, Approval) and not state.end and not state.overdue and (end := state.expires_at):
            assert any(timer.stage == state.stage and timer.at >= end for timer in self.timers)


AnApproval.TestCase.settings = settings(max_examples=tries(60, 5000), stateful_step_count=40, deadline=None)
test_any_story = AnApproval.TestCase

"""A named sandbox, told in sentences, and against a machine that means the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.campaigns import tries
from trunkline.contracts.errors import Conflict, DomainError, NotFound
from trunkline.contracts.message import Fact, UnknownFact
from trunkline.contracts.sandbox import (
    SandboxBroke,
    SandboxDeleteWanted,
    SandboxFound,
    SandboxIsDeleted,
    SandboxIsReady,
    SandboxIsStopped,
    SandboxMade,
    SandboxStartWanted,
    SandboxStatus,
    SandboxStopWanted,
    SandboxTerms,
    SandboxTouched,
    SandboxUsed,
    SandboxWanted,
    Why,
)
from trunkline_sandbox.handlers import named_places
from trunkline_sandbox.model import preferred
from trunkline_sandbox.model.named import Effect, Named, Phase, evolve, next_effect, view
from trunkline_sandbox.model.named_cues import (
    Claim,
    Count,
    Cue,
    Delete,
    Done,
    Failed,
    Lost,
    Made,
    Rung,
    Seen,
    Start,
    State,
    Stop,
    Touch,
    Want,
)
from trunkline_sandbox.model.named_deciding import COUNT_S, Decide
from trunkline_sandbox.model.preferred import Prefer

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
WANTED = SandboxWanted(user="ann", provider="cloud", terms=SandboxTerms(ttl_s=3600, idle_s=600), by="key")
decide = Decide({"cloud": 3.6})


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class Told:
    """A sandbox as it is told of one cue after the other, each so many seconds after the beginning."""

    def __init__(self, *cues: tuple[float, Cue]) -> None:
        self.named: Named | None = None
        self.facts: tuple[Fact, ...] = ()
        for seconds, cue in ((0, Want(WANTED)), *cues):
            self.tell(seconds, cue)

    def tell(self, seconds: float, cue: Cue) -> tuple[Fact, ...]:
        self.facts = decide(self.named, cue)
        for fact in self.facts:
            self.named = evolve(self.named, fact, later(seconds))
        return self.facts

    @property
    def there(self) -> Named:
        assert self.named is not None
        return self.named


def made(at: float = 1) -> tuple[float, Cue]:
    return at, Done(Effect.MAKE, later(at))


def test_a_sandbox_is_made_until_it_is_ready() -> None:
    told = Told()
    assert next_effect(told.there) is Effect.MAKE and told.there.status is SandboxStatus.CREATING
    assert told.tell(0, Want(WANTED)) == ()
    told.tell(1, Made("m1", "a wall"))
    assert told.tell(1, Made("m1", "a wall")) == ()
    assert told.tell(1, Made("m1", "a wall", "omni-1")) == (SandboxMade(ref="m1", isolation="a wall", image="omni-1"),)
    assert told.tell(*made()) == (SandboxIsReady(),)
    shown = view("sbx-1", told.there)
    assert (shown.status, shown.isolation, shown.ready_at, shown.expires_at) == ("ready", "a wall", later(1), later(3600))
    assert (shown.image, shown.idle_at) == ("omni-1", later(601))


def test_one_that_is_ready_as_soon_as_it_is_made_says_both_at_once() -> None:
    told = Told()
    assert told.tell(1, Made("m1", "a wall", ready=True)) == (SandboxMade(ref="m1", isolation="a wall"), SandboxIsReady())
    assert told.tell(*made()) == () and told.tell(2, Made("m1", "a wall", ready=True)) == ()
    assert (told.there.phase, told.there.ready_at) == (Phase.READY, later(1))


def test_what_stops_and_starts_it_is_written_once() -> None:
    told = Told(made())
    assert told.tell(11, Stop(later(11))) == (SandboxStopWanted(why=Why.ASKED),)
    assert told.tell(11, Stop(later(11))) == ()
    assert told.tell(12, Start()) == (SandboxStartWanted(),)
    assert told.tell(12, Start()) == () and told.there.status is SandboxStatus.CREATING
    assert told.tell(21, Done(Effect.STOP, later(21))) == (SandboxUsed(seconds=20, cost_usd=0.02), SandboxIsStopped())
    assert next_effect(told.there) is Effect.START
    assert told.tell(31, Done(Effect.START, later(31))) == (SandboxIsReady(),)
    assert told.there.used_s == 20 and told.there.cost_usd == pytest.approx(0.02)


def test_use_is_counted_now_and_then_and_never_twice() -> None:
    told = Told(made(0))
    assert told.tell(COUNT_S - 1, Count(later(COUNT_S - 1))) == ()
    assert told.tell(COUNT_S, Count(later(COUNT_S))) == (SandboxUsed(seconds=COUNT_S, cost_usd=0.9),)
    assert told.tell(COUNT_S, Count(later(COUNT_S))) == ()


def test_time_to_live_and_idleness_are_the_facts_word_and_not_the_clocks() -> None:
    told = Told(made(0))
    assert told.tell(599, Rung(later(599))) == ()
    told.tell(500, Touch(later(500)))
    assert told.tell(510, Touch(later(510))) == ()
    assert told.tell(600, Rung(later(600))) == () and told.there.next_due == later(1100)
    assert told.tell(1100, Rung(later(1100))) == (SandboxStopWanted(why=Why.IDLE),)
    assert told.there.next_due == later(3600)
    assert told.tell(3600, Rung(later(3600))) == (SandboxDeleteWanted(why=Why.TTL),)
    assert told.there.next_due is None


def test_one_that_may_be_idle_for_seconds_only_is_touched_more_often() -> None:
    told = Told(made(0))
    told.named = replace(told.there, wanted=WANTED.model_copy(update={"terms": SandboxTerms(idle_s=4)}))
    assert told.tell(0.4, Touch(later(0.4))) == ()
    assert told.tell(1, Touch(later(1))) == (SandboxTouched(),)
    assert told.tell(4.5, Rung(later(4.5))) == ()


def test_what_was_never_made_is_cleaned_up_and_cannot_be_started() -> None:
    told = Told((1, Failed(Effect.MAKE, later(1), "PROVIDER_TIMEOUT", "too late")))
    assert told.there.status is SandboxStatus.ERROR and next_effect(told.there) is Effect.CLEAN
    with pytest.raises(Conflict):
        told.tell(2, Start())


def test_a_failed_start_keeps_the_files_and_may_be_tried_again() -> None:
    told = Told(made(), (2, Stop(later(2))), (3, Done(Effect.STOP, later(3))), (4, Start()))
    told.tell(5, Failed(Effect.START, later(5), "SANDBOX_RESTART_FAILED", "it did not start"))
    assert next_effect(told.there) is None and view("s", told.there).code == "SANDBOX_RESTART_FAILED"
    assert told.tell(6, Start()) == (SandboxStartWanted(),)


@pytest.mark.parametrize(("state", "facts"), [
    ("gone", (SandboxUsed(seconds=9, cost_usd=0.009), SandboxBroke(code="SANDBOX_VANISHED", error="the provider has it no more"))),
    ("error", (SandboxUsed(seconds=9, cost_usd=0.009), SandboxBroke(code="SANDBOX_ERROR", error="the provider says that it is in error"))),
    ("stopped", (SandboxUsed(seconds=9, cost_usd=0.009), SandboxFound(state="stopped"))),
    ("ready", ()),
    ("creating", ()),
])  # fmt: skip
def test_the_provider_is_believed(state: State, facts: tuple[Fact, ...]) -> None:
    told = Told(made())
    assert told.tell(1, Seen(state, later(1))) == (), "a look from before it was ready says nothing"
    assert told.tell(10, Seen(state, later(10))) == facts
    assert told.tell(11, Seen(state, later(11))) == ()


AT_A_SITE = (1.0, Made("m1", "none", ready=True, site="here"))


@pytest.mark.parametrize("cues", [(), ((2, Stop(later(2))),), ((2, Stop(later(2))), (3, Done(Effect.STOP, later(3)))), ((2, Start()),)])
def test_what_a_silent_site_keeps_is_in_error_until_it_speaks_again(cues: tuple[tuple[float, Cue], ...]) -> None:
    sandbox = Told(AT_A_SITE, *cues)
    *counted, broke = sandbox.tell(900, Lost(later(900), 900))
    assert isinstance(broke, SandboxBroke) and broke.code == "SANDBOX_SITE_LOST" and "15 minutes" in broke.error
    assert [type(fact) for fact in counted] in ([], [SandboxUsed])
    assert sandbox.tell(960, Lost(later(960), 960)) == ()
    assert sandbox.tell(1000, Seen("ready", later(999))) == (SandboxFound(state="ready"),)
    assert (sandbox.there.phase, sandbox.there.code) == (Phase.READY, "")


def test_what_is_to_go_from_a_silent_site_counts_as_gone() -> None:
    assert Told(AT_A_SITE, (2, Delete())).tell(900, Lost(later(900), 900))[-1] == SandboxIsDeleted()


def test_what_a_silent_site_keeps_takes_nobodys_place_until_it_is_wanted_again() -> None:
    sandbox = Told(AT_A_SITE, (900, Lost(later(900), 900)))
    assert not named_places._counts(sandbox.there)
    sandbox.tell(901, Start())
    assert named_places._counts(sandbox.there)


def test_the_first_site_that_claims_one_has_it() -> None:
    for old in (Told(), Told(made())):
        assert [type(fact) for fact in old.tell(5, Claim("here"))] == [SandboxMade]
        assert old.there.site == "here" and old.tell(6, Claim("there")) == ()


def test_what_every_replica_reaches_has_no_site_to_lose() -> None:
    assert Told(made()).tell(900, Lost(later(900), 900)) == ()


def test_what_was_in_error_is_taken_back_when_the_provider_takes_it_back() -> None:
    told = Told(made(), (2, Seen("error", later(2))))
    assert told.tell(3, Seen("ready", later(3))) == (SandboxFound(state="ready"),)
    assert view("s", told.there).code == ""


def test_deleted_is_the_end() -> None:
    told = Told(made(), (2, Delete()), (3, Done(Effect.DELETE, later(3))))
    assert told.facts == (SandboxUsed(seconds=2, cost_usd=0.002), SandboxIsDeleted())
    for cue in (Start(), Stop(NOW), Delete(), Touch(NOW)):
        with pytest.raises(NotFound):
            told.tell(4, cue)


def test_a_fact_of_a_newer_version_changes_nothing() -> None:
    told = Told(made())
    assert evolve(told.there, UnknownFact(type="sandbox.painted"), NOW) is told.there
    assert evolve(None, SandboxIsReady(), NOW) is None


def test_of_many_who_choose_the_first_chooses() -> None:
    assert preferred.decide(None, Prefer("a"))
    assert not preferred.decide("a", Prefer("b"))
    (fact,) = preferred.decide("a", Prefer("b", instead_of="a"))
    assert preferred.evolve("a", fact) == "b"
    assert not preferred.decide("b", Prefer("c", instead_of="a"))


class Machine(RuleBasedStateMachine):
    """A sandbox at a provider that does, fails and lies; what was used is kept by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.named: Named | None = None
        self.used = 0.0
        self.running = False
        self.tell(Want(WANTED))

    def tell(self, cue: Cue) -> None:
        try:
            facts = decide(self.named, cue)
        except DomainError:
            return
        for fact in facts:
            self.named = evolve(self.named, fact, later(self.seconds))
            if isinstance(fact, SandboxIsReady) or (isinstance(fact, SandboxFound) and fact.state == "ready"):
                self.running = True
            if isinstance(fact, SandboxIsStopped | SandboxIsDeleted | SandboxBroke) or (
                isinstance(fact, SandboxFound) and fact.state == "stopped"
            ):
                self.running = False

    @property
    def there(self) -> Named:
        assert self.named is not None
        return self.named

    @rule(seconds=st.integers(1, 2000))
    def time_passes(self, seconds: int) -> None:
        self.seconds += seconds
        self.used += seconds if self.running else 0

    @rule(cue=st.sampled_from(["start", "stop", "delete", "touch", "rung", "count"]))
    def somebody_wishes(self, cue: str) -> None:
        at = later(self.seconds)
        wishes: dict[str, Cue] = {
            "start": Start(), "stop": Stop(at), "delete": Delete(), "touch": Touch(at), "rung": Rung(at), "count": Count(at),
        }  # fmt: skip
        self.tell(wishes[cue])

    @precondition(lambda self: next_effect(self.there) is not None)
    @rule(works=st.booleans())
    def the_provider_acts(self, works: bool) -> None:
        effect, before = next_effect(self.there), self.there.phase
        assert effect is not None
        at = later(self.seconds)
        self.tell(Done(effect, at) if works else Failed(effect, at, "PROVIDER_AWAY", "it is away"))
        assert effect is Effect.CLEAN or self.there.phase is not before, "what was done is not asked for again"

    @rule(effect=st.sampled_from(list(Effect)))
    def an_effect_ends_that_nobody_waits_for(self, effect: Effect) -> None:
        if effect is not next_effect(self.there):
            before = self.there
            self.tell(Done(effect, later(self.seconds)))
            assert self.there == before

    @rule(state=st.sampled_from(["ready", "stopped", "creating", "error", "gone"]))
    def the_provider_is_looked_at(self, state: State) -> None:
        self.tell(Seen(state, later(self.seconds)))

    @invariant()
    def only_what_runs_is_counted(self) -> None:
        assert (self.there.counted_until is not None) == self.running
        uncounted = (later(self.seconds) - self.there.counted_until).total_seconds() if self.there.counted_until else 0
        assert self.there.used_s + uncounted == pytest.approx(self.used)

    @invariant()
    def the_deleted_want_nothing(self) -> None:
        if self.there.phase is Phase.DELETED:
            assert next_effect(self.there) is None and self.there.next_due is None and not self.running


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=tries(40, 2000), stateful_step_count=30, deadline=None)

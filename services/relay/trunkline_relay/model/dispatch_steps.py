"""What comes next for a dispatch, from how it stands: thought and not done, so that it may be asked at any time, however often."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from trunkline.contracts.dispatch import WITHDRAWN, Outcome, SeenBy
from trunkline_relay.model.dispatch import Dispatch
from trunkline_relay.model.dispatch_trying import TRIES, Pauses
from trunkline_relay.model.home_task import HomeTask

REFUSED: Final = "DISPATCH_REFUSED"
NOT_SENT: Final = "DISPATCH_NOT_SENT"
NOT_STARTED: Final = "RUN_NOT_STARTED"
NEVER_CALLED: Final = "RUN_NEVER_CALLED"
SOON: Final = 5
"""Looks within which a run ends that ends with its task."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long is waited for what."""

    start: timedelta
    """For a run to begin."""
    call: timedelta
    """For the agent in it to call."""
    follow: timedelta
    """For anything at all."""
    pauses: Pauses = field(default_factory=Pauses)

    def limits(self, scene: Scene) -> list[datetime]:
        """The moments to come at which something is given up on."""
        dispatch = scene.dispatch
        spans = ((dispatch.accepted_at or dispatch.tried_at, self.start), (dispatch.began_at, self.call))
        return [end for since, span in spans if since and (end := since + span) > scene.now]


class Scene(NamedTuple):
    """All that is known of a dispatch at a moment."""

    dispatch: Dispatch
    task: HomeTask
    called: bool
    """Whether its agent has called home."""
    now: datetime
    looked: bool = False
    """Whether GitHub was asked a moment ago: nothing is given up on what may have changed since."""
    blind: bool = False
    """Whether it was asked, and does not say."""
    asked_at: datetime | None = None
    """When it was asked; None: just now."""

    def past(self, since: datetime | None, span: timedelta) -> bool:
        return since is not None and self.now >= since + span

    def sure(self, since: datetime | None, span: timedelta) -> bool:
        """Whether what should be there within `span` can be given up: GitHub was asked after that, or does not say for as long again."""
        in_time = self.asked_at is None or (since is not None and self.asked_at >= since + span)
        return (self.looked and in_time) or (self.blind and self.past(since, span * 2))


@dataclass(frozen=True, slots=True)
class Send:
    number: int


@dataclass(frozen=True, slots=True)
class Look:
    """See how its run stands."""

    doubted: bool = False
    """Or whether there is one at all."""
    now: bool = False
    """Before it is given up; else it has time."""


@dataclass(frozen=True, slots=True)
class Cancel:
    number: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is waited for any more, for this reason."""

    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Wait:
    until: datetime


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is to be done, unless somebody tells something."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Its key is to open nothing any more."""


Step = Revoke | Send | Look | Cancel | Stop | Wait | Rest


def next_step(scene: Scene, terms: Terms) -> Step:
    """What was told of a run is proven, or not, before anything else is done about one: nothing follows from it alone."""
    step, dispatch = _step(scene, terms), scene.dispatch
    if dispatch.told is None or isinstance(step, Revoke):
        return step
    if not (scene.looked or scene.blind):
        return Look(doubted=dispatch.run is None and dispatch.unsure, now=True)
    return Look() if isinstance(step, Rest | Send) else step


def _step(scene: Scene, terms: Terms) -> Step:
    dispatch = scene.dispatch
    if scene.task.end is not None and not dispatch.revoked:
        return Revoke()
    if dispatch.concluded:
        return Rest()
    if dispatch.run is not None:
        return _running(scene, terms)
    if dispatch.given_up:
        return Rest()
    if dispatch.outcome is Outcome.ACCEPTED:
        return _awaited(scene, terms)
    if dispatch.unsure:
        return _doubted(scene, terms)
    return _to_send(scene)


def _running(scene: Scene, terms: Terms) -> Step:
    dispatch = scene.dispatch
    if scene.task.unwanted or dispatch.given_up:
        step = _to_cancel(scene, terms)
        if step is not None:
            return step
    elif scene.task.end is None and not scene.called:
        if dispatch.began_at is None and scene.past(dispatch.accepted_at, terms.start):
            stop = Stop(NOT_STARTED, f"the workflow run did not begin within {_span(terms.start)}: {_url(dispatch)}")
            return stop if scene.sure(dispatch.accepted_at, terms.start) else Look(now=True)
        if scene.past(dispatch.began_at, terms.call):
            text = f"the workflow run began, and its agent did not call within {_span(terms.call)}: {_url(dispatch)}"
            return Stop(code=NEVER_CALLED, error=text) if scene.sure(dispatch.began_at, terms.call) else Look(now=True)
    return Rest() if scene.past(dispatch.accepted_at, terms.follow) else Look()


def _to_cancel(scene: Scene, terms: Terms) -> Step | None:
    """None: GitHub took it, or never will."""
    dispatch, left_at = scene.dispatch, scene.task.left_at
    if left_at and not scene.task.stop:  # it ends by itself, and should say how
        if not scene.past(left_at, terms.pauses.to_leave):
            return Wait(left_at + terms.pauses.to_leave)
        if not (scene.looked or scene.blind):
            return Look(now=True)
    if dispatch.cancelled or (dispatch.cancels and dispatch.cancel_again_at is None):
        return None
    if dispatch.cancel_again_at and scene.now < dispatch.cancel_again_at:
        return Wait(dispatch.cancel_again_at)
    return Cancel(dispatch.cancels + 1)


def _awaited(scene: Scene, terms: Terms) -> Step:
    """GitHub accepted it, and nobody has seen the run."""
    if not scene.past(scene.dispatch.accepted_at, terms.start):
        return Look()
    sure = scene.sure(scene.dispatch.accepted_at, terms.start)
    if scene.task.unwanted:
        return Stop(WITHDRAWN, "nobody wants it any more, and no run of it was ever seen") if sure else Look(now=True)
    if scene.task.end is not None:
        return Rest()
    if scene.called:
        return Rest() if scene.past(scene.dispatch.accepted_at, terms.follow) else Look()
    text = (
        f"GitHub took the event, and no workflow run of it was seen within {_span(terms.start)}; is there a workflow for "
        f"`{scene.dispatch.event_type}` on the default branch of {scene.dispatch.repo}, and are Actions on"
    )
    return Stop(NOT_STARTED, text) if sure else Look(now=True)


def _doubted(scene: Scene, terms: Terms) -> Step:
    """Nobody knows whether GitHub took it: it is looked at until somebody does, and not sent again before."""
    dispatch = scene.dispatch
    if scene.sure(dispatch.tried_at, terms.start) and not scene.called and scene.past(dispatch.tried_at, terms.start):
        if scene.task.end is not None or scene.task.unwanted:
            return Stop(WITHDRAWN, "nobody wants it any more, and nobody knows whether GitHub took it")
        why = dispatch.error or "no answer came"
        text = (
            f"nobody knows whether GitHub took the event ({why}), and no run named it within {_span(terms.start)}; it is not sent again, "
            f"for it might begin twice: look at the runs of {dispatch.repo}, and start it anew where there is none"
        )
        return Stop(NOT_STARTED, text)
    if dispatch.again_at and scene.now < dispatch.again_at:
        return Wait(dispatch.again_at)
    return Look(doubted=True)


def _to_send(scene: Scene) -> Step:
    """Nothing was sent, or it is proven that nothing came of it."""
    dispatch = scene.dispatch
    if scene.task.unwanted or scene.task.end is not None:
        return Stop(WITHDRAWN, "nobody wanted it any more before GitHub took it")
    if dispatch.tries and dispatch.again_at is None:
        return Stop(code=REFUSED, error=dispatch.error or "GitHub refused it")
    if dispatch.tries >= TRIES:
        return Stop(NOT_SENT, f"GitHub took none of {TRIES} requests; at last: {dispatch.error}")
    if dispatch.again_at and scene.now < dispatch.again_at:
        return Wait(dispatch.again_at)
    return Send(dispatch.tries + 1)


def rarely(scene: Scene, look: int) -> bool:
    """Whether looks may be far between: GitHub tells by itself, or nobody waits for a run that did not end soon after its task."""
    dispatch = scene.dispatch
    nobody = dispatch.run is not None and scene.task.end is not None and look >= SOON
    return dispatch.how is SeenBy.WEBHOOK or nobody


def _url(dispatch: Dispatch) -> str:
    return dispatch.run.url if dispatch.run else dispatch.repo


def _span(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"

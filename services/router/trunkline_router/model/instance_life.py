"""What a wish or a happening leads to in the life of an instance: the facts that follow, thought and not done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from trunkline.contracts.calls import digest_of
from trunkline.contracts.errors import Conflict, Denied, Invalid, NotFound
from trunkline.contracts.instance import (
    MOST_MESSAGES,
    AskInput,
    InstanceAsked,
    InstanceDiffed,
    InstanceMessage,
    InstanceMoved,
    InstanceOpened,
    InstanceRead,
    InstanceSaid,
    InstanceStatus,
    InstanceTold,
    MoveInstance,
    OpenInstance,
    ReadInstance,
    SayAsInstance,
    TellInstance,
)
from trunkline.contracts.message import Fact
from trunkline_router.model.instance import SHOWN, Closed, Instance, evolve
from trunkline_router.model.instance_cues import Decided, InstanceCue, Opening, Silent, TaskEnded, Wished
from trunkline_router.model.instance_repeats import is_repeat, is_told_again, message_digest

QUIET: Final = "it has sent no sign of life for too long"
LOST: Final = "INSTANCE_LOST"
TASK_OVER: Final = "TASK_OVER"
"""Why an instance ended that follows its task."""
A_CALL: Final = timedelta(seconds=5)
"""Between what is written down of a call and the sign of life that it is; and more than clocks differ."""
MOST_WAITING: Final = 8 << 20
"""Characters that wait for an agent that does not read."""
WATCHED: Final = (InstanceStatus.ACTIVE, InstanceStatus.AWAITING_INPUT, InstanceStatus.STALE)
"""Whose silence means something: the others never called, or said that they rest."""
LOOKED_AT: Final = (*WATCHED, InstanceStatus.DISCONNECTED)
"""Whose signs of life, or silence, mean something."""


def decide(instance: Instance | None, cue: InstanceCue) -> list[Fact]:
    """The facts that follow. A repeat leads to none. Raises Invalid, NotFound, Denied or Conflict for a wish that cannot be granted."""
    if isinstance(cue, Opening):
        return [] if instance else [opened_by(cue)]
    if isinstance(cue, Wished):
        return _wished(instance, cue)
    return _happened(instance, cue) if instance else []


def opened_by(opening: Opening) -> InstanceOpened:
    return InstanceOpened(
        agent_type=opening.agent_type, name=opening.name, transport=opening.transport, owner=opening.owner, status=opening.status
    )


def _wished(instance: Instance | None, cue: Wished) -> list[Fact]:
    if instance is None:
        return _first(cue)
    wish = cue.wish
    if isinstance(wish, TellInstance):
        return _tell(instance, wish, cue)
    _check_own(instance.owner, wish.by, cue)
    match wish:
        case OpenInstance() if wish.at == instance.opened_at:  # the same command, heard once more
            return []
        case OpenInstance():
            raise _exists()
        case SayAsInstance():
            return _say(instance, wish, cue)
        case AskInput():
            return _ask(instance, wish, cue)
        case ReadInstance():
            return _read(instance, wish, cue)
        case MoveInstance():
            return _move(instance, wish)
        case never:
            assert_never(never)


def _first(cue: Wished) -> list[Fact]:
    if cue.opening is None:
        if isinstance(cue.wish, TellInstance):
            raise NotFound("there is no such instance", code="INSTANCE_NOT_FOUND")
        raise Invalid("there is no such instance; name an agent_type to make one", code="INSTANCE_UNKNOWN")
    opened = opened_by(cue.opening)
    if isinstance(cue.wish, OpenInstance):
        _check_own(opened.owner, cue.wish.by, cue)
        if cue.opening.dispatched:
            raise _exists()
        return [opened]
    return [opened, *_wished(evolve(None, opened, cue.wish.at), cue)]


def _check_own(owner: str, by: str, cue: Wished) -> None:
    if by not in (owner, cue.own):
        raise Denied("this instance is somebody else's", code="INSTANCE_NOT_YOURS")


def _exists() -> Conflict:
    return Conflict("an instance of this id is there already", code="INSTANCE_EXISTS")


def _say(instance: Instance, wish: SayAsInstance, cue: Wished) -> list[Fact]:
    digest = "" if wish.named else message_digest(wish)
    if wish.message_id in instance.asks or is_repeat(instance, wish, digest, cue.repeat):
        return []
    _check_room(instance)
    said = InstanceSaid(
        message_id=wish.message_id,
        text=wish.text,
        asks=wish.asks and not instance.status.over,  # nobody would answer
        metadata=wish.metadata,
        digest=digest,
        gave=_ids(instance.waiting),
        closes=instance.question,
    )
    status = InstanceStatus.AWAITING_INPUT if wish.asks else InstanceStatus.ACTIVE
    return [said, *_diffed(instance, wish.git_diff), *_follows(instance, status)]


def _diffed(instance: Instance, diff: str | None) -> list[Fact]:
    if diff is None:
        return []
    digest = digest_of(diff) if diff else ""
    return [] if digest == instance.diff else [InstanceDiffed(digest=digest, diff=diff)]


def _tell(instance: Instance, wish: TellInstance, cue: Wished) -> list[Fact]:
    digest = "" if wish.named else message_digest(wish)
    if wish.message_id in instance.people or is_told_again(instance, wish, digest, cue.repeat):
        return []
    if instance.status.over:
        raise Conflict("the instance is over, and nobody hears what is said to it", code="INSTANCE_OVER", status=instance.status.value)
    _check_room(instance)
    if sum(len(each.text) for each in instance.queued) > MOST_WAITING:
        raise Conflict("too much waits for this agent already; it has to read first", code="INSTANCE_FULL")
    told = InstanceTold(message_id=wish.message_id, text=wish.text, by=wish.by, read=wish.read, digest=digest, answers=instance.question)
    return [told, *_spoken_to(instance)]


def _ask(instance: Instance, wish: AskInput, cue: Wished) -> list[Fact]:
    if wish.message_id not in instance.asks:
        raise NotFound("there is no such message of this agent", code="INSTANCE_MESSAGE_NOT_FOUND")
    if instance.asks[wish.message_id]:
        if _asked_just_now(instance, wish, cue):
            return []
        raise Conflict("this message asks for input already", code="ALREADY_ASKED")
    if instance.status.over:
        raise Conflict("the instance is over, and nobody answers it", code="INSTANCE_OVER", status=instance.status.value)
    current = instance.last_read == wish.message_id
    gave = _ids(instance.waiting) if current else ()
    text = instance.text if wish.message_id == instance.newest else cue.text
    asked = InstanceAsked(message_id=wish.message_id, text=text, gave=gave, closes=instance.question)
    return [asked] if gave else [asked, *_follows(instance, InstanceStatus.AWAITING_INPUT)]


def _asked_just_now(instance: Instance, wish: AskInput, cue: Wished) -> bool:
    """The same command heard once more, or the same request of whoever never got the answer."""
    if instance.question == wish.message_id and instance.said is None:
        return repeats(wish, instance.heard_at, cue.repeat)
    taken = instance.taken
    return taken is not None and taken.from_id == wish.message_id and repeats(wish, taken.at, cue.repeat)


def repeats(wish: AskInput | ReadInstance, at: datetime, within: timedelta) -> bool:
    """Whether a wish is the one of that moment: the very same command, or one whose sender says that the answer was lost."""
    return wish.at == at or (wish.again and timedelta() <= wish.at - at <= within)


def _read(instance: Instance, wish: ReadInstance, cue: Wished) -> list[Fact]:
    """What only looks, or is stale, or repeats what was lost, moves nothing; that it calls at all may be news."""
    begun = _follows(instance, _alive(instance)) if instance.status in _UNHEARD else []
    if wish.after is None or wish.after != instance.last_read or not instance.queued:
        return begun
    gave = _ids(instance.waiting)
    return [InstanceRead(from_id=wish.after, to_id=gave[-1], gave=gave), *begun]


def _move(instance: Instance, wish: MoveInstance) -> list[Fact]:
    if wish.status is instance.status:
        return []
    if instance.status.over:
        raise Conflict(f"the instance is over: {instance.status}", code="INSTANCE_OVER", status=instance.status.value)
    return [InstanceMoved(status=wish.status, was=instance.status, by=wish.by)]


def _happened(instance: Instance, cue: Decided | Silent | TaskEnded) -> list[Fact]:
    match cue:
        case Decided():
            return _decided(instance, cue)
        case Silent():
            return _silent(instance, cue)
        case TaskEnded():
            over = instance.status.over
            return [] if over else [InstanceMoved(status=cue.status, was=instance.status, code=TASK_OVER, why=cue.why)]
        case never:
            assert_never(never)


def _decided(instance: Instance, cue: Decided) -> list[Fact]:
    """It answers the open question; one that is closed already, at the same moment by somebody's message, is told as one more message."""
    if not cue.text or cue.told_id in instance.people:
        return []
    if cue.message_id == instance.question:
        told = InstanceTold(message_id=cue.told_id, text=cue.text, by=cue.by, answers=cue.message_id, approval_id=cue.approval_id)
        return [told, *_spoken_to(instance)]
    return [] if instance.status.over or not _beside(instance.closed, cue) else [_late(cue)]


def _beside(closed: Closed | None, cue: Decided) -> bool:
    """Whether it was decided otherwise than by the message itself, which the approval repeats."""
    if closed is None or closed.question != cue.message_id:
        return False
    return (closed.text, closed.by) != (cue.text[:SHOWN], cue.by)


def _late(cue: Decided) -> InstanceTold:
    return InstanceTold(message_id=cue.told_id, text=cue.text, by=cue.by, approval_id=cue.approval_id)


def _silent(instance: Instance, cue: Silent) -> list[Fact]:
    quiet = cue.now - max(cue.since, instance.heard_at)
    if instance.status is InstanceStatus.DISCONNECTED:  # until it is heard, if only by its heartbeats
        return _follows(instance, InstanceStatus.ACTIVE) if cue.sign and cue.since - instance.heard_at > A_CALL else []
    if instance.status not in WATCHED:
        return []
    if quiet >= cue.lost:
        return [InstanceMoved(status=InstanceStatus.FAILED, was=instance.status, code=LOST, why=QUIET)]
    if quiet >= cue.stale and instance.status is not InstanceStatus.STALE:
        return [InstanceMoved(status=InstanceStatus.STALE, was=instance.status, why=QUIET)]
    if quiet < cue.stale and instance.status is InstanceStatus.STALE:  # only its heartbeats came again
        return _follows(instance, _alive(instance))
    return []


_UNHEARD: Final = (InstanceStatus.DISCONNECTED, InstanceStatus.STALE)


def _alive(instance: Instance) -> InstanceStatus:
    return InstanceStatus.AWAITING_INPUT if instance.question else InstanceStatus.ACTIVE


def _spoken_to(instance: Instance) -> list[Fact]:
    """It has something to do; what people say is no sign of its life."""
    return [] if instance.status in _UNHEARD else _follows(instance, InstanceStatus.ACTIVE)


def _ids(messages: Sequence[InstanceMessage]) -> tuple[str, ...]:
    return tuple(each.message_id for each in messages)


def _follows(instance: Instance, status: InstanceStatus) -> list[Fact]:
    """What was said leads to another status, unless it is over."""
    if instance.status.over or instance.status is status:
        return []
    return [InstanceMoved(status=status, was=instance.status)]


def _check_room(instance: Instance) -> None:
    if instance.messages >= MOST_MESSAGES:
        raise Conflict(f"this instance holds {MOST_MESSAGES} messages and takes no more", code="INSTANCE_FULL")

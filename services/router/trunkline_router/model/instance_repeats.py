"""What an agent or somebody says once more because the answer was lost: which message it is that is there already."""

from __future__ import annotations

from datetime import datetime, timedelta

from trunkline.contracts.calls import digest_of
from trunkline.contracts.instance import SayAsInstance, TellInstance
from trunkline_router.model.instance import Instance, Said


def message_digest(wish: SayAsInstance | TellInstance) -> str:
    """By which a message is known that is sent once more."""
    if isinstance(wish, TellInstance):
        return digest_of({"text": wish.text, "read": wish.read})
    return digest_of({"text": wish.text, "asks": wish.asks, "diff": wish.git_diff, "metadata": dict(wish.metadata)})


def is_repeat(instance: Instance, wish: SayAsInstance, digest: str, within: timedelta) -> bool:
    """Whether it was said before, and the answer to that may be lost.

    The newest message is known again whatever its sender had, but for one who never repeats what was answered."""
    found = same_words(instance, digest)
    if found is None or not _lately(found, wish.at, within):
        return False
    return found.message_id != wish.heard or (found is instance.said and not wish.surely)


def same_words(instance: Instance, digest: str) -> Said | None:
    """The newest message of the agent that says the same, of those that may be said once more."""
    if not digest:
        return None
    return next((each for each in (instance.said, *reversed(instance.lately)) if each and each.digest == digest), None)


def is_told_again(instance: Instance, wish: TellInstance, digest: str, within: timedelta) -> bool:
    """Of people only the newest message is known again: who answers two questions says yes twice."""
    before = instance.told
    return bool(before and digest and (before.by, before.digest) == (wish.by, digest) and _lately(before, wish.at, within))


def _lately(before: Said, at: datetime, within: timedelta) -> bool:
    return at - before.at <= within

"""What one try to deliver means, and when the next one is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from trunkline.contracts.webhook import Answered, DeliveryStatus, DeliveryView, Try
from trunkline_relay.model.lines import Sign

PAUSES_S: Final = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds between two of the ten tries: five seconds to a day, three days in all."""
TRIES: Final = len(PAUSES_S) + 1
JITTER: Final = 0.1
LONGEST_WAIT_S: Final = 86400.0
"""What Retry-After may ask for at most."""
LIFE: Final = timedelta(days=4)
"""After this nothing is waited for any more: one that cannot be tried then, or failed and would wait longer, is given up on."""
KEPT_TRIES: Final = 10
GONE: Final = 410
NOTHING_NEW: Final[Mapping[str, object]] = {}
_SAYS_WHEN: Final = (429, 503)
UNVERIFIED_S: Final = 5.0
NO_ROOM_S: Final = 30.0
"""Whoever put it off tries it as soon as there is room: its timer is for the case that this relay dies, or remembers too many."""
LONGEST_PUT_OFF_S: Final = 300.0
_PENDING: Final = f'{{"status":"{DeliveryStatus.PENDING}","'.encode()
_TO_DO: Final = tuple(_PENDING + rest for rest in (b'put_off":0,', b'id"'))
"""The second: as it was written before deliveries said how often they were put off."""


class Verdict(StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one request."""

    at: datetime
    took_ms: int
    answer: Answered | None = None
    error: str = ""
    """Why no answer came."""
    unreachable: bool = False
    """No answer for a reason of the network, which says something about the host."""


def to_do(record: bytes) -> bool:
    """Whether a record says that the delivery is to be tried now, without reading all of it."""
    return record.startswith(_TO_DO)


def verdict(attempt: Attempt) -> Verdict:
    if attempt.answer is None:
        return Verdict.FAILED
    if attempt.answer.status == GONE:
        return Verdict.GONE
    return Verdict.DELIVERED if 200 <= attempt.answer.status < 300 else Verdict.FAILED


def sign(attempt: Attempt) -> Sign:
    """What it says of whoever was asked; an answer that only says that this one thing is not wanted says that all is well there."""
    if attempt.answer is None:
        return Sign.SILENT if attempt.unreachable else Sign.WELL
    return Sign.ILL if attempt.answer.status >= 500 or attempt.answer.status == 429 else Sign.WELL


def why(attempt: Attempt) -> str:
    """Why it counts as failed, as a sentence; empty when it does not."""
    answer = attempt.answer
    if answer is None:
        return attempt.error
    if 200 <= answer.status < 300:
        return ""
    if 300 <= answer.status < 400:
        return f"it answered {answer.status}, and redirects are not followed; change the url of the webhook"
    if answer.status == GONE:
        return "it answered 410: it wants nothing more"
    return f"it answered {answer.status}"


def after(delivery: DeliveryView, attempt: Attempt, roll: float, sent: Mapping[str, object] = NOTHING_NEW) -> DeliveryView:
    """The delivery after one more try; `roll` is 0 to 1, by chance, and `sent` what else the try made known."""
    tried = Try(at=attempt.at, took_ms=attempt.took_ms, status=attempt.answer.status if attempt.answer else None, error=why(attempt))
    tries = delivery.tries + 1
    news: dict[str, object] = {"tries": tries, "history": (*delivery.history, tried)[-KEPT_TRIES:], "answer": attempt.answer}
    known = {**sent, **news, "put_off": 0, "problem": ""}
    outcome = verdict(attempt)
    if outcome is Verdict.DELIVERED:
        ended = {"status": DeliveryStatus.DELIVERED, "next_try_at": None, "ended_at": attempt.at}
        return delivery.model_copy(update={**known, **ended})
    tired = delivery.model_copy(update=known)
    if outcome is Verdict.GONE:
        return dead(tired, attempt.at, tried.error)
    if tries >= TRIES:
        return dead(tired, attempt.at, f"{TRIES} tries failed; at last {tried.error}")
    next = attempt.at + _pause(tries, attempt, roll)
    if too_old(delivery, next):
        return dead(tired, attempt.at, f"{_times(tries)} failed within four days; at last {tried.error}")
    return tired.model_copy(update={"status": DeliveryStatus.RETRYING, "next_try_at": next})


def dead(delivery: DeliveryView, at: datetime, problem: str) -> DeliveryView:
    return delivery.model_copy(update={"status": DeliveryStatus.DEAD, "next_try_at": None, "ended_at": at, "problem": problem})


def again(delivery: DeliveryView, at: datetime) -> DeliveryView:
    """As it is when somebody wants it sent once more."""
    fresh = {"status": DeliveryStatus.PENDING, "tries": 0, "put_off": 0, "round": delivery.round + 1, "begun_at": at}
    return delivery.model_copy(update={**fresh, "next_try_at": None, "ended_at": None, "problem": ""})


def too_old(delivery: DeliveryView, now: datetime) -> bool:
    return now > delivery.begun_at + LIFE


def put_off(delivery: DeliveryView, at: datetime, why: str) -> DeliveryView:
    """As it waits for being tried, `at` the latest, and why it does."""
    waits = "waits, and was not tried yet" if not delivery.tries else "waits to be tried again"
    return delivery.model_copy(update={"put_off": delivery.put_off + 1, "next_try_at": at, "problem": f"{waits}: {why}"})


def never_tried(delivery: DeliveryView, at: datetime, why: str) -> DeliveryView:
    """One that is too old and cannot be tried even now."""
    if not delivery.tries:
        return dead(delivery, at, f"it could not be tried once in four days: {why}")
    return dead(
        delivery, at, f"{_times(delivery.tries)} failed, at last {delivery.history[-1].error}; then it waited until it was too old: {why}"
    )


def disabled(delivery: DeliveryView, at: datetime) -> DeliveryView:
    failed = f"after {_times(delivery.tries)} that failed" if delivery.tries else "before it was tried"
    return dead(delivery, at, f"its webhook was disabled {failed}")


def put_off_s(put_off: int, first: float, roll: float) -> float:
    """Seconds until a delivery that could not be tried is looked at again: `first`, then twice as long each time, 5 min at most.

    `roll` is 0 to 1, by chance, and makes it up to twice that.
    """
    return float(min(first * 2.0 ** min(put_off, 20), LONGEST_PUT_OFF_S) * (1 + roll))


def _times(tries: int) -> str:
    return "one try" if tries == 1 else f"{tries} tries"


def _pause(tries: int, attempt: Attempt, roll: float) -> timedelta:
    seconds = PAUSES_S[tries - 1] * (1 + JITTER * roll)
    return timedelta(seconds=max(seconds, _asked_for(attempt)))


def _asked_for(attempt: Attempt) -> float:
    """Seconds that a subscriber wants us to wait; 0 when it does not say."""
    answer = attempt.answer
    if answer is None or answer.status not in _SAYS_WHEN:
        return 0.0
    return min(max(_seconds(answer.headers.get("retry-after", ""), attempt.at), 0.0), LONGEST_WAIT_S)


def _seconds(text: str, now: datetime) -> float:
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        when = parsedate_to_datetime(text)
        return (when - now).total_seconds() if when.tzinfo else 0.0
    except (ValueError, TypeError, OverflowError):
        return 0.0

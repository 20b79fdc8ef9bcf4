"""Tells strangers apart, who all go by one name: by where they ask from, and by the fingerprint that a job was sent with."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_network
from typing import Final

from trunkline.contracts.views import FINGERPRINT, TaskView

SHORTEST: Final = 8
"""Characters of a fingerprint that says who somebody is: a shorter one is soon guessed."""
UNKNOWN: Final = "unknown"
"""Where somebody asks from of whom no address is known: many may be there."""
_MARK: Final = 16
"""Bytes: no two addresses share a mark by chance."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Whoever shows no credential, as far as it can be known again: `address` as the limits count it, `fingerprint` as it is shown.

    `seal` holds at least 32 bytes, known to every gateway and nobody else.
    """

    seal: bytes = field(repr=False)
    address: str
    fingerprint: str = ""

    def mark(self, task: str) -> str:
        """Of where it asks from, for that one task: it tells nobody which address it was, nor which two tasks came from one."""
        if self.address == UNKNOWN:
            return ""
        place = _place(self.address)
        named = b"".join(b"%d:%b" % (len(part), part) for part in (b"stranger", task.encode(), place.encode()))
        return urlsafe_b64encode(hmac.digest(self.seal, named, sha256)[:_MARK]).decode().rstrip("=")

    def sent(self, view: TaskView) -> bool:
        """Whether a stranger's task is this one's: a fingerprint that is shown decides where the task has one, else the address does."""
        kept = view.assignment.labels.get(FINGERPRINT, "")
        if kept and self.fingerprint:
            same = _same(kept, self.fingerprint)
            return same and (len(kept.strip()) >= SHORTEST or self._was_there(view))
        return self._was_there(view)

    def _was_there(self, view: TaskView) -> bool:
        """Of a task that was sent before marks were kept nobody knows."""
        mark = self.mark(view.task_id)
        return bool(mark) and _same(view.assignment.sent_from, mark)


def _place(address: str) -> str:
    """Whoever asks from this machine by one name of it asks by the other the next time."""
    try:
        return "loopback" if ip_network(address).is_loopback else address
    except ValueError:
        return address


def _same(one: str, other: str) -> bool:
    """Takes the same time whatever comes."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))

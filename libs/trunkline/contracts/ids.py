"""Names of things: tokens that are safe inside a bus subject and say what they name."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Annotated, Final, NewType

from pydantic import AfterValidator

TenantId = NewType("TenantId", str)
TaskId = NewType("TaskId", str)
ApprovalId = NewType("ApprovalId", str)
SandboxId = NewType("SandboxId", str)

_TOKEN = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")


@lru_cache(4096)  # one id is looked at in several messages and subjects, and the names of services, tenants and verbs in all
def token(text: str) -> str:
    """Return `text` if it may stand as one subject token, else raise ValueError."""
    if not _TOKEN.match(text):
        raise ValueError("must be 1 to 64 letters, digits, '-' or '_'")
    return text


Token = Annotated[str, AfterValidator(token)]


_HEX = re.compile(r"[0-9a-f]{32}")
_NAMESPACE: Final = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")
"""That of addresses, by RFC 9562: names of ours begin with `omnara:` and are none."""
_OF_TASK: Final = 12
"""Hex digits of a message's id that say of which task it is."""


def uuid_hex(text: str) -> str | None:
    """The 32 hex digits of a UUID as people write them, with hyphens, braces or `urn:uuid:`; None for other text."""
    plain = text.strip().lower().replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")
    return plain if _HEX.fullmatch(plain) else None


def instance_task_id(text: str) -> TaskId:
    """The task that is the agent instance called `text`: the digits of a UUID, and for other text those of its UUID version 5."""
    known = uuid_hex(text)
    if known:
        return TaskId(known)
    digest = sha1(_NAMESPACE + f"omnara:{text}".encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return TaskId(f"{digest[:12]}5{digest[13:16]}{_variant(digest[16])}{digest[17:32]}")


def wire_id(digits: str) -> str:
    """32 hex digits as the UUID that surfaces with UUIDs write; anything else as it is."""
    if not _HEX.fullmatch(digits):
        return digits
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def message_id(task: str, seed: str) -> str:
    """An id for a message of an instance, made of `seed`: its first digits lead back to the task, as `message_alias` says."""
    tail = sha256(seed.encode()).hexdigest()
    return f"{_of_task(task)}8{tail[:3]}{_variant(tail[3])}{tail[4:19]}"


def instance_alias(text: str) -> str:
    """Under which an instance is found that was named by a text that is no UUID."""
    return f"omnara:{text}"


def message_alias(task: str) -> str:
    """Under which a task is found by the id of any of its messages."""
    return f"omnara:~{_of_task(task)}"


def alias_of_message(message: str) -> str:
    """The alias of the task that a message is of, from nothing but the id of the message."""
    return f"omnara:~{message[:_OF_TASK]}"


def _of_task(task: str) -> str:
    return sha256(task.encode()).hexdigest()[:_OF_TASK]


def _variant(digit: str) -> str:
    return "89ab"[int(digit, 16) & 3]

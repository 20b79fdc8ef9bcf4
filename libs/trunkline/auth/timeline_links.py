"""Links by which whoever holds them may look at one timeline: signed for one task of one tenant, and for nothing else."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

from trunkline.contracts.ids import TaskId, TenantId

ROOT: Final = "/timeline"
_KEY: Final = 16
"""Bytes: nobody guesses one of 2^128."""


def path(seal: bytes, tenant: TenantId, task: TaskId) -> str:
    """Of the page, below the public address. `seal` holds at least 32 bytes, known to every service and nobody else."""
    return f"{ROOT}/{tenant}/{task}/{_key(seal, tenant, task)}"


def opens(seal: bytes, tenant: TenantId, task: TaskId, key: str) -> bool:
    """Whether the link was made by us for this task. Takes the same time whatever comes."""
    return hmac.compare_digest(key.encode("utf-8", "replace"), _key(seal, tenant, task).encode())


def _key(seal: bytes, tenant: TenantId, task: TaskId) -> str:
    named = b"".join(b"%d:%b" % (len(part), part) for part in (b"timeline", tenant.encode(), task.encode()))
    return urlsafe_b64encode(hmac.digest(seal, named, sha256)[:_KEY]).decode().rstrip("=")

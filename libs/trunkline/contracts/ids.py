"""Names of things: tokens that are safe inside a bus subject and say what they name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, NewType

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

"""What this surface answers of itself and of tokens, as models: the API document is made of them, and tests hold every answer to them."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from trunkline.contracts.integrity import Integrity

CLOSED: Final = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Refused(BaseModel):
    """Every refusal."""

    model_config = CLOSED

    detail: str


class Queue(BaseModel):
    model_config = CLOSED

    pending_tasks: int
    processing_tasks: int
    total_tasks: int


class Stats(BaseModel):
    model_config = CLOSED

    queue: Queue
    timestamp: AwareDatetime


class Health(BaseModel):
    """`redis` says the same as `nats`: monitors read it by that name."""

    model_config = CLOSED

    status: Literal["healthy", "starting", "degraded"]
    redis: Literal["connected", "disconnected"]
    queue_stats: Queue | None
    nats: Literal["connected", "disconnected"]
    services: dict[str, Literal["ready", "down"]]
    integrity: Integrity | None
    """Whether the log is as it was written: the worst that any of its witnesses says."""
    version: str


class Welcome(BaseModel):
    model_config = CLOSED

    service: Literal["trunkline"]
    version: str
    status: Literal["running"]
    url: str
    health: str
    docs: str
    openapi: str


class Token(BaseModel):
    """`token` is `access_token` again. `expires_in` in seconds."""

    model_config = CLOSED

    access_token: str
    token: str
    token_type: Literal["bearer"]
    expires_in: int
    expires_at: AwareDatetime
    role: str
    user_id: str


class Revoked(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    message: str


class Self(BaseModel):
    model_config = CLOSED

    user_id: str
    role: str
    tenant: str
    tier: str

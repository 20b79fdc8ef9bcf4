"""What GitHub is told: it shows the answer beside each delivery, where people look for why nothing happened."""

from __future__ import annotations

from trunkline.contracts.errors import DomainError
from trunkline_gateway.dialects.github.schemas import Heard, Problem


def started(task: str) -> Heard:
    return Heard(status="started", task_id=task)


def noted(task: str | None) -> Heard:
    return Heard(status="noted", task_id=task)


def ignored(reason: str) -> Heard:
    return Heard(status="ignored", reason=reason)


def pong() -> Heard:
    return Heard(status="pong")


def error(refusal: DomainError) -> Problem:
    return Problem(message=refusal.message)

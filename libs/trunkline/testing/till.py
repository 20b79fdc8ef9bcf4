"""A till for tests: it lets everything in and remembers what was booked."""

from __future__ import annotations

from trunkline.contracts.spend import ModelAnswered


class OpenTill:
    """Fits the sandbox's port Till."""

    def __init__(self) -> None:
        self.booked: list[ModelAnswered] = []

    async def admit(self) -> None:
        return None

    async def spent(self, answer: ModelAnswered) -> None:
        self.booked.append(answer)

"""What the forge says before a job is taken: who asks, and who may look at the work."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from trunkline.auth.principal import Principal
from trunkline.contracts.task import Visibility
from trunkline_gateway.usecases.guests import Guests
from trunkline_gateway.usecases.repositories import Repositories, open_to_all


@dataclass(frozen=True, slots=True)
class Forge:
    """Without anything: a folder, which knows nobody."""

    guests: Guests | None = None
    repositories: Repositories | None = None

    async def visibility(self, principal: Principal, repo: str, token: SecretStr | None) -> Visibility:
        """Raises as `Repositories.visibility`."""
        if self.repositories is None:
            return open_to_all(principal)
        return await self.repositories.visibility(principal, repo, token)

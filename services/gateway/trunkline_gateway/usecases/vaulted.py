"""A caller's own token for the forge: it goes into the vault, the task gets its handle, and nothing else ever holds it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pydantic import SecretStr

from trunkline.contracts.errors import DomainError, Invalid, Overdue, Unavailable, Unsupported
from trunkline.contracts.ids import TaskId, TenantId
from trunkline_gateway.ports import Vault

SHORTEST: Final = 8
"""Characters: what is shorter cannot be struck out of what an agent prints without ordinary words."""
LONGEST: Final = 1000
PATTERN: Final = f"^[!-~]{{{SHORTEST},{LONGEST}}}$"
_TOKEN: Final = re.compile(rf"[!-~]{{{SHORTEST},{LONGEST}}}")
_FORGES_OWN: Final = re.compile(r"gh[opsu]_[A-Za-z0-9_]{4,255}|github_pat_[A-Za-z0-9_]{4,255}|[0-9a-f]{40}")
"""Tokens of GitHub, old ones too; ours have two dots, and keys are not shown as bearers."""


def forge_token(text: str, field: str) -> SecretStr:
    """Raises Invalid for what cannot be a token, and never says what it was."""
    if not _TOKEN.fullmatch(text):
        message = f"{field} must be one word of {SHORTEST} to {LONGEST} visible ASCII characters"
        raise Invalid(message, code="INVALID_GITHUB_TOKEN", field=field)
    return SecretStr(text)


def borne(authorization: str) -> SecretStr | None:
    """The token in an Authorization header that is meant for the forge, by its looks."""
    scheme, _, text = authorization.partition(" ")
    return SecretStr(text) if scheme.lower() == "bearer" and _FORGES_OWN.fullmatch(text) else None


class NoVault:
    """ports.Vault of a gateway that keeps no tokens, and says so."""

    async def put(self, tenant: TenantId, handle: str, secret: str) -> None:
        raise Unsupported("this gateway keeps no tokens of callers; leave the token out", code="NO_VAULT_KEY")

    async def forget(self, tenant: TenantId, handle: str) -> None:
        return


@asynccontextmanager
async def vaulted(vault: Vault, tenant: TenantId, task: TaskId, token: SecretStr) -> AsyncIterator[None]:
    """The token of a task lies in the vault before the block; it is forgotten again when the block is refused.

    Raises Unsupported where no tokens are kept, Unavailable.
    """
    await vault.put(tenant, task, token.get_secret_value())
    try:
        yield
    except (Unavailable, Overdue):  # nobody knows whether the task is there; if not, the vault forgets by itself
        raise
    except DomainError:
        await vault.forget(tenant, task)
        raise

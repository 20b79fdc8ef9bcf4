"""What the SDK's errors mean to us."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline.contracts.errors import DomainError
from trunkline_sandbox.adapters.providers.remote.vendor import Failure, Vendor, words

_CODES: Final[Mapping[Failure, str]] = {
    "away": "E2B_AWAY", "timeout": "E2B_TIMEOUT", "busy": "E2B_BUSY", "denied": "E2B_DENIED", "not_found": "E2B_NOT_FOUND",
    "conflict": "E2B_CONFLICT", "refused": "E2B_REFUSED", "not_understood": "E2B_NOT_UNDERSTOOD",
}  # fmt: skip
E2B: Final = Vendor("e2b", "E2B", "E2B_API_KEY", _CODES, unique_names=False, keeps_memory=True)


def translated(what: str, error: Exception) -> DomainError:
    """E2B's words for what went wrong, in ours."""
    said = f"E2B could not {what}: {words(error)}"
    kind = _named(error)
    if kind is not None:
        return E2B.failure(kind, said, 1 if kind == "busy" else None)
    status = getattr(error, "status_code", None) or _of_build(error)
    return E2B.by_status(said, status) if isinstance(status, int) else _foreign(said, error)


def _of_build(error: Exception) -> int | None:
    """Errors of builds have their status in their text alone."""
    import e2b

    found = re.match(r"(\d{3}): ", str(error)) if isinstance(error, e2b.BuildException) else None
    return int(found[1]) if found else None


def _named(error: Exception) -> Failure | None:
    """By its class, the narrow ones first: half of them are kinds of a timeout, whatever happened."""
    import e2b
    from e2b import exceptions
    from e2b.template.dockerfile_parser import DockerfileSyntaxError

    kinds: tuple[tuple[type[Exception], Failure], ...] = (
        (exceptions.SandboxNotRunningException, "not_found"),
        (exceptions.SandboxUnreachableException, "away"),
        (e2b.NotFoundException, "not_found"),
        (e2b.TimeoutException, "timeout"),
        (TimeoutError, "timeout"),
        (e2b.RateLimitException, "busy"),
        (exceptions.ServiceBusyException, "away"),
        (e2b.AuthenticationException, "denied"),
        (e2b.InvalidArgumentException, "refused"),
        (e2b.NotEnoughSpaceException, "refused"),
        (e2b.TemplateException, "refused"),
        (DockerfileSyntaxError, "refused"),
        (OSError, "away"),
    )  # fmt: skip
    return next((failure for kind, failure in kinds if isinstance(error, kind)), None)


def _foreign(said: str, error: Exception) -> DomainError:
    """What the SDK lets through from the libraries below it: broken connections, and replies that are none."""
    import httpx
    import pyqwest
    from connectrpc.errors import ConnectError
    from e2b import BuildException, SandboxException

    broken = (httpx.HTTPError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.StreamError, ConnectError)
    if isinstance(error, (*broken, SandboxException, BuildException)):
        return E2B.failure("away", said)
    return E2B.failure("not_understood", said)

"""What git's complaints mean to the person who asked for the work."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trunkline.contracts.errors import Broken, Denied, DomainError, Exhausted, Invalid, NotFound, Unavailable
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.adapters.git.program import Answer

_LIMITED_S = 60.0
"""Git does not tell for how long the forge wants to hear nothing."""
_MEANINGS: tuple[tuple[str, type[DomainError], str, str], ...] = (
    (
        r"No space left on device|Disk quota exceeded",
        Unavailable, "DISK_FULL", "The disk is full; make room in the data directory, then try again.",
    ),
    (
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|Permission denied \(publickey",
        Denied, "REPO_DENIED", "The forge did not let us in; check that the credential is valid and covers this repository.",
    ),
    (
        r"does not appear to be a git repository|repository '.*' (not found|does not exist)|returned error: 404|not a git repository",
        NotFound, "REPO_NOT_FOUND", "There is no such repository, or it may not be seen; check its name and who may read it.",
    ),
    (
        r"Could not resolve host|Failed to connect|Connection (refused|timed out|reset)|unable to access|early EOF|hung up|too slow",
        Unavailable, "REMOTE_UNAVAILABLE", "The forge could not be reached or cut the connection; try again later.",
    ),
    (
        r"unknown revision|bad object|not a valid object name|bad revision|not a tree object|Not a valid",
        NotFound, "COMMIT_NOT_FOUND", "That commit is not in the repository; fetch the branch again.",
    ),
    (
        r"Unable to create '.*\.lock'|cannot lock ref|unable to lock",
        Unavailable, "REPO_LOCKED", "Another git process holds a lock in the repository; try again in a moment.",
    ),
)  # fmt: skip


def refusal(answer: Answer, doing: str, env: Mapping[str, str] | None = None) -> DomainError:
    """A failed call as one of our errors; `env` is the remote's, whose values must not be repeated, and None without a remote."""
    line = last_line(answer.err, env)
    if re.search(r"returned error: 429", answer.err):
        text = f"Git could not {doing}. The forge was asked too often; it is asked again later."
        return Exhausted(text, code="FORGE_LIMITED", retry_after=_LIMITED_S, git=line)
    for pattern, error, code, text in _MEANINGS:
        if re.search(pattern, answer.err):
            return error(f"Git could not {doing}. {text}", code=code, git=line)
    # What fails with a remote may well be the remote's doing and over soon; what fails among ourselves is not.
    kind = Broken if env is None else Unavailable
    return kind(f"Git could not {doing}: {line}", code="GIT_FAILED", git=line, exit=answer.code)


def unfit(answer: Answer) -> DomainError:
    """The workspace holds something that git does not take; the disk and the repository may be to blame too."""
    error = refusal(answer, "commit the workspace")
    if error.code != "GIT_FAILED":
        return error
    text = "Git refuses a file that the agent left in the workspace; it has to be removed or named in .gitignore."
    return Invalid(text, code="TREE_REFUSED", **error.details)


def last_line(err: str, env: Mapping[str, str] | None = None) -> str:
    """The last that git said of the cause and of the effect, without any credential."""
    lines = [line.strip() for line in err.replace("\r", "\n").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "!"))]
    return _redacted("; ".join(telling[-2:] or lines[-1:] or ["git said nothing"]), env or {})[:500]


def _redacted(text: str, env: Mapping[str, str]) -> str:
    """A forge may repeat to us what we told it, or what others told it."""
    brought = [("environment", part) for value in env.values() for part in (value, *value.split())]
    return re.sub(r"://[^/@\s]+@", "://***@", Redactor(brought).text(text))

"""How a remote is spoken to: its transport, its environment, what it has, and without running what lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.program import Call, run
from trunkline_sandbox.adapters.git.refusals import refusal
from trunkline_sandbox.naming import is_branch
from trunkline_sandbox.ports import Remote

# The other side of a local path is a child of ours that drops GIT_CONFIG_* from its environment, so it is told by its own command line.
_THERE = "git -c 'safe.directory=*' -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 -c receive.autogc=false"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much git may bring and how long it may take. Sizes in bytes."""

    depth: int | None
    size: int
    seconds: float


def local(remote: Remote) -> Path | None:
    """Where it lies when it is on this machine."""
    return Path(remote.url.removeprefix("file://")) if remote.url.startswith(("/", "file:///")) else None


def speaking(remote: Remote) -> dict[str, str]:
    """The environment to reach it in: its own transport is open and no other."""
    parts = urlsplit(remote.url)
    # An address goes to git's command line, where every user of the machine can read it.
    if parts.password or (parts.username and parts.scheme in ("http", "https")):
        raise Invalid("The address of the repository holds a credential; give it apart from the address.", code="CREDENTIAL_IN_URL")
    scheme = "file" if local(remote) else parts.scheme or "ssh"
    if "::" in remote.url or scheme not in ("file", "https", "http", "ssh"):
        raise Invalid(f"Repositories are reached by https, http, ssh or a local path, not by {scheme!r}.", code="TRANSPORT_UNSUPPORTED")
    return environment(scheme, remote.env, remote.credentials)


def there(remote: Remote, service: str) -> list[str]:
    """The option that keeps the hooks of a repository on this machine from running; `service` is upload-pack or receive-pack."""
    return [f"--{service}={_THERE} {service}"] if local(remote) else []


def full_ref(branch: str) -> str:
    """Raises Invalid for what git would not take, or would take as a pattern."""
    if not is_branch(branch):
        raise Invalid(f"{branch[:100]!r} is not a branch name; name an existing branch, such as main.", code="BRANCH_INVALID")
    return f"refs/heads/{branch}"


async def heads(remote: Remote, bounds: Bounds) -> dict[str, str]:
    """Commit by full name of every branch, as far as the first mebibytes of the list go."""
    argv = ("git", "ls-remote", "--heads", *there(remote, "upload-pack"), "--", remote.url)
    answer = await run(Call(argv, speaking(remote), keep=8 << 20, seconds=bounds.seconds))
    if answer.code and not answer.cut:
        raise refusal(answer, "list the branches of the repository", remote.env)
    pairs = (line.split("\t", 1) for line in answer.text.splitlines() if "\t" in line)
    return {name: commit for commit, name in pairs}

"""What the sandbox service needs from the world: a place to run, an agent, git and a forge; every call may be repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trunkline.contracts.ids import SandboxId
from trunkline.contracts.run import AgentOutput, Usage


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. Sizes in bytes, times in seconds."""

    cpus: float = 1.0
    memory: int = 2 << 30
    processes: int = 512
    file_size: int = 1 << 30
    disk: int = 4 << 30
    """Workspace and home together."""
    wall: float = 3600.0
    output: int = 16 << 20
    """How much of the agent's output is kept; the rest is read, counted and dropped."""
    line: int = 8 << 20
    """The longest line that is kept whole."""


@dataclass(frozen=True, slots=True)
class Ability:
    """What a provider can do; what it cannot is refused before the work begins."""

    egress_policy: bool
    unix_sockets: bool
    snapshots: bool = False


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A sandbox to be: its id is its key, so making it twice makes one."""

    id: SandboxId
    limits: Limits
    labels: Mapping[str, str] = field(default_factory=dict)
    """`tenant` and `task` at least; reconciling goes by them."""
    egress: tuple[str, ...] = ()
    """Hosts (`name` or `name:port`) that may be reached; none is the default."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that is there."""

    id: SandboxId
    provider: str
    isolation: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to be started inside a sandbox: no secret in argv, none in the environment."""

    key: str
    """Names this start; starting the same key again attaches to it, running or ended."""
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes = b""
    keep_stdin: bool = False
    """Leave stdin open after `stdin` was written, for later messages; else it is closed."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Read-only files by their absolute path below `/run/trunkline` inside."""
    home_files: Mapping[str, bytes] = field(default_factory=dict)
    """Files by their path below the agent's home."""
    tools: Mapping[str, Path] = field(default_factory=dict)
    """Host files shown read-only at an absolute path below `/opt/agent` inside."""
    sockets: Mapping[str, Path] = field(default_factory=dict)
    """Host unix sockets, or folders of them, shown below `/run/host` inside, by name. A socket made anew is found only in a folder."""
    ends_with: bytes | None = None
    """A line that contains this ends the program's work: 10 s later what is left is killed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of output as the runner numbered it, without its newline."""

    number: int
    data: bytes
    stderr: bool = False
    cut: int = 0
    """Bytes of this line that were dropped."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended. `cause` is why it was ended when it did not end by itself."""

    code: int | None
    signal: int | None = None
    cause: str | None = None
    """None, `killed`, `wall`, `disk`, `memory` or `lost` (it vanished without a word)."""
    dropped: int = 0
    """Bytes of output beyond the limit."""


class SandboxProvider(Protocol):
    """Where agents run."""

    @property
    def name(self) -> str: ...

    @property
    def isolation(self) -> str:
        """How agents are kept in, in words: it stands in every job's first event."""
        ...

    @property
    def ability(self) -> Ability: ...

    async def ensure(self, spec: SandboxSpec) -> Sandbox: ...

    async def give(self, id: SandboxId, workspace: Path) -> None:
        """Move the prepared tree `workspace` into the sandbox as its `/workspace`, replacing what was there."""
        ...

    async def start(self, id: SandboxId, launch: Launch) -> None: ...

    def output(self, id: SandboxId, key: str) -> AsyncIterator[Line | Exit]:
        """Every line from the first, then live ones, then one Exit. May be called again at any time."""
        ...

    async def send(self, id: SandboxId, key: str, data: bytes) -> None:
        """Write to the program's stdin."""
        ...

    async def stop(self, id: SandboxId) -> None:
        """End everything that runs inside; nothing of it runs when this returns. Keeps the files."""
        ...

    async def take(self, id: SandboxId) -> Path:
        """The workspace as the agent left it, as a tree on this machine. Nothing may run inside any more."""
        ...

    async def remove(self, id: SandboxId) -> None: ...

    async def list(self) -> list[Sandbox]:
        """Every sandbox of ours that the provider knows."""
        ...


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What an agent is told."""

    prompt: str
    workspace: str = "/workspace"
    home: str = "/home/agent"


@dataclass(frozen=True, slots=True)
class Ending:
    """What the agent itself said of its end, as far as it says such a thing."""

    ok: bool
    code: str = ""
    error: str = ""
    recoverable: bool = False
    summary: str = ""
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Heard:
    """What one line of output means."""

    said: tuple[AgentOutput, ...] = ()
    """With attempt 0; the run fills it in."""
    ending: Ending | None = None
    """What is now known of the agent's end; it takes the place of what was known before. None changes nothing."""


class Agent(Protocol):
    """A coding agent as a program: how it is started, what its lines mean, how it ended."""

    name: str

    def launch(self, task: AgentTask, key: str) -> Launch:
        """How to start it. Raises Invalid when it is not configured, with the remedy."""
        ...

    def hear(self, line: Line, known: Ending | None = None) -> Heard:
        """Pure: what a line means. `known` is the ending heard so far, folded from the first line on."""
        ...

    def outcome(self, ending: Ending | None, exit: Exit) -> Ending:
        """Pure: how the run of the agent is to be judged."""
        ...


@dataclass(frozen=True, slots=True)
class Remote:
    """How git reaches a repository. `env` may carry a credential and goes to git's environment only."""

    url: str
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommitSpec:
    """A commit that is the same, byte for byte, whenever it is made from the same tree."""

    branch: str
    message: str
    author: str
    at: int
    """Seconds since the epoch, taken from a fact and not from the clock."""


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    files_changed: int
    additions: int
    deletions: int


class Git(Protocol):
    """Git on our side of the wall. `bare` is a clean repository that the agent never saw."""

    async def fetch(self, remote: Remote, branch: str, bare: Path) -> str:
        """Bring `branch` into `bare` (made when missing); returns its commit. Raises NotFound or Invalid."""
        ...

    async def checkout(self, bare: Path, commit: str, tree: Path) -> None:
        """Make `tree` a working tree with a throw-away repository of its own, replacing what was there."""
        ...

    async def commit(self, bare: Path, base: str, tree: Path, spec: CommitSpec) -> Commit | None:
        """Commit what differs between `base` and `tree` into `bare`; None when nothing does."""
        ...

    async def push(self, bare: Path, remote: Remote, commit: str, branch: str) -> None:
        """Make `branch` at the remote be `commit`. Raises Conflict when it is something else already."""
        ...

    async def discard(self, folder: Path) -> None:
        """Remove a folder with repositories and trees in it, whatever an agent or a repository put there; nothing there is fine."""
        ...


@dataclass(frozen=True, slots=True)
class PullRequestSpec:
    repo: str
    base: str
    head: str
    title: str
    body: str
    commit: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class PullRequestPage:
    """A pull request with its diff, for the page that people look at."""

    number: int
    repo: str
    base: str
    head: str
    title: str
    body: str
    diff: str
    cut: bool
    """The diff was longer than what is shown."""
    created_at: str


class Forge(Protocol):
    """Where repositories and pull requests live."""

    name: str

    async def remote(self, repo: str) -> Remote:
        """Raises NotFound when the repository is not there or may not be seen."""
        ...

    async def open_pull_request(self, spec: PullRequestSpec) -> PullRequest:
        """Found again by its head before one is made."""
        ...

    async def show_pull_request(self, repo: str, number: int) -> PullRequestPage:
        """Raises NotFound; Unsupported where the forge has pages of its own."""
        ...

"""What the sandbox service needs from the world: a place to run, an agent, git and a forge; every call may be repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trunkline.contracts.ids import SandboxId
from trunkline.contracts.spend import ModelAnswered
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict
from trunkline_sandbox.model.limits import Limits as Limits
from trunkline_sandbox.model.limits import Span
from trunkline_sandbox.model.snapshots import Held, Snapshot


@dataclass(frozen=True, slots=True)
class Ability:
    """What a provider can do; what it cannot is refused before the work begins."""

    egress_policy: bool
    unix_sockets: bool
    snapshots: bool = False
    stdin: bool = True
    freeze: bool = True
    egress_ports: bool = False
    """Single ports of hosts; without it, whole hosts alone."""
    sizes: bool = False
    """Processors, memory and disk as they are asked for."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A sandbox to be: its id is its key, so making it twice makes one."""

    id: SandboxId
    limits: Limits
    labels: Mapping[str, str] = field(default_factory=dict)
    """`tenant` and `task` at least; reconciling goes by them."""
    egress: tuple[str, ...] = ()
    """Hosts (`name` or `name:port`) that may be reached; none is the default."""
    span: Span | None = None
    """Of one that is kept between jobs."""


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
    """Leave stdin open behind `stdin`, for entries that are told later; else it is closed."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Read-only files by their absolute path below `/run/trunkline` inside."""
    home_files: Mapping[str, bytes] = field(default_factory=dict)
    """Files by their path below the agent's home."""
    tools: Mapping[str, Path] = field(default_factory=dict)
    """Host files shown read-only at an absolute path below `/opt/agent` inside."""
    sockets: Mapping[str, Path] = field(default_factory=dict)
    """Host unix sockets, or folders of them, shown below `/run/host` inside, by name. A socket made anew is found only in a folder."""
    forwards: Mapping[int, str] = field(default_factory=dict)
    """Ports of the loopback inside, each leading to a unix socket inside."""
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

    async def tell(self, id: SandboxId, key: str, entry: Entry) -> None:
        """Returns when it is journalled; the program reads it when it reads. Raises Conflict PROGRAM_ENDED or STDIN_CLOSED."""
        ...

    async def told(self, id: SandboxId, key: str) -> frozenset[str]:
        """Ids of every entry told so far."""
        ...

    async def freeze(self, id: SandboxId) -> None:
        """Stop everything inside where it stands, but for the runner; its wall clock stands still too."""
        ...

    async def thaw(self, id: SandboxId) -> None: ...

    async def stop(self, id: SandboxId, key: str = "") -> None:
        """End everything that runs inside and keep the files; with the `key` of a start only if no other start runs by now."""
        ...

    async def take(self, id: SandboxId) -> Path:
        """The workspace as the agent left it, as a tree on this machine. Nothing may run inside any more."""
        ...

    async def remove(self, id: SandboxId) -> None: ...

    async def list(self) -> list[Sandbox]:
        """Every sandbox of ours that the provider knows."""
        ...


class Agent(Protocol):
    """A coding agent as a program with a conversation; everything but `launch` is pure."""

    name: str
    skill: Skill

    def launch(self, task: AgentTask, key: str) -> Launch: ...

    def opening(self, task: AgentTask, key: str) -> Talk:
        """The conversation before its first line."""
        ...

    def hear(self, line: Line, talk: Talk) -> Heard: ...

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        """`message` is its id; empty when it cannot be said now."""
        ...

    def answer(self, talk: Talk, ask: Ask, verdict: Verdict) -> tuple[Entry, ...]: ...

    def interrupt(self, talk: Talk, wish: str) -> tuple[Entry, ...]: ...

    def farewell(self, talk: Talk) -> tuple[Entry, ...]:
        """Ends the program once it did what it was told."""
        ...

    def outcome(self, talk: Talk, exit: Exit) -> Ending: ...

    def session_files(self, talk: Talk) -> tuple[str, ...]:
        """Patterns below its home that hold the conversation."""
        ...


@dataclass(frozen=True, slots=True)
class Remote:
    """How git reaches a repository. `env` may carry settings and goes to git's environment only."""

    url: str
    env: Mapping[str, str] = field(default_factory=dict)
    credentials: Path | None = None
    """A unix socket where git asks for user and password by its credential-cache protocol."""


@dataclass(frozen=True, slots=True)
class Access:
    """On whose behalf the forge is spoken to. `token` is the caller's own, else the installation's credential is used."""

    repo: str
    token: str = field(default="", repr=False)


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


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did to one file."""

    path: str
    kind: str
    """added, modified, deleted, renamed, type (mode or link)."""
    added: int
    deleted: int
    binary: bool


@dataclass(frozen=True, slots=True)
class AddedLine:
    """One line that a commit adds; `number` counts from 1 in the file as it is then."""

    path: str
    number: int
    text: str


class Git(Protocol):
    """Git on our side of the wall. `bare` is a clean repository that the agent never saw."""

    async def fetch(self, remote: Remote, branch: str, bare: Path) -> str:
        """Bring `branch` into `bare` (made when missing); returns its commit. Raises NotFound or Invalid."""

    async def checkout(self, bare: Path, commit: str, tree: Path, base: str = "") -> None:
        """Make `tree` a working tree with a throw-away repository of its own, replacing what was there.

        With a `base` the tree is that of `commit` all the same, as a change to `base` that nobody committed yet.
        """
        ...

    async def commit(self, bare: Path, base: str, tree: Path, spec: CommitSpec) -> Commit | None:
        """Commit what differs between `base` and `tree` into `bare`; None when nothing does."""

    async def push(self, bare: Path, remote: Remote, commit: str, branch: str, expected: str = "") -> None:
        """Make `branch` at the remote be `commit`. Raises Conflict when it is something else already, or is `expected` no more."""

    async def changes(self, bare: Path, base: str, commit: str) -> tuple[Change, ...]:
        """What differs between two commits, file by file."""
        ...

    def added_lines(self, bare: Path, base: str, commit: str) -> AsyncIterator[AddedLine]:
        """What was added between two commits, at most 8 MiB in all; a last line with the number 0 says that there is more."""
        ...

    async def discard(self, folder: Path) -> None:
        """Remove a folder with repositories and trees in it, whatever an agent or a repository put there; nothing there is fine."""


@dataclass(frozen=True, slots=True)
class PullRequestSpec:
    """A pull request to be; its head names it."""

    repo: str
    base: str
    head: str
    title: str
    body: str
    commit: str
    task: str = ""
    """Named in the body's trailer, so that news of the pull request find their task."""
    note: str = ""
    """What a pull request is told that is there already and does not name the task, in front of its trailers."""
    url: str = ""
    """Where its timeline is shown."""
    cost: str = ""
    """What it cost, in words, for forges that say so in a comment."""


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

    def remote(self, access: Access) -> AbstractAsyncContextManager[Remote]:
        """Usable inside the block, and nowhere after it."""

    async def open_pull_request(self, access: Access, spec: PullRequestSpec) -> PullRequest:
        """Found again by its head before one is made."""

    async def branch_for(self, access: Access, number: int) -> str:
        """Where work about a pull request begins: on its own branch while it is open. Raises NotFound, Denied FORK_PULL_REQUEST."""

    async def tell_status(self, access: Access, commit: str, state: str, told: str) -> None:
        """`state`: pending, success or failure; a forge without such a thing does nothing."""

    async def show_pull_request(self, repo: str, number: int) -> PullRequestPage:
        """Raises NotFound; Unsupported where the forge has pages of its own."""
        ...


class Copies(Protocol):
    """What a provider lets us read of a sandbox while programs run in it; no link of theirs is followed."""

    async def mirror(self, id: SandboxId, folder: Path) -> bool:
        """Bring `folder` up to date with the workspace, without its repositories; False if it surely was. Raises Exhausted if too much."""

    async def keep_home(self, id: SandboxId, patterns: tuple[str, ...], file: Path, unless: str = "") -> str:
        """Pack what matches below the agent's home into `file` and return its digest; nothing is packed where that is `unless`.

        Raises Exhausted when it is too much.
        """
        ...


class Keep(Protocol):
    """Where workspaces and conversations outlive their sandboxes."""

    async def keep(self, held: Held, prefix: str, at: int) -> Snapshot:
        """As it stands now, also while programs run; `prefix` begins its name. Raises Exhausted when it is too much."""
        ...

    async def prepare(self, held: Held, at: int) -> None:
        """Do ahead what is the same for the next snapshot if nothing changes until then; nothing is kept by it. Raises Exhausted."""

    async def put_away(self, id: SandboxId) -> None:
        """The attempt is over: keep its snapshots for some days. May be repeated."""

    async def restore(self, id: SandboxId, snapshot: Snapshot, bare: Path) -> None:
        """Let `bare` hold all that the attempt's repository held. Raises NotFound SNAPSHOT_LOST."""

    async def home(self, id: SandboxId, snapshot: str) -> Mapping[str, bytes]:
        """The files of the conversation by their path below the agent's home. Raises NotFound SNAPSHOT_LOST."""
        ...

    async def sweep(self) -> None:
        """Drop what was kept for long enough, and the oldest of what is too much."""


class Till(Protocol):
    """What the model door asks about money."""

    async def admit(self) -> None:
        """Returns when the job may ask its model; waits while its budget is used up."""
        ...

    async def spent(self, answer: ModelAnswered) -> None: ...

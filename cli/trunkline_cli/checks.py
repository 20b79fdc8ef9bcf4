"""What this machine must have and should have, each check with its remedy; none of them changes anything."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import DomainError
from trunkline_cli import nats_binary, unfinished
from trunkline_cli.data_dir import LEAST_FREE

MOUNT: Final = Path("/sys/fs/cgroup")
COMFORT: Final = 2 << 30
REMEDY: Final = (
    "Fine for agents that you trust. For limits that the kernel keeps, and parts of cores, run as root or as a systemd user service "
    "with Delegate=yes."
)
SEALS: Final = (
    "Set one TRUNKLINE_VAULT_KEY (`openssl rand -hex 32`), or TRUNKLINE_VAULT_KEY_FILE, for all gateways, sandbox services and relays; "
    "`trunkline up` makes its own."
)
LOOSER: Final = "memory is weighed instead (AGENT_MEMORY_LIMIT holds), and whole cores are pinned"


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    MISSING = "missing"
    REFUSED = "refused"
    """It is there, and Trunkline does not take it."""

    @property
    def enough(self) -> bool:
        """Whether Trunkline runs all the same."""
        return self in (State.OK, State.WARN)


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do if that is not enough."""

    name: str
    state: State
    found: str
    remedy: str = ""


def python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check(
        "python", State.OK if ok else State.MISSING, platform.python_version(), "" if ok else "Trunkline needs Python 3.11 or later."
    )


def git() -> Check:
    remedy = "Install git (Debian, Ubuntu: `apt-get install git`)."
    try:
        said = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return Check("git", State.MISSING, "not found", remedy)
    return Check("git", State.OK, said.removeprefix("git version").strip())


def nats_server() -> Check:
    try:
        binary = nats_binary.find()
        return Check("nats-server", State.OK, f"{nats_binary.version(binary)} ({binary})")
    except DomainError as error:
        return Check("nats-server", State.MISSING, "not usable", error.message)


def isolation() -> Check:
    """Starts one empty sandbox, as the sandbox service does before it says that it is ready."""
    provider = import_module("trunkline_sandbox.adapters.providers.local").LocalProvider
    with tempfile.TemporaryDirectory(prefix="trunkline-doctor-") as folder:
        Path(folder).chmod(0o755)
        try:
            return Check("isolation", State.OK, str(provider(Path(folder)).isolation))
        except DomainError as error:
            return Check("isolation", State.MISSING, "agents cannot be isolated", error.message)


def user_namespaces() -> Check:
    """Only a hint: `isolation` is the proof."""
    settings = {
        "kernel.apparmor_restrict_unprivileged_userns": ("1", "Allow them: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`."),
        "kernel.unprivileged_userns_clone": ("0", "Allow them: `sysctl kernel.unprivileged_userns_clone=1`."),
        "user.max_user_namespaces": ("0", "Allow them: `sysctl user.max_user_namespaces=10000`."),
    }
    for name, (closed, remedy) in settings.items():
        if _read(Path("/proc/sys") / name.replace(".", "/")) == closed:
            return Check("user namespaces", State.WARN, f"{name} = {closed}", remedy)
    return Check("user namespaces", State.OK, "not restricted")


def cgroups() -> Check:
    """Without control groups the runner weighs the memory of an agent and all its children, and pins them; the kernel does it better."""
    found = import_module("trunkline_sandbox.adapters.providers.local.limits")
    return limits(str(found.words(found.find())))


def limits(words: str) -> Check:
    """What the limits on agents are worth where this is all that the machine gives. Pure."""
    if not words.startswith("cgroup"):
        return Check("control groups", State.WARN, f"none that we may write: {LOOSER}", REMEDY)
    return Check("control groups", State.OK, words)


def data_dir(root: Path) -> Check:
    place = next(each for each in (root, *root.parents) if each.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Check("data directory", State.MISSING, f"{place} cannot be written", "Make it writable or give another --data-dir.")
    if unfinished.is_unfinished(root):
        told = f"a backup was not restored to its end in {root}"
        return Check("data directory", State.MISSING, told, "Run `trunkline restore` again, with the same file.")
    return Check("data directory", State.OK, str(root))


def disk(root: Path) -> Check:
    place = next(each for each in (root, *root.parents) if each.exists())
    free = shutil.disk_usage(place).free
    state = State.MISSING if free < LEAST_FREE else State.WARN if free < COMFORT else State.OK
    remedy = "" if state is State.OK else f"Free some space: {COMFORT >> 30} GiB let agents work, {LEAST_FREE >> 20} MiB are the least."
    return Check("disk", state, f"{free / (1 << 30):.1f} GiB free", remedy)


def open_files(hard: int, streams: int) -> Check:
    """Whether one gateway may hold as many readers as it is to: it raises its own limit of open files as far as `hard`. Pure."""
    counting = import_module("trunkline_gateway.adapters.descriptors")
    needed = streams + int(counting.SPARE)
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return Check("open files", State.OK, f"enough for {streams:,} readers of one gateway")
    fits = int(counting.fitting(streams, hard))
    remedy = (
        f"For {streams:,} a gateway needs {needed}: raise the hard limit (`ulimit -Hn {needed}` as root, of systemd LimitNOFILE={needed}, "
        f"of a container --ulimit nofile={needed}:{needed}), start more gateways, or set TRUNKLINE_STREAM_LIMIT={fits}."
    )
    return Check("open files", State.WARN, f"at most {hard}: one gateway takes {fits:,} readers, and refuses the next (NO_ROOM)", remedy)


@dataclass(frozen=True, slots=True)
class Brought:
    """An agent whose program somebody brings: who looks for it, and the key that its model wants."""

    module: str
    finder: str
    key: str


AGENTS: Final = {
    "claude": Brought("claude_binary", "find_claude", "ANTHROPIC_API_KEY"),
    "codex": Brought("codex_binary", "find_codex", "OPENAI_API_KEY"),
    "opencode": Brought("opencode", "find_opencode", "OPENAI_API_KEY or ANTHROPIC_API_KEY"),
}


def agent(name: str, command: str, program: Path | None, key: bool) -> Check:
    """The configured agent; its absence stops nothing until a task comes."""
    brought = AGENTS.get(name)
    if brought is None:
        state = State.OK if command else State.WARN
        return Check(
            "agent", state, "command" if command else "command, but none is set", "" if command else "Set TRUNKLINE_AGENT_COMMAND."
        )
    try:
        found = getattr(import_module(f"trunkline_sandbox.adapters.agents.{brought.module}"), brought.finder)(program)
    except DomainError as error:
        return Check("agent", State.WARN, f"{name}, but it was not found", f"{error.message}. Or set TRUNKLINE_AGENT=command.")
    remedy = "" if key else f"Set {brought.key}."
    return Check("agent", State.OK if key else State.WARN, f"{name} ({found})" + ("" if key else ", but there is no key"), remedy)


def cloud(name: str, wanted: bool, key: bool, address: str) -> Check:
    """What sandboxes at a cloud need on this side: its SDK is called as the cloud is. Nobody is asked over the network."""
    if not wanted:
        return Check(name, State.OK, f"not used; TRUNKLINE_SANDBOX={name} puts sandboxes there")
    if find_spec(name) is None:
        return Check(name, State.MISSING, "its SDK is not installed", f"`pip install 'trunkline[{name}]'`.")
    if not key:
        return Check(name, State.MISSING, "there is no key", f"Set {name.upper()}_API_KEY.")
    return Check(name, State.OK, f"SDK {version(name)}, a key, {address}")


def model_door(sandbox: str, agent: str, url: str) -> Check:
    """How agents reach their models from where sandboxes are. Pure."""
    if sandbox == "local":
        return Check("model door", State.OK, "by a socket on this machine")
    if url:
        return Check("model door", State.OK, url)
    if agent not in AGENTS:
        return Check("model door", State.OK, f"none; the agent {agent} needs none")
    found = f"none: the agent {agent} cannot reach its model from {sandbox}, and is refused there"
    return Check("model door", State.WARN, found, "Set TRUNKLINE_MODEL_DOOR_URL to where the sandboxes reach this machine, by https.")


def vault(key: bool, made: bool, *, outside: bool) -> Check:
    """Whether there is a `key` that was set, or `made` by `up`; `outside`: services are started one by one, and nobody makes one. Pure."""
    if key or made:
        return Check("vault key", State.OK, "set" if key else "made by `trunkline up`")
    if not outside:
        return Check("vault key", State.OK, "none yet; `trunkline up` makes one in the data directory")
    found = "none: tasks with a caller's own token, and webhooks, are refused (NO_VAULT_KEY)"
    return Check("vault key", State.WARN, found, SEALS)


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """A check that breaks is a finding, not a crash."""
    try:
        return check()
    except (OSError, ImportError, AttributeError, subprocess.SubprocessError) as error:
        return Check(name, State.WARN, f"could not be looked at: {error}")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

"""A start as it is carried into a sandbox: one parcel with the runner's job, what is read first, and every file. Pure but for tools."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import Invalid, NotFound, Unsupported
from trunkline_sandbox.adapters.providers.local import profile
from trunkline_sandbox.adapters.providers.local.starting import GRACE
from trunkline_sandbox.adapters.providers.local.unsafe import outside
from trunkline_sandbox.adapters.providers.remote.inside import parcel
from trunkline_sandbox.adapters.providers.remote.inside.ending import MARK
from trunkline_sandbox.adapters.providers.remote.inside.telling import TOLD
from trunkline_sandbox.adapters.providers.remote.rooms import Room
from trunkline_sandbox.adapters.providers.remote.vendor import Vendor
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Launch

LARGEST_TOOL: Final = 64 << 20
RESERVE: Final = 64 << 20
"""Free space of the sandbox's disk below which its program is ended."""
LONGEST_ID: Final = 256


def run_name(key: str) -> str:
    """Names the folder of a start."""
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def check(launch: Launch, vendor: Vendor) -> None:
    """Refuse what this provider cannot do, and what nobody can. Raises Unsupported, Invalid, NotFound."""
    if launch.sockets or launch.forwards:
        raise Unsupported(
            f"The provider {vendor.id} cannot show unix sockets of this machine to an agent; take one that needs none, or run locally.",
            code="PROVIDER_CANNOT_UNIX_SOCKETS",
        )
    words = [*launch.argv, *launch.env, *launch.env.values()]
    if not launch.argv or any("\0" in word for word in words) or any("=" in name for name in launch.env):
        raise Invalid("A program to start is needed, and no NUL in its arguments and variables.", code="BAD_LAUNCH")
    for path, below in (*((path, "/run/trunkline") for path in launch.files), *((path, "/opt/agent") for path in launch.tools)):
        if not path.startswith(below + "/") or os.path.normpath(path) != path:
            raise Invalid(f"{path} is not below {below}.", code="BAD_LAUNCH")
    for name in launch.home_files:
        if any(part in ("", ".", "..") or "\0" in part for part in name.split("/")):
            raise Invalid(f"{name!r} is no path below the agent's home.", code="BAD_HOME_FILE")
    _check_tools(launch)


def _check_tools(launch: Launch) -> None:
    for source in launch.tools.values():
        if not source.exists():
            raise NotFound(f"{source} is to be shown in the sandbox and is not there.", code="NO_SUCH_TOOL")


def carried(launch: Launch) -> dict[str, Path]:
    """Tools that go along with every start, by their path inside."""
    return {path: tool for path, tool in launch.tools.items() if tool.is_file() and tool.stat().st_size <= LARGEST_TOOL}


def needed(launch: Launch) -> list[str]:
    """Paths inside of what is too much to go along: what sandboxes are made of has to hold them."""
    return sorted(set(launch.tools) - set(carried(launch)))


def missing(paths: list[str], vendor: Vendor) -> Unsupported:
    told = f"{', '.join(paths)} is too large to go to {vendor.name} with every task; put it there into what sandboxes are made of."
    return Unsupported(told, code="PROVIDER_CANNOT_LARGE_TOOL")


def order(room: Room, launch: Launch) -> bytes:
    """The parcel. Blocks while it reads tools."""
    out = io.BytesIO()
    parcel.put(out, parcel.FILE, b"job", _job(room, launch))
    parcel.put(out, parcel.FILE, b"stdin", launch.stdin)
    if launch.keep_stdin:
        parcel.put(out, parcel.FILE, b"entries_follow", b"")
    files = {f"shown/{path.removeprefix('/run/trunkline/')}": (parcel.FILE, data) for path, data in launch.files.items()}
    files |= {f"home/{name}": (parcel.FILE, data) for name, data in launch.home_files.items()}
    files |= {f"tools/{path.removeprefix('/opt/agent/')}": (parcel.PROGRAM, tool.read_bytes()) for path, tool in carried(launch).items()}
    for folder in sorted({folder for name in files for folder in _folders(name)}):
        parcel.put(out, parcel.FOLDER, folder.encode(), b"")
    for name, (kind, data) in files.items():
        parcel.put(out, kind, name.encode(), data)
    parcel.close(out)
    return out.getvalue()


def _folders(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def _job(room: Room, launch: Launch) -> bytes:
    """What the runner is told, as it reads it: eleven numbers, then words, divided by NUL."""
    limit, base = room.limits, room.base
    pairs = paths(base, launch)
    numbers: Mapping[str, float] = {
        "wall": limit.wall, "line": limit.line, "output": limit.output, "disk": limit.disk, "file_size": limit.file_size,
        # The user's processes are all of the sandbox, the cloud's own too: the cloud limits them.
        "processes": 0, "reserve": RESERVE, "grace": GRACE, "open": True, "memory": limit.memory, "cores": room.cores,
    }  # fmt: skip
    env = profile.environment(launch.env, proxied=False) | ({} if "PATH" in launch.env or not room.path else {"PATH": room.path})
    env = {name: outside(value, pairs) for name, value in env.items()} | {MARK: base}
    argv = [outside(word, pairs) for word in launch.argv]
    words = [f"{name}={float(value)!r}" for name, value in numbers.items()]
    words += [(launch.ends_with or b"").hex(), f"{base}/workspace", f"{base}/home", str(len(argv)), *argv]
    return "\0".join([*words, *(f"{name}={value}" for name, value in env.items())]).encode("utf-8", "surrogateescape")


def paths(base: str, launch: Launch) -> dict[str, str]:
    """Path as an agent knows it to path in a cloud, where nobody but root may make folders at the top."""
    name = run_name(launch.key)
    tools = {path: f"{base}/tools/{name}/{path.removeprefix('/opt/agent/')}" for path in carried(launch)}
    return {"/run/trunkline": f"{base}/shown/{name}", "/home/agent": f"{base}/home", "/workspace": f"{base}/workspace", **tools}


def frame(entry: Entry) -> bytes:
    """An entry as the journal holds it. Raises Invalid."""
    name = entry.id.encode()
    if not 0 < len(name) <= LONGEST_ID:
        raise Invalid(f"An entry's id has 1 to {LONGEST_ID} bytes.", code="BAD_ENTRY")
    return TOLD.pack(b"C" if entry.close else b"D", len(name), len(entry.data)) + name + entry.data

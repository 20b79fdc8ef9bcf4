"""What exists inside a sandbox, as the argv of bubblewrap: everything that is not named here does not exist there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

PATH = "/usr/local/bin:/usr/bin:/bin"
PROXY = "http://127.0.0.1:3128"
_ETC = ("ssl", "ca-certificates", "alternatives", "ld.so.cache", "localtime", "nsswitch.conf", "mime.types")
_PROC = ("sys", "sysrq-trigger", "irq", "bus", "acpi", "scsi", "asound")


@dataclass(frozen=True, slots=True)
class Bind:
    """A host path shown inside."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """One bubblewrap to be. Sizes in bytes."""

    binary: str
    binds: tuple[Bind, ...]
    links: Mapping[str, str] = field(default_factory=dict)
    """The host's merged-/usr links: `/bin` to `usr/bin`."""
    data: Mapping[str, int] = field(default_factory=dict)
    """Small read-only files by their path inside, as open files with the content."""
    info_fd: int | None = None
    seccomp_fd: int | None = None
    tmp: int = 256 << 20
    shm: int = 64 << 20


def argv(profile: Profile, command: tuple[str, ...]) -> list[str]:
    """The whole command line; `command` runs as the first process of the sandbox."""
    return [
        profile.binary,
        *_walls(profile),
        *_system(profile),
        *(word for bind in profile.binds for word in _bind(bind)),
        *(word for path, fd in profile.data.items() for word in ("--ro-bind-data", str(fd), path)),
        *_closed(),
        *("--chdir", "/workspace", "--clearenv", "--setenv", "PATH", PATH, "--"),
        *command,
    ]


def environment(given: Mapping[str, str], proxied: bool) -> dict[str, str]:
    """The agent's whole environment: nothing of the host's."""
    env = {"PATH": PATH, "HOME": "/home/agent", "USER": "agent", "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
    if proxied:
        env |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), PROXY) | {"no_proxy": "localhost,127.0.0.1"}
    return env | dict(given)


def _walls(profile: Profile) -> Iterator[str]:
    yield from ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--disable-userns", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--new-session", "--cap-drop", "ALL")
    # The runner is the first process: from inside, nobody can kill or stop that one.
    yield "--as-pid-1"
    if profile.info_fd is not None:
        yield from ("--info-fd", str(profile.info_fd))
    if profile.seccomp_fd is not None:
        yield from ("--seccomp", str(profile.seccomp_fd))


def _system(profile: Profile) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path, target in profile.links.items():
        yield from ("--symlink", target, path)
    for name in _ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev", "--size", str(profile.shm), "--tmpfs", "/dev/shm")
    yield from ("--size", str(profile.tmp), "--tmpfs", "/tmp", "--dir", "/run", "--dir", "/home", "--dir", "/opt")


def _bind(bind: Bind) -> tuple[str, ...]:
    return ("--bind" if bind.writable else "--ro-bind", bind.source, bind.target)


def _closed() -> Iterator[str]:
    # bubblewrap covers /proc/sys only where it finds it writable, and leaves its own root and /dev writable.
    for name in _PROC:
        yield from ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")
    yield from ("--remount-ro", "/dev", "--remount-ro", "/")

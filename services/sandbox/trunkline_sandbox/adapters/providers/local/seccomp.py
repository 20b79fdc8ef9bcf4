"""System calls that no coding agent needs and that kernels were broken through, as a filter program for bubblewrap."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_X86: Mapping[str, int] = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "acct": 163, "swapon": 167, "swapoff": 168, "reboot": 169,
    "init_module": 175, "delete_module": 176, "quotactl": 179, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "perf_event_open": 298, "setns": 308, "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_ARM: Mapping[str, int] = {
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "acct": 89, "quotactl": 60, "kexec_load": 104, "init_module": 105,
    "delete_module": 106, "reboot": 142, "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225,
    "perf_event_open": 241, "setns": 268, "finit_module": 273, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
}  # fmt: skip
_BOTH = (*range(425, 434), 442)
"""io_uring_setup, _enter, _register; open_tree, move_mount, fsopen, fsconfig, fsmount, fspick; mount_setattr."""
_MACHINES = {"x86_64": (0xC000003E, _X86), "aarch64": (0xC00000B7, _ARM)}
_SOCKETS: Mapping[str, tuple[int, int]] = {"x86_64": (41, 53), "aarch64": (198, 199)}
"""socket, socketpair."""
_FAMILIES = (1, 2, 10, 16)
"""unix, IPv4, IPv6, netlink. Others reach past the empty network (vsock: the hypervisor), or are only there to be broken."""
_AFFINITY = {"x86_64": 203, "aarch64": 122}
"""sched_setaffinity."""
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _EPERM, _ENOSYS, _EAFNOSUPPORT = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050061
_X32 = 0x40000000


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction. `to` is where it jumps when its comparison holds; otherwise the next one follows."""

    operation: int
    value: int
    to: str = ""
    name: str = ""


def program(machine: str, pinned: bool = False) -> bytes | None:
    """The filter for `machine` (as `platform.machine()` names it); None where we know no numbers. `pinned` denies choosing processors."""
    if machine not in _MACHINES:
        return None
    architecture, names = _MACHINES[machine]
    denied = sorted({*names.values(), *_BOTH, *([_AFFINITY[machine]] if pinned else [])})
    steps = [
        Step(_LOAD, _ARCHITECTURE), Step(_EQUAL, architecture, "ours"), Step(_RETURN, _ENOSYS),
        Step(_LOAD, _NUMBER, name="ours"), Step(_AT_LEAST, _X32, "denied"),
        *(Step(_EQUAL, number, "denied") for number in denied),
        *(Step(_EQUAL, number, "socket") for number in _SOCKETS[machine]),
        Step(_RETURN, _ALLOW), Step(_RETURN, _EPERM, name="denied"),
        # The kernel takes the family for an int, so its upper half is of no account.
        Step(_LOAD, _FIRST_ARGUMENT, name="socket"), *(Step(_EQUAL, family, "allowed") for family in _FAMILIES),
        Step(_RETURN, _EAFNOSUPPORT), Step(_RETURN, _ALLOW, name="allowed"),
    ]  # fmt: skip
    return _assembled(steps)


def _assembled(steps: Sequence[Step]) -> bytes:
    places = {step.name: at for at, step in enumerate(steps) if step.name}
    jumps = (places[step.to] - at - 1 if step.to else 0 for at, step in enumerate(steps))
    return b"".join(struct.pack("<HBBI", step.operation, jump, 0, step.value) for step, jump in zip(steps, jumps, strict=True))

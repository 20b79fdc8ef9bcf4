"""System calls that no coding agent needs and that kernels were broken through, as a filter program for bubblewrap."""

from __future__ import annotations

import struct
from collections.abc import Mapping

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
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_X32 = 0x40000000


def program(machine: str) -> bytes | None:
    """The filter for `machine` (as `platform.machine()` names it); None where we know no numbers."""
    if machine not in _MACHINES:
        return None
    architecture, names = _MACHINES[machine]
    denied = sorted({*names.values(), *_BOTH})
    code = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _ENOSYS), (_LOAD, 0, 0, 0)]
    code += [(_AT_LEAST, len(denied) + 1, 0, _X32)]
    code += [(_EQUAL, len(denied) - at, 0, number) for at, number in enumerate(denied)]
    code += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    return b"".join(struct.pack("<HBBI", *step) for step in code)

"""Becomes another program that the kernel kills when its parent dies: `python -I -S tether.py PARENT_PID PROGRAM ARG…` (stdlib only).

A wrapper and not `preexec_fn`, which runs Python between fork and exec and may hang where threads hold locks.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie(parent: int) -> bool:
    """From here on the kernel kills this process when `parent` dies; False if it has died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if not tie(parent):
        sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()

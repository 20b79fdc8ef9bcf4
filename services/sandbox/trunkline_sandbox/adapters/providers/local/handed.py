"""Open files that a program is to inherit, closed on our side when it has them."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType


@dataclass(slots=True)
class Handed:
    """A bundle of open files; leaving the `with` block closes our copies."""

    fds: list[int] = field(default_factory=list)

    def __enter__(self) -> Handed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()

    def open(self, path: Path | str, flags: int, mode: int = 0o600) -> int:
        return self._keep(os.open(path, flags | os.O_CLOEXEC, mode))

    def memory(self, data: bytes) -> int:
        """A file with this content that is on no disk."""
        fd = self._keep(os.memfd_create("trunkline", os.MFD_CLOEXEC))
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def pipe(self) -> tuple[int, int]:
        """Its reading end, then its writing end."""
        read, write = os.pipe2(os.O_CLOEXEC)
        return self._keep(read), self._keep(write)

    def take_over(self, other: Handed, *fds: int) -> Handed:
        """Close with this bundle what was opened in another."""
        for fd in fds:
            other.fds.remove(fd)
            self._keep(fd)
        return self

    def listening(self) -> tuple[int, int]:
        """A socket that listens on a free port of the loopback, and the port."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
            port = int(server.getsockname()[1])
            return self._keep(server.detach()), port

    def _keep(self, fd: int) -> int:
        self.fds.append(fd)
        return fd

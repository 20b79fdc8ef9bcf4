"""The way out of a sandbox: 127.0.0.1:3128 inside, carried byte for byte to the allow-list proxy's unix socket."""

from __future__ import annotations

import _socket
import _thread
import os
import sys
import time

PROXY = "/run/egress/egress.sock"
AT_ONCE = 64
open_now = _thread.allocate_lock()
room = [AT_ONCE]


def pump(source: _socket.socket, target: _socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(_socket.SHUT_WR)
    except OSError:
        abandon(source, target)


def abandon(*ends: _socket.socket) -> None:
    """Wake whoever still waits for one of them."""
    for end in ends:
        try:
            end.shutdown(_socket.SHUT_RDWR)
        except OSError:
            continue


def back(source: _socket.socket, target: _socket.socket, done: _thread.LockType) -> None:
    pump(source, target)
    done.release()


def carry(fd: int) -> None:
    here = _socket.socket(fileno=fd)
    there = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        there.connect(PROXY)
        done = _thread.allocate_lock()
        done.acquire()
        _thread.start_new_thread(back, (there, here, done))
        pump(here, there)
        done.acquire()
    except OSError:
        abandon(here)
    finally:
        here.close()
        there.close()
        with open_now:
            room[0] += 1


def main() -> None:
    server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", 3128))
    server.listen(64)
    ready = int(sys.argv[1])
    os.write(ready, b"r")
    os.close(ready)
    while True:
        while room[0] <= 0:
            time.sleep(0.01)
        fd, _ = server._accept()  # type: ignore[attr-defined]  # `accept` would make a socket object of each
        with open_now:
            room[0] -= 1
        _thread.start_new_thread(carry, (fd,))


if __name__ == "__main__":
    main()

"""Free ports and taken ones, found out before anything is started, and held until somebody listens there."""

from __future__ import annotations

import errno
import socket

from trunkline.contracts.errors import Conflict, Invalid

LOOPBACK = "127.0.0.1"


def free_port(preferred: int = 0, host: str = LOOPBACK) -> int:
    """`preferred` when nobody listens there, else any free port."""
    for port in (preferred, 0):
        try:
            with _bound(host, port) as probe:
                return port_of(probe)
        except OSError:
            continue
    raise Conflict(f"No port is free on {host}.", code="PORT_IN_USE")


def claim(host: str, port: int) -> socket.socket:
    """The port to listen on, bound; 0 picks a free one. Raises Conflict (PORT_IN_USE) or Invalid (BAD_HOST).

    As long as it is open no connection that passes is given the port; a server may listen there.
    """
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} on {host} is in use. Stop what listens there, or choose another by --port (0 picks a free one).",
                code="PORT_IN_USE",
            ) from None
        raise Invalid(f"{host}:{port} cannot be listened on ({error.strerror}). Check --host and --port.", code="BAD_HOST") from None


def _bound(host: str, port: int) -> socket.socket:
    """Bound and not listening: others that reuse addresses, as servers do, may still listen there."""
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    except BaseException:
        probe.close()
        raise
    return probe


def port_of(probe: socket.socket) -> int:
    port: int = probe.getsockname()[1]
    return port


def base_url(host: str, port: int) -> str:
    """How this machine reaches a server that listens on `host`."""
    reachable = {"0.0.0.0": LOOPBACK, "::": "[::1]", "": LOOPBACK}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{reachable}:{port}"

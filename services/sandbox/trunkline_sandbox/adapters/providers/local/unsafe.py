"""--unsafe-local: the same runner with no walls at all; the paths that an agent knows become paths of the host."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from trunkline_sandbox.adapters.providers.local.places import Place
from trunkline_sandbox.ports import Launch

ISOLATION = "none (--unsafe-local)"
MARK = "TRUNKLINE_SANDBOX_MARK"


def mark(place: Place) -> str:
    """What every process of this sandbox carries in its environment, so that the ones that slipped away are found."""
    return hashlib.sha256(str(place.dir).encode()).hexdigest()


def paths(place: Place, launch: Launch) -> dict[str, str]:
    """Path inside a sandbox to path of the host, longest first."""
    pairs = {"/workspace": str(place.workspace), "/home/agent": str(place.home), "/run/trunkline": str(place.shown(launch.key))}
    pairs |= {path: str(source) for path, source in launch.tools.items()}
    pairs |= {f"/run/host/{name}": str(source) for name, source in launch.sockets.items()}
    return dict(sorted(pairs.items(), key=lambda pair: -len(pair[0])))


def translated(launch: Launch, pairs: Mapping[str, str], ports: Mapping[int, int]) -> Launch:
    """The launch with host paths wherever an argument or a variable names one from inside, and the ports of this machine everywhere."""
    return replace(
        launch,
        argv=tuple(_ported(outside(word, pairs), ports) for word in launch.argv),
        env={name: _ported(outside(value, pairs), ports) for name, value in launch.env.items()},
        files={path: _ported_bytes(data, ports) for path, data in launch.files.items()},
        home_files={path: _ported_bytes(data, ports) for path, data in launch.home_files.items()},
    )


def _ported(text: str, ports: Mapping[int, int]) -> str:
    return _ported_bytes(text.encode("utf-8", "surrogateescape"), ports).decode("utf-8", "surrogateescape")


def _ported_bytes(data: bytes, ports: Mapping[int, int]) -> bytes:
    for inside, there in ports.items():
        data = re.sub(rb"\b(127\.0\.0\.1|localhost):%d\b" % inside, rb"\g<1>:%d" % there, data)
    return data


def outside(text: str, pairs: Mapping[str, str]) -> str:
    """Where on this machine a path from inside is; any other text as it is."""
    for inside, there in pairs.items():
        if text == inside or text.startswith(inside + "/"):
            return there + text[len(inside) :]
    return text

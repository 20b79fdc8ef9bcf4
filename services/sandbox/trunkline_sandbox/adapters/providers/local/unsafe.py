"""--unsafe-local: the same runner with no walls at all; the paths that an agent knows become paths of the host."""

from __future__ import annotations

import hashlib
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


def translated(launch: Launch, pairs: Mapping[str, str]) -> Launch:
    """The launch with host paths wherever an argument or a variable names one from inside."""
    argv = tuple(_translate(word, pairs) for word in launch.argv)
    return replace(launch, argv=argv, env={name: _translate(value, pairs) for name, value in launch.env.items()})


def _translate(text: str, pairs: Mapping[str, str]) -> str:
    for inside, outside in pairs.items():
        if text == inside or text.startswith(inside + "/"):
            return outside + text[len(inside) :]
    return text

"""The omni dialect in front of a small world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from trunkline.auth.signing_keys import SigningKeys
from trunkline.auth.tokens import Tokens
from trunkline_gateway import channel
from trunkline_gateway.body import BodyReader
from trunkline_gateway.channel import Channels
from trunkline_gateway.dialects.omni import encode
from trunkline_gateway.dialects.omni.routes import STORY, Omni
from trunkline_gateway.dialects.omni.routes_realtime import RealtimeRoutes, Ways
from trunkline_gateway.dialects.omni.routes_sandboxes import SandboxRoutes
from trunkline_gateway.dialects.omni.visitors import KeyHolders
from trunkline_gateway.ports import Feed, Happenings
from trunkline_gateway.sockets import Manners, Sockets
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import Tasks
from trunkline_gateway.usecases.desk import Desk
from trunkline_gateway.usecases.realtime import Realtime
from trunkline_gateway.usecases.sandboxes import Sandboxes
from trunkline_gateway.usecases.telling import Telling


@dataclass
class OmniTerms:
    """As the settings would say."""

    signing_keys: tuple[str, ...] = ()
    dev: bool = False
    cors_origins: tuple[str, ...] = ()
    manners: Manners = field(default_factory=lambda: Manners(encode.PING))


class Log(Feed, Happenings, Protocol):
    """Both ways to read it."""


def omni(terms: OmniTerms, log: Log, tasks: Tasks, desk: Desk, means: tuple[Streams, BodyReader]) -> Omni:
    streams, body = means
    channels = Channels(channel.Means(log, lambda tenant: Telling(log, tenant, STORY), encode.frame))
    ways = Ways(channels, log, streams, Sockets(streams, terms.manners))
    assert isinstance(desk.signer, Tokens)
    realtime = Realtime(desk.signer, desk.roll, tasks.now)
    sandboxes = SandboxRoutes(Sandboxes(tasks.commands, tasks.now), body)
    return Omni(tasks, KeyHolders(SigningKeys.of(terms.signing_keys), terms.dev), (RealtimeRoutes(realtime, ways, body), sandboxes))

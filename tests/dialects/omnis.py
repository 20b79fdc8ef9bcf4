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
from trunkline_gateway.dialects.omni.routes_knowledge import KnowledgeRoutes
from trunkline_gateway.dialects.omni.routes_realtime import RealtimeRoutes, Ways
from trunkline_gateway.dialects.omni.routes_sandboxes import SandboxRoutes
from trunkline_gateway.dialects.omni.routes_snapshots import SnapshotRoutes
from trunkline_gateway.dialects.omni.visitors import KeyHolders
from trunkline_gateway.ports import Feed, Happenings
from trunkline_gateway.settings import JOB_ENV
from trunkline_gateway.sockets import Manners, Sockets
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import Tasks
from trunkline_gateway.usecases.desk import Desk
from trunkline_gateway.usecases.knowledge import Knowledge
from trunkline_gateway.usecases.realtime import Realtime
from trunkline_gateway.usecases.sandboxes import Sandboxes
from trunkline_gateway.usecases.snapshots import Snapshots
from trunkline_gateway.usecases.telling import Telling


@dataclass
class OmniTerms:
    """As the settings would say."""

    signing_keys: tuple[str, ...] = ()
    dev: bool = False
    cors_origins: tuple[str, ...] = ()
    job_env: tuple[str, ...] = JOB_ENV
    manners: Manners = field(default_factory=lambda: Manners(encode.PING))
    realtime_token_s: float = 3600.0
    realtime_history_s: float = 86400.0


class Log(Feed, Happenings, Protocol):
    """Both ways to read it."""


def omni(terms: OmniTerms, log: Log, tasks: Tasks, desk: Desk, means: tuple[Streams, BodyReader]) -> Omni:
    streams, body = means
    channels = Channels(channel.Means(log, lambda tenant: Telling(log, tenant, STORY), encode.frame))
    ways = Ways(channels, log, streams, Sockets(streams, terms.manners))
    assert isinstance(desk.signer, Tokens)
    realtime = Realtime(desk.signer, desk.roll, tasks.now, terms.realtime_token_s, terms.realtime_history_s, desk.keys)
    named = Sandboxes(tasks.commands, tasks.now)
    sandboxes = SandboxRoutes(named, body)
    knowledge = KnowledgeRoutes(Knowledge(tasks, named), body, terms.job_env)
    snapshots = SnapshotRoutes(Snapshots(tasks.commands, log, tasks.now), streams)
    parts = (RealtimeRoutes(realtime, ways, body), sandboxes, knowledge, snapshots)
    return Omni(tasks, KeyHolders(SigningKeys.of(terms.signing_keys), terms.dev), parts)

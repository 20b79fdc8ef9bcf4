"""The two clients of a gateway: one for asynchronous programs, one for all others."""

from __future__ import annotations

import os
import ssl
from types import TracebackType
from typing import Self, TypedDict, Unpack

from trunkline.sdk import groups, reach
from trunkline.sdk.credentials import Credentials, credentials
from trunkline.sdk.means import Awaited, Waited
from trunkline.sdk.portal import Portal
from trunkline.sdk.retrying import RETRY_FOR, Patience
from trunkline.sdk.wire import Wire


class ClientOptions(TypedDict, total=False):
    """How the gateway is reached; times in seconds.

    `proxy`: its address; "" for none, else what the environment says. `ca_file` or `ssl_context`: whose certificates are trusted.
    `timeout` for one answer, `connect_timeout` for a connection. `retry_for`: all waits of one call together, 0 for no second try.
    `silence`: without a byte for so long a stream is taken up anew; a gateway says something every 15 s. `stream_retry_for`: for so long a
    stream is taken up again and again without anything to show for it.
    """

    proxy: str
    ca_file: str
    ssl_context: ssl.SSLContext
    timeout: float
    connect_timeout: float
    retry_for: float
    silence: float
    stream_retry_for: float


class AsyncClient:
    """A gateway, for asynchronous programs.

    `base_url`, else TRUNKLINE_URL, else this machine's. `token` or `api_key`, else TRUNKLINE_TOKEN or TRUNKLINE_API_KEY: who asks.
    `github_token`, else TRUNKLINE_GITHUB_TOKEN: for private repositories, and who asks for jobs where Trunkline's own are missing.
    Raises ValueError for what is no address or no credential. It may be used by many coroutines at once.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        api_key: str | None = None,
        github_token: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._means = _means(base_url, credentials(token, api_key, github_token, os.environ), options)
        self.jobs = groups.Jobs(self._means)
        self.job_webhooks = groups.JobWebhooks(self._means)
        self.tasks = groups.Tasks(self._means)
        self.approvals = groups.Approvals(self._means)
        self.events = groups.Events(self._means)
        self.traces = groups.Traces(self._means)
        self.webhooks = groups.Webhooks(self._means)

    @property
    def base_url(self) -> str:
        return self._means.wire.reach.url

    async def close(self) -> None:
        await self._means.wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.base_url!r})"


class Client:
    """A gateway, for programs that are not asynchronous.

    The same as AsyncClient, whose verbs it waits for. Threads may share it, and so may processes that were forked off.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        api_key: str | None = None,
        github_token: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        inner = _means(base_url, credentials(token, api_key, github_token, os.environ), options)
        means = self._means = Waited(inner, Portal(inner.wire.close))
        self.jobs = groups.Jobs(means)
        self.job_webhooks = groups.JobWebhooks(means)
        self.tasks = groups.Tasks(means)
        self.approvals = groups.Approvals(means)
        self.events = groups.Events(means)
        self.traces = groups.Traces(means)
        self.webhooks = groups.Webhooks(means)

    @property
    def base_url(self) -> str:
        return self._means.inner.wire.reach.url

    def close(self) -> None:
        """What is asked of it afterwards raises RuntimeError."""
        self._means.portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"


def _means(base_url: str | None, who: Credentials, options: ClientOptions) -> Awaited:
    url = reach.address(base_url, os.environ)
    proxy = options.get("proxy")
    context = options.get("ssl_context") or reach.context(options.get("ca_file"))
    way = reach.Reach(
        url,
        reach.proxy_of(url, os.environ) if proxy is None else proxy or None,
        context,
        options.get("timeout", reach.ANSWER),
        options.get("connect_timeout", reach.CONNECT),
        options.get("silence", reach.SILENCE),
    )
    patience = Patience(seconds=options.get("retry_for", RETRY_FOR))
    return Awaited(Wire(way, who, patience), patience, options.get("stream_retry_for", reach.GIVE_UP))

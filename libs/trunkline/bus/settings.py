"""How the bus is reached and how much it keeps."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_BETWEEN = re.compile(r",(?=\s*\w+://)|,(?![^,]*@)")


class BusSettings(BaseModel):
    """What every service needs to know of nats-server; services' own settings extend this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nats_url: str = Field("nats://127.0.0.1:4222", description="Where nats-server listens unless told otherwise; commas between several.")
    nats_user: str = Field("", description="Empty: the server asks for none, or the address holds it.")
    nats_password: SecretStr = Field(SecretStr(""), description="Empty: the server asks for none, or the address holds it.")
    replicas: int = Field(1, ge=1, le=5, description="One server keeps one copy; a three-node cluster wants 3.")
    events_days: int = Field(90, ge=1, description="A quarter: long enough to look back, short enough for one disk.")

    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="0: no figures are told. Each service takes one; `up` gives this to the router, the next to the others.",
    )
    metrics_host: str = Field("127.0.0.1", description="Loopback: whoever reaches the port reads the figures without a credential.")
    trace_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Of the requests that write and bring no trace; what is kept is bounded anyway, and what breaks is told.",
    )
    traces_per_s: float = Field(
        5.0,
        ge=0,
        le=1000,
        description="Enough to look at any single task on a quiet day, and next to nothing of the processor on a busy one.",
    )
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s/]\S*)?$",
        description="Empty: spans stay on the bus. `http://HOST:4318` of a collector; needs the extra `otlp`.",
        json_schema_extra={"env_first": "OTEL_EXPORTER_OTLP_ENDPOINT"},
    )
    otlp_headers: SecretStr = Field(
        SecretStr(""),
        description="Empty: the collector asks for none. NAME=VALUE with commas between them, as OpenTelemetry has it.",
        json_schema_extra={"env_first": "OTEL_EXPORTER_OTLP_HEADERS"},
    )

    def shown(self) -> str:
        """The address without credentials, for people."""
        return shown(self.nats_url)

    def addresses(self) -> list[str]:
        """Each server's url with the credentials in it. Secret: never to be logged."""
        return [self._with_credentials(url) for url in servers(self.nats_url)]

    def credentials(self) -> dict[str, str]:
        """`user` and `password`, or `token`, if all servers take the same: those of a cluster that are learnt of later come without."""
        held = {urlsplit(url).netloc.rpartition("@")[0] for url in self.addresses()}
        user, _, password = (unquote(part) for part in held.pop().partition(":"))
        if held or not user:
            return {}
        return {"user": user, "password": password} if password else {"token": user}

    def places(self) -> list[str]:
        """Each server's url without credentials."""
        parts = (urlsplit(url) for url in servers(self.nats_url))
        return [urlunsplit(each._replace(netloc=each.netloc.rpartition("@")[2])) for each in parts]

    def _with_credentials(self, url: str) -> str:
        if not self.nats_user:
            return url
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        who = f"{quote(self.nats_user, safe='')}:{quote(self.nats_password.get_secret_value(), safe='')}"
        return urlunsplit(parts._replace(netloc=f"{who}@{host}"))


def shown(nats_url: str) -> str:
    """Host and port of each server in the address, without the credentials that it may hold."""
    return ",".join(each.rpartition("@")[2].removeprefix("nats://") for each in servers(nats_url))


def servers(nats_url: str) -> list[str]:
    """Each server of the address as a url; a comma within a password parts nothing."""
    parts = [part.strip() for part in _BETWEEN.split(nats_url)]
    return [part if "://" in part else f"nats://{part}" for part in parts if part]

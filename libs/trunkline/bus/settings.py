"""How the bus is reached and how much it keeps."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

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

    def shown(self) -> str:
        """The address without credentials, for people."""
        return shown(self.nats_url)

    def addresses(self) -> list[str]:
        """Each server's url with the credentials in it. Secret: never to be logged."""
        return [self._with_credentials(url) for url in servers(self.nats_url)]

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

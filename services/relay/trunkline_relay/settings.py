"""Every knob of the relay, with the reason for its default."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from trunkline.bus import BusSettings, vault_key
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import Token


class Settings(BusSettings):
    """How the relay keeps its views, and how it tells webhooks."""

    data_dir: Path | None = Field(default=None, description="None: views live in memory and are folded anew at every start.")
    relay_instance: Token = Field(
        default="relay-0", description="Names the file of views; replicas that share a data directory need one each."
    )
    relay_fresh_within_s: float = Field(
        default=5.0, gt=0, le=30, description="Shorter than a client waits for an answer (10 s), longer than a reconnect to the bus."
    )
    relay_build_within_s: float = Field(
        default=900.0, gt=0, description="Millions of messages fold in some minutes; a start that takes longer is stuck and tried again."
    )

    audit_key_file: Path | None = Field(
        None, description="Signs checkpoints of the log (Ed25519, PEM). Unset: `audit.key` in the data directory, made at the first start."
    )
    audit_copy_file: Path | None = Field(
        None,
        description="Gets each checkpoint too, best on another disk: tells of a book that was lost, or turned back with its log.",
    )

    public_url: str = Field("http://127.0.0.1:8787", description="Where the gateway is reached: links in webhooks begin with it.")
    vault_key: SecretStr = Field(
        SecretStr(""),
        description="Seals the secrets of webhooks, at least 32 characters; the same for all relays, and as the gateway's. Empty: "
        "`vault_key_file`, else no webhooks are registered.",
    )
    vault_key_file: Path | None = Field(None, description="For a key that is mounted as a file; `up` makes one in the data directory.")
    webhook_networks_allowed: tuple[str, ...] = Field(
        (),
        description="Networks beside the Internet that webhooks may reach, on any port, and the only ones that they may without TLS: "
        "an intranet's, or a test's.",
    )
    webhook_ports: tuple[int, ...] = Field((443, 8443), description="Ports of the Internet that webhooks may use.")
    webhook_per_host: int = Field(32, ge=1, le=1000, description="Requests to one host at once; a quarter for one that is slow.")
    webhook_in_flight: int = Field(1024, ge=1, le=4096, description="Requests of one relay at once: some 20 KB of memory each.")

    webhook_answer_within_s: float = Field(
        15.0, gt=0, le=60, description="One request to a subscriber, its answer included; then it counts as failed."
    )

    github_api_url: str = Field(
        "https://api.github.com",
        description="GitHub's own; GitHub Enterprise has its own. `TRUNKLINE_GITHUB_API_URL` counts before the variable.",
        json_schema_extra={"env": "GITHUB_API_URL", "env_first": "TRUNKLINE_GITHUB_API_URL"},
    )
    github_token: SecretStr = Field(
        SecretStr(""),
        description="Starts workflows where there is no App: it needs to write contents and actions.",
        json_schema_extra={"env": "GITHUB_TOKEN"},
    )
    github_app_id: str = Field("", description="Empty: no GitHub App; then `github_token` is needed to start workflows.")
    github_app_key_file: Path | None = Field(None, description="The App's private key (PEM); unset: no App.")
    github_event_type: str = Field(
        "omnara_trigger", min_length=1, max_length=100, description="What workflows wait for, in the word of the guide they were set up by."
    )
    github_start_within_s: float = Field(900.0, gt=0, description="A quarter of an hour in GitHub's queue; then nobody is waiting for it.")
    github_call_within_s: float = Field(1800.0, gt=0, description="Half an hour: runs install much before their agent begins.")
    github_follow_s: float = Field(518400.0, gt=0, le=518400, description="Six days: no run at GitHub lasts longer.")

    @field_validator("webhook_networks_allowed")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network, strict=False)
        return networks

    @field_validator("vault_key")
    @classmethod
    def _long(cls, key: SecretStr) -> SecretStr:
        try:
            vault_key(key.get_secret_value())
        except Invalid as error:
            raise ValueError(error.message) from None
        return key

    @property
    def sealing_key(self) -> bytes:
        """32 bytes, or none. Raises Invalid."""
        return vault_key(self.vault_key.get_secret_value(), self.vault_key_file)

    def audit_folder(self) -> Path | None:
        """Where the book of the log's witness lies."""
        return self.data_dir / "audit" / self.relay_instance if self.data_dir else None

    def views_file(self) -> Path | None:
        return self.data_dir / "relay" / f"{self.relay_instance}.db" if self.data_dir else None

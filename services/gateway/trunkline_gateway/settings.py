"""Every knob of the gateway, with the reason for its default."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, ConfigDict, Field, SecretStr, field_validator, model_validator

from trunkline.auth import claims, keys
from trunkline.auth.nkeys import Issuer
from trunkline.auth.signing_keys import SigningKeys
from trunkline.bus.limits import Rule
from trunkline.bus.settings import BusSettings
from trunkline.bus.vault import vault_key
from trunkline.contracts.errors import Invalid

JOB_ENV: Final = (
    *("TZ", "LANG", "LC_*", "CI", "DEBUG", "LOG_LEVEL", "NODE_ENV", "MAX_THINKING_TOKENS", "CLAUDE_CODE_MAX_OUTPUT_TOKENS"),
    *("OMNI_*", "APP_*", "TASK_*", "PROJECT_*"),
)
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
FAILURES: Final = "auth.failures"
LIMITS: Final[Mapping[str, str | tuple[str, ...]]] = {
    "tasks.create": "10/minute",
    "tasks.read": "30/minute",
    "tasks.status": "10/minute",
    "events.publish": "20/minute",
    "approvals.read": "5/minute",
    "approvals.approve": "5/minute",
    "approvals.reject": "5/minute",
    "stats": "30/minute",
    "tasks.list": "60/minute",
    "tasks.events": "60/minute",
    "tasks.cancel": "10/minute",
    "tasks.steer": "30/minute",
    "messages.send": "30/minute",
    "messages.read": "60/minute",
    "messages.change": "60/minute",
    "traces.read": "60/minute",
    "usage.read": "60/minute",
    "auth.token": "10/minute",
    "auth.revoke": "10/minute",
    "schedules.read": "60/minute",
    "schedules.change": "30/minute",
    "webhooks.read": "60/minute",
    "webhooks.change": "30/minute",
    "webhooks.redeliver": "30/minute",
    "letters.read": "60/minute",
    "letters.change": "30/minute",
    "github.webhooks": "600/minute",
    "github.dispatch": "30/minute",
    "github.runs": "60/minute",
    "instances.message": "600/minute",
    "instances.read": "600/minute",
    "realtime.token": "600/minute",
    "results.read": "120/minute",
    "sandboxes.read": "120/minute",
    "sandboxes.change": "60/minute",
    "knowledge.submit": "60/minute",
    FAILURES: "30/minute",
    "execute.anonymous": ("1/minute", "2/hour", "3/day"),
    "execute.authenticated": ("2/minute", "5/hour", "10/day"),
    "execute.pro": "10/minute",
}
"""Up to `stats` as the orchestrator API has always had them; the tiers as the pr_agent API has."""


class Settings(BusSettings):
    """Frozen, unknown names refused, as the bus settings are. Sizes are bytes, times are seconds."""

    model_config = ConfigDict(hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Loopback: nobody else reaches a fresh installation until somebody says so.")
    port: int = Field(8787, ge=0, le=65535, description="Free on most machines; 0 takes any free port.")
    public_url: str = Field("http://127.0.0.1:8787", description="What people type: said at `/` so that a client finds its base.")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Empty: on loopback only loopback names and that of `public_url` are taken, so that no page gets in by a name of its "
        "own; on other addresses (containers, proxies) any name is, for nobody can know them.",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="Origins whose pages may ask the omni API, as browsers write them: `https://app.example.com`, or `*`. Empty: none.",
    )
    job_env: tuple[str, ...] = Field(
        JOB_ENV,
        description="Variables that callers may give to knowledge jobs, `*` for any text: harmless ones and prefixes of their own. What "
        "changes programs or whom they speak to, and what is named like a secret, is refused all the same.",
    )
    deadline_s: float = Field(3600.0, gt=0, le=7 * 86400, description="An hour: hardly any agent that works on one thing needs longer.")
    heartbeat_s: float = Field(15.0, gt=0, description="Proxies give up on silence after 30 to 60 s; half of the shortest is safe.")
    body_limit: int = Field(
        256 << 10,
        ge=1024,
        le=256 << 10,  # 1e15 is stored as 1000000000000000.0: a body may grow to nearly four times its size, and a record holds 1 MiB
        description="A task of 128 KiB fits twice; anything larger is an accident or an attack.",
    )
    body_depth: int = Field(32, ge=4, description="No request of any surface nests deeper than six.")
    body_deadline_s: float = Field(10.0, gt=0, description="256 KiB at 200 kbit/s; a slower body holds a connection for nothing.")
    stream_limit: int = Field(10_000, ge=1, description="Some 14 KiB each: 140 MiB, and half of the usual limit of open files.")
    stream_buffer: int = Field(256 << 10, ge=16 << 10, description="What is kept for a reader that lags before the feed waits for it.")
    stream_stall_s: float = Field(30.0, gt=0, description="A reader that takes nothing so long is cut; it resumes by event id.")
    drain_s: float = Field(2.0, gt=0, le=4.0, description="Leaves three of the five seconds a stop may take to everything else.")
    frame_cache: int = Field(8 << 20, ge=0, description="Events as encoded, kept so that a thousand readers cost one encoding.")
    rate_limits: Literal["on", "off"] = Field(
        "on", description="One caller must not take what all need; off for benches, or behind a proxy."
    )
    limits: dict[str, str | tuple[str, ...]] = Field(
        {},
        description="The documents' own numbers; a name given here replaces its default, as N/minute, N/hour, N/day or N/Ss, or "
        "several of them.",
    )
    upgrade_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        max_length=1000,
        description="Where a caller of the pr_agent API gets more than its tier has; told with every 429 there. Empty: nowhere.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Networks whose X-Forwarded-For is believed. None: anybody can write that header, and be somebody else each time.",
    )
    prefilter_per_s: float = Field(
        200.0,
        ge=0,
        description="From one address (twice that at once), before anything is read; loopback is free. No honest client comes near.",
    )
    gateway_replicas: int = Field(
        1,
        ge=1,
        description="How many gateways share a limit while nats-server, which counts, is away; each then lets in its part of the reads.",
    )

    github_webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="What GitHub signs its webhooks with, at least 16 characters. Empty: none are taken.",
        json_schema_extra={"env": "GITHUB_WEBHOOK_SECRET"},
    )
    github_webhook_secret_previous: SecretStr = Field(
        SecretStr(""),
        description="The one before, taken still while it is being changed.",
        json_schema_extra={"env": "GITHUB_WEBHOOK_SECRET_PREVIOUS"},
    )
    github_command: str = Field("/trunkline", min_length=2, description="The first word of a comment that starts a task.")
    github_label: str = Field("trunkline", min_length=1, description="The label that starts a task on an issue.")
    github_starters: tuple[str, ...] = Field(
        ("OWNER", "MEMBER", "COLLABORATOR"), description="Whose comments may start work, in GitHub's words: those who may write anyway."
    )
    github_tenants: dict[str, str] = Field(
        {}, description="`owner/*` to tenant; repositories that none fits start nothing. Without any, all belong to the tenant `public`."
    )

    forge: Literal["local", "github"] = Field("local", description="Bare repositories in a folder: works with no account anywhere.")
    github_api_url: str = Field(
        "https://api.github.com",
        description="GitHub's own; GitHub Enterprise has its own. `TRUNKLINE_GITHUB_API_URL` counts before the variable.",
        json_schema_extra={"env": "GITHUB_API_URL", "env_first": "TRUNKLINE_GITHUB_API_URL"},
    )
    github_guests: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether whoever shows a token of GitHub's is asked about there. `auto`: where GitHub is the forge.",
    )
    github_lookup_token: SecretStr = Field(
        SecretStr(""),
        description="Looks at public repositories for those who show no token; it needs no rights. Empty: GitHub answers 60 such questions "
        "an hour.",
    )
    pro_users: tuple[str, ...] = Field(
        (),
        description="Whose limits are wider: numbers of GitHub users, `github:<number>`, or logins, which GitHub gives away again.",
    )

    vault_key: SecretStr = Field(
        SecretStr(""),
        description="Seals the tokens that callers give with their tasks, at least 32 characters; the same for gateways and sandbox "
        "services. Empty: `vault_key_file`, else no such tokens are taken.",
    )
    vault_key_file: Path | None = Field(None, description="For a key that is mounted as a file; `up` makes one in the data directory.")

    realtime_signing_key: SecretStr = Field(
        SecretStr(""),
        description="What backends with an inngest SDK show for a realtime token, as it is or hashed as they do. Empty: only our own "
        "credentials count.",
        json_schema_extra={"env": "INNGEST_SIGNING_KEY"},
    )
    realtime_signing_key_fallback: SecretStr = Field(
        SecretStr(""),
        description="A second one, taken still while the key is being changed.",
        json_schema_extra={"env": "INNGEST_SIGNING_KEY_FALLBACK"},
    )
    realtime_token_s: float = Field(3600.0, ge=1, le=3600, description="An hour: for so long a token lets its holder connect.")
    realtime_history_s: float = Field(
        86400.0, ge=0, description="A day: so far back a channel is told to whoever asks for history; the log is read for it."
    )

    dev: bool = Field(False, description="Off: nobody gets a token without proof. On: anybody on this machine does; loopback only.")
    jwt_secret: SecretStr = Field(
        SecretStr(""),
        description="Signs tokens (HS256), at least 32 bytes. Empty: `jwt_secret_file`, else none are signed or taken.",
        json_schema_extra={"env": "ORCHESTRATOR_JWT_SECRET"},
    )
    jwt_secret_file: Path | None = Field(None, description="For a secret that is mounted as a file; used when `jwt_secret` is not set.")
    jwt_secret_previous: SecretStr = Field(
        SecretStr(""),
        description="The secret before this one: what it signed is taken still, so that a change of secret cuts nobody off.",
        json_schema_extra={"env": "ORCHESTRATOR_JWT_SECRET_PREVIOUS"},
    )
    jwt_previous_until: AwareDatetime | None = Field(
        None, description="When the previous secret ends, with its time zone. Unset: when it is no longer configured."
    )
    jwks_file: Path | None = Field(
        None, description="Public keys (JWKS: RS256, ES256, EdDSA) of others who sign tokens. Unset: nobody else."
    )
    token_lifetime_s: float = Field(86400.0, gt=0, le=366 * 86400, description="A day: what the samples of the document ask for.")
    token_audience: str = Field("", description="Empty: a token that names an audience (aud) is for somebody else, and refused.")
    token_issuer: str = Field("", description="Empty: a token that names an issuer (iss) is refused.")
    api_keys: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        description="`<key>:<role>` or `<key>:<role>:<tenant>` by name; at least 16 characters each, or guessing would find them. "
        "The same for every gateway; one that was revoked (`POST /auth/revoke`) counts no more, its name with another text does.",
        json_schema_extra={"env_prefix": keys.PREFIX},
    )
    nats_callout_seed: SecretStr = Field(
        SecretStr(""),
        description="The seed (SA…) of the key by which agents are let in on NATS; nats-server's `auth_callout` names its public half. "
        "Empty: `nats_callout_seed_file`, else no agent connects there.",
    )
    nats_callout_seed_file: Path | None = Field(
        None, description="For a seed that is mounted as a file; `up` makes one in the data directory."
    )
    operator_key_file: Path | None = Field(None, description="The key of whoever runs this: `up` makes one in the data directory.")

    @field_validator("allowed_hosts")
    @classmethod
    def _names_only(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", name) and not _is_address(name.strip("[]")):
                raise ValueError("write host names or addresses alone, without scheme, port or path")
        return names

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(origin.strip().lower() for origin in origins)
        if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in plain):
            raise ValueError("write origins as browsers do: scheme, host and port alone, without a path or a slash behind them")
        return plain

    @field_validator("realtime_signing_key", "realtime_signing_key_fallback")
    @classmethod
    def _signing_key(cls, key: SecretStr) -> SecretStr:
        _checked(lambda: SigningKeys.of((key.get_secret_value(),)))
        return key

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The present one first; empty ones where none is set."""
        return (self.realtime_signing_key.get_secret_value(), self.realtime_signing_key_fallback.get_secret_value())

    @field_validator("limits", mode="before")
    @classmethod
    def _pairs(cls, table: object) -> object:
        """A flag or a variable may say it in words: `tasks.create=20/minute,stats=5/10s`."""
        if isinstance(table, list) and all(isinstance(pair, str) for pair in table):
            return dict(pair.split("=", 1) if "=" in pair else (pair, "") for pair in table)
        return table

    @field_validator("limits")
    @classmethod
    def _countable(cls, table: dict[str, str | tuple[str, ...]]) -> dict[str, str | tuple[str, ...]]:
        for name, text in table.items():
            if name not in LIMITS:
                raise ValueError(f"there is no limit {name!r}; there are {', '.join(sorted(LIMITS))}")
            if not _rules(text):
                raise ValueError(f"the limit {name!r} is empty; to count nobody set rate_limits to off")
        return table

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network, strict=False)
        return networks

    def rules(self) -> dict[str, tuple[Rule, ...]]:
        """Every limit by its name, the shortest window first."""
        return {name: _rules(text) for name, text in {**LIMITS, **self.limits}.items()}

    @field_validator("github_webhook_secret", "github_webhook_secret_previous")
    @classmethod
    def _hard_to_guess(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < 16:
            raise ValueError("a webhook secret of fewer than 16 characters can be guessed; make a longer one")
        return secret

    @property
    def webhook_secrets(self) -> tuple[bytes, ...]:
        """The present one first."""
        both = (self.github_webhook_secret, self.github_webhook_secret_previous)
        return tuple(secret.get_secret_value().encode() for secret in both if secret.get_secret_value())

    @property
    def sealing_key(self) -> bytes:
        """32 bytes, or none. Raises Invalid."""
        return vault_key(self.vault_key.get_secret_value(), self.vault_key_file)

    @field_validator("nats_callout_seed")
    @classmethod
    def _seed(cls, seed: SecretStr) -> SecretStr:
        if seed.get_secret_value():
            _checked(lambda: Issuer.of(seed.get_secret_value()))
        return seed

    @property
    def callout_issuer(self) -> Issuer | None:
        """Raises Invalid."""
        seed = self.nats_callout_seed.get_secret_value()
        if not seed and self.nats_callout_seed_file:
            try:
                seed = self.nats_callout_seed_file.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                raise Invalid(
                    f"the file {self.nats_callout_seed_file} of nats_callout_seed_file cannot be read", code="NO_KEY_FILE"
                ) from None
        return Issuer.of(seed) if seed else None

    @property
    def asks_github(self) -> bool:
        """Whether a token of GitHub's makes somebody a guest."""
        return self.github_guests == "on" or (self.github_guests == "auto" and self.forge == "github")

    @field_validator("pro_users")
    @classmethod
    def _whoever(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(name.strip().removeprefix("@").lower() for name in names)
        if not all(re.fullmatch(r"(?:github:)?[0-9]+|[a-z0-9_-]{1,100}", name) for name in plain):
            raise ValueError("write the number of a GitHub user, github:<number>, or a login")
        return plain

    @field_validator("vault_key")
    @classmethod
    def _long(cls, key: SecretStr) -> SecretStr:
        _checked(lambda: vault_key(key.get_secret_value()))
        return key

    @field_validator("jwt_secret", "jwt_secret_previous")
    @classmethod
    def _strong(cls, secret: SecretStr) -> SecretStr:
        if secret.get_secret_value():
            _checked(lambda: claims.strong(secret.get_secret_value()))
        return secret

    @model_validator(mode="after")
    def _identity(self) -> Self:
        shown = {name: key.get_secret_value() for name, key in self.api_keys.items()}
        _checked(lambda: keys.entries(shown, short=self.dev))
        if self.jwt_secret_previous.get_secret_value() and not (self.jwt_secret.get_secret_value() or self.jwt_secret_file):
            raise ValueError("there is a previous secret and no present one: set ORCHESTRATOR_JWT_SECRET too")
        if self.dev and not all(map(_loopback, (self.host, urlsplit(self.public_url).hostname or "", *self.allowed_hosts))):
            raise ValueError(
                "dev gives tokens to anybody, so it works on loopback only: leave out dev, or host, public_url and allowed_hosts"
            )
        if self.dev and "*" in self.cors_origins:
            raise ValueError("dev asks for no credential, so any page could do anything: name the origins in cors_origins")
        return self


def _rules(text: str | tuple[str, ...]) -> tuple[Rule, ...]:
    texts = (text,) if isinstance(text, str) else text
    return tuple(sorted((Rule.of(each) for each in texts), key=lambda rule: rule.window_s))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _loopback(name: str) -> bool:
    bare = name.strip("[]").lower()
    return bare in ("localhost", "") or (_is_address(bare) and ipaddress.ip_address(bare).is_loopback)


def _checked(check: Callable[[], object]) -> None:
    """A refusal as pydantic takes it."""
    try:
        check()
    except Invalid as error:
        raise ValueError(error.message) from None

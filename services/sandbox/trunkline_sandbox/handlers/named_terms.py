"""What the installation lets named sandboxes be and use: its own choice where nobody chose, and a refusal of what is too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline.contracts.errors import Denied, Exhausted, Invalid, Unsupported
from trunkline.contracts.sandbox import SandboxTerms
from trunkline_sandbox.handlers.named_host import NamedHost


@dataclass(frozen=True, slots=True)
class Caps:
    """0: no cap. Sizes in MiB, times in seconds."""

    provider: str = "local"
    """The one of this service."""
    named: str = ""
    """Where one is made whose caller names no provider; empty: where `Hosts.usual` says."""
    per_user: int = 4
    per_tenant: int = 100
    minutes_day: float = 0
    ttl_s: float = 30 * 86400.0
    """What a sandbox lives at most, and without being told otherwise."""
    idle_s: float = 1800.0
    cpus: float = 0
    memory_mb: int = 2048
    disk_mb: int = 4096
    egress: tuple[str, ...] = ()
    """What one may reach that was not told otherwise, and may ask for."""
    egress_too: tuple[str, ...] = ()
    """What one may ask for besides."""
    prices: Mapping[str, float] = field(default_factory=dict)
    """US dollars for an hour, by provider."""

    def settled(self, terms: SandboxTerms, host: NamedHost) -> SandboxTerms:
        """The terms with nothing left open. Raises Invalid, Denied, Unsupported."""
        egress = self.egress if terms.egress is None else terms.egress
        if refused := sorted({*egress} - {*self.egress, *self.egress_too}):
            raise Denied(f"sandboxes here may not reach {', '.join(refused)}; `sandbox_egress` would allow it", code="EGRESS_NOT_ALLOWED")
        if egress and not host.ability.egress_policy and terms.egress is not None:
            raise Unsupported(f"the provider {host.name} cannot keep to a list of hosts; choose another", code="PROVIDER_CANNOT_EGRESS")
        if terms.egress and not host.ability.egress_ports and (ports := [rule for rule in egress if ":" in rule]):
            told = (
                f"the provider {host.name} allows whole hosts, and {', '.join(ports)} names a port; name the host alone, or choose another"
            )
            raise Unsupported(told, code="PROVIDER_CANNOT_EGRESS_PORT")
        return terms.model_copy(
            update={
                "egress": tuple(egress),
                **(self._sized(terms) if host.ability.sizes else _unsized(terms, host.name)),
                "ttl_s": _within("ttl_s", terms.ttl_s, self.ttl_s),
                "idle_s": self.idle_s if terms.idle_s is None else terms.idle_s,
            }
        )

    def _sized(self, terms: SandboxTerms) -> dict[str, float]:
        return {
            "cpus": _within("cpus", terms.cpus, self.cpus),
            "memory_mb": _within("memory_mb", terms.memory_mb, self.memory_mb),
            "disk_mb": _within("disk_mb", terms.disk_mb, self.disk_mb),
        }

    def check(self, of_user: int, of_tenant: int) -> None:
        """Raises Exhausted when one more would be too many."""
        for count, cap, whose in self._counted(of_user, of_tenant):
            if cap and count >= cap:
                raise Exhausted(
                    f"this {whose} has {count} sandboxes, and may have {cap}; delete one first", code="SANDBOX_CAP", cap=cap, whose=whose,
                    retry_after=60,
                )  # fmt: skip

    def full(self, of_user: int, of_tenant: int) -> bool:
        """Whether one more would be too many."""
        return any(cap and count >= cap for count, cap, _ in self._counted(of_user, of_tenant))

    def _counted(self, of_user: int, of_tenant: int) -> tuple[tuple[int, int, str], ...]:
        return (of_user, self.per_user, "user"), (of_tenant, self.per_tenant, "tenant")

    def check_minutes(self, used_s: float) -> None:
        if self.used_up(used_s):
            raise Exhausted(
                f"this tenant's sandboxes ran for {used_s / 60:.0f} minutes today, of {self.minutes_day:g}; wait for 00:00 UTC",
                code="SANDBOX_CAP", cap=self.minutes_day, whose="tenant", retry_after=600,
            )  # fmt: skip

    def used_up(self, used_s: float) -> bool:
        return bool(self.minutes_day) and used_s >= self.minutes_day * 60


def _unsized(terms: SandboxTerms, provider: str) -> dict[str, float]:
    """As large as what the provider makes them of."""
    if terms.cpus or terms.memory_mb or terms.disk_mb:
        told = f"the provider {provider} makes all sandboxes as large as its image is meant to be; leave the size out, or choose another"
        raise Unsupported(told, code="PROVIDER_CANNOT_SIZE")
    return {}


_SHOWN: Final = {
    "ttl_s": "the time to live in seconds", "cpus": "the number of processors",
    "memory_mb": "the memory in MiB", "disk_mb": "the disk in MiB",
}  # fmt: skip


def _within(name: str, asked: float, most: float) -> float:
    if most and asked > most:
        raise Invalid(f"{_SHOWN[name]} is at most {most:g} here", code="SANDBOX_TOO_LARGE", field=name, most=most)
    return asked or most

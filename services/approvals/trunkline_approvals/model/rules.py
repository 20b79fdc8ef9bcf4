"""Which policy an approval is asked under: the first rule that fits what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from trunkline.contracts.approval import ApprovalPolicy, RequestApproval, Verdict
from trunkline.contracts.work_types import canonical


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule is for; what is empty here fits everything."""

    kinds: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    about: Mapping[str, JsonValue] = field(default_factory=dict)
    """Names and values that `about` of the request must hold, all of them."""

    def fits(self, request: RequestApproval) -> bool:
        about = request.about
        words = (
            (self.kinds, request.kind),
            (self.priorities, about.get("priority")),
            (tuple(map(canonical, self.types)), canonical(str(about.get("type", "")))),
            (self.surfaces, about.get("surface")),
        )
        fit = all(not wanted or word in wanted for wanted, word in words)
        return fit and all(name in about and about[name] == value for name, value in self.about.items())


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for the approvals that it fits: who is asked and how, or `verdict`, and nobody is asked."""

    policy: ApprovalPolicy
    match: Match = Match()
    verdict: Verdict | None = None


DEFAULT = Rule(ApprovalPolicy())


def choose(rules: Sequence[Rule], request: RequestApproval) -> Rule:
    """The first that fits; without one, the default policy."""
    return next((rule for rule in rules if rule.match.fits(request)), DEFAULT)

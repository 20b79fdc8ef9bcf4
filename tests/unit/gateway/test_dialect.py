"""Who answers for a path, and with which status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from tests.each import each
from trunkline.auth.policy import ALLOWED, Action, may
from trunkline.auth.principal import Principal, Role
from trunkline.contracts import errors
from trunkline.contracts.errors import DomainError, Overdue, Unsupported
from trunkline.contracts.ids import TenantId
from trunkline_gateway.dialect import Route, owners, status_of


@dataclass(frozen=True)
class Speaker:
    """A dialect that serves what it is told."""

    name: str
    claims: tuple[str, ...]
    served: tuple[Route, ...] = ()

    def routes(self) -> Sequence[Route]:
        return self.served

    def encode_error(self, error: DomainError) -> web.Response:
        return web.Response(text=error.message, status=status_of(error))


FRONT, API, DEEP = Speaker("front", ("/",)), Speaker("api", ("/api", "/v1/x")), Speaker("deep", ("/api/deep",))


@each(
    ("path", "name"),
    [
        ("/", "front"), ("/apiary", "front"), ("/v1", "front"), ("/api", "api"), ("/api/", "api"), ("/api/deeper", "api"),
        ("/v1/x/y", "api"), ("/api/deep", "deep"), ("/api/deep/er", "deep"), ("//api", "front"),
    ],
)  # fmt: skip
def test_the_longest_claim_answers_for_whole_segments(path: str, name: str) -> None:
    for order in ((FRONT, API, DEEP), (DEEP, API, FRONT)):
        assert owners(order)(path).name == name


async def answer(request: web.Request, principal: Principal) -> web.Response:
    return web.Response()


def test_every_kind_of_refusal_has_a_status_of_its_own() -> None:
    kinds = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, DomainError)]
    statuses = [status_of(kind("why")) for kind in kinds if kind is not DomainError]
    assert len(set(statuses)) == len(statuses) == 11
    assert all(400 <= status <= 504 for status in statuses)


def test_what_the_wire_refuses_has_the_status_of_the_wire() -> None:
    assert status_of(Unsupported("x", code="METHOD_NOT_ALLOWED")) == 405
    assert status_of(Unsupported("x", code="UNSUPPORTED_MEDIA_TYPE")) == 415
    assert status_of(Overdue("x", code="BODY_TIMEOUT")) == 408


def test_an_approver_reads_and_does_nothing_else_to_tasks() -> None:
    approver = Principal(TenantId("t"), "a", Role.APPROVER)
    assert may(approver, Action.READ_TASK)
    assert not may(approver, Action.SUBMIT_TASK)
    assert not may(approver, Action.CANCEL_TASK)


def test_every_role_has_its_rights_written_down() -> None:
    assert set(ALLOWED) == set(Role)
    assert all(any(action in rights for rights in ALLOWED.values()) for action in Action)

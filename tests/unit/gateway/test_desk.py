"""The token desk: who mints what, for whom, and who revokes it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.auth.forge import NOW, OTHER, SECRET, forged
from tests.unit.gateway.test_credentials import Roll
from trunkline.auth.keys import OPERATOR, Entry, KeyRing, entries
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role, Tier
from trunkline.auth.tokens import Secrets, Tokens, mark_of
from trunkline.contracts.errors import DomainError, Invalid, Unauthenticated, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline_gateway.usecases.desk import KEPT, Desk, Proof, Revocation, TokenWish
from trunkline_gateway.usecases.realtime import Realtime, TicketWish

ACME = TenantId("acme")
NO_PROOF = Proof()


def desk(secrets: Secrets | None = None, *, open: bool = False) -> Desk:
    tokens = Tokens(secrets or Secrets(SECRET.encode(), OTHER.encode()), now=lambda: NOW)
    return Desk(tokens, Roll(), lambda: datetime.fromtimestamp(NOW, UTC), open=open)


def who(role: Role, subject: str = "ann", tier: Tier = Tier.AUTHENTICATED) -> Principal:
    return Principal(ACME, subject, role, tier)


async def minted(principal: Principal, wish: TokenWish, proof: Proof = NO_PROOF, at: Desk | None = None) -> Principal | str:
    """Whom the token stands for when it is read again, or the code of the refusal."""
    at = at or desk()
    try:
        made = await at.mint(principal, proof, wish)
    except DomainError as refused:
        return refused.code
    read = at.signer.verify(made.token)
    assert read.principal == made.principal
    assert read.expires_at == made.expires_at.timestamp()
    return read.principal


@pytest.mark.parametrize("role", ["user", "agent", "approver", "admin"])
@pytest.mark.parametrize("secret", [SECRET, OTHER])
async def test_the_secret_mints_every_role_in_every_tenant(role: str, secret: str) -> None:
    proof = Proof(secret)
    assert await minted(ANONYMOUS, TokenWish("bob", role), proof) == Principal(HOME, "bob", Role(role))
    assert await minted(ANONYMOUS, TokenWish("bob", role, "acme"), proof) == Principal(ACME, "bob", Role(role))


@pytest.mark.parametrize("secret", ["", SECRET[:-1], SECRET + " ", "x"])
@pytest.mark.parametrize("principal", [ANONYMOUS, who(Role.ADMIN)])
async def test_a_wrong_secret_is_refused_whoever_shows_it(secret: str, principal: Principal) -> None:
    assert await minted(principal, TokenWish("ann", "user"), Proof(secret)) == "BAD_PROOF"
    assert await minted(principal, TokenWish("ann", "user"), Proof(secret), desk(open=True)) == "BAD_PROOF"


MAY = {
    Role.ADMIN: {"admin", "agent", "approver", "user"},
    Role.AGENT: {"agent", "user"},
    Role.APPROVER: {"approver", "user"},
    Role.USER: {"user"},
}


@pytest.mark.parametrize("wanted", ["user", "agent", "approver", "admin"])
@pytest.mark.parametrize("role", MAY)
async def test_everybody_mints_for_themselves_what_they_are_or_less(role: Role, wanted: str) -> None:
    expected = Principal(ACME, "ann", Role(wanted)) if wanted in MAY[role] else "NOT_YOURS_TO_MINT"
    assert await minted(who(role), TokenWish("ann", wanted)) == expected
    assert await minted(who(role), TokenWish("ann", wanted, "acme")) == expected


@pytest.mark.parametrize("wanted", ["user", "agent", "approver", "admin"])
@pytest.mark.parametrize("role", MAY)
async def test_only_an_admin_mints_for_others_and_nobody_for_another_tenant(role: Role, wanted: str) -> None:
    expected = Principal(ACME, "bob", Role(wanted)) if role is Role.ADMIN else "NOT_YOURS_TO_MINT"
    assert await minted(who(role), TokenWish("bob", wanted)) == expected
    for subject in ("ann", "bob"):
        assert await minted(who(role), TokenWish(subject, wanted, "public")) == "NOT_YOURS_TO_MINT"


@pytest.mark.parametrize("role", ["user", "agent", "approver", "admin"])
async def test_a_stranger_mints_nothing_without_the_secret(role: str) -> None:
    assert await minted(ANONYMOUS, TokenWish("ann", role)) == "NO_PROOF"


async def test_a_desk_that_is_open_mints_for_anybody() -> None:
    assert await minted(ANONYMOUS, TokenWish("your-user-id", "agent"), at=desk(open=True)) == Principal(HOME, "your-user-id", Role.AGENT)
    assert await minted(ANONYMOUS, TokenWish("ann", "admin", "acme"), at=desk(open=True)) == Principal(ACME, "ann", Role.ADMIN)


@pytest.mark.parametrize("principal", [ANONYMOUS, who(Role.ADMIN)])
@pytest.mark.parametrize("proof", [NO_PROOF, Proof(""), Proof(SECRET)])
async def test_without_a_secret_there_is_nothing_to_sign_with(principal: Principal, proof: Proof) -> None:
    with pytest.raises(Unavailable) as refused:
        await desk(Secrets()).mint(principal, proof, TokenWish("ann", "user"))
    assert refused.value.code == "NO_SECRET"


async def test_the_tier_goes_on_only_to_oneself_and_an_operator_becomes_an_admin() -> None:
    pro = who(Role.ADMIN, tier=Tier.PRO)
    assert await minted(pro, TokenWish("ann", "admin")) == pro
    assert await minted(pro, TokenWish("bob", "user")) == who(Role.USER, "bob")
    operator = Principal(HOME, "operator", Role.ADMIN, Tier.OPERATOR)
    assert await minted(operator, TokenWish("operator", "admin")) == Principal(HOME, "operator", Role.ADMIN)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (TokenWish("", "user"), "subject"),
        (TokenWish(" ann", "user"), "subject"),
        (TokenWish("a\nb", "user"), "subject"),
        (TokenWish("a" * 129, "user"), "subject"),
        (TokenWish("ann", "root"), "role"),
        (TokenWish("ann", "anonymous"), "role"),
        (TokenWish("anonymous", "user"), "subject"),
        (TokenWish("Anonymous", "user"), "subject"),
        (TokenWish("ann", "ADMIN"), "role"),
        (TokenWish("ann", "user", ""), "tenant"),
        (TokenWish("ann", "user", "../a"), "tenant"),
        (TokenWish("ann", "user", "a" * 65), "tenant"),
        (TokenWish("ann", "user", lifetime_s=0), "lifetime_s"),
        (TokenWish("ann", "user", lifetime_s=-1), "lifetime_s"),
        (TokenWish("ann", "user", lifetime_s=86401), "lifetime_s"),
        (TokenWish("ann", "user", lifetime_s=1e300), "lifetime_s"),
        (TokenWish("ann", "user", lifetime_s=math.nan), "lifetime_s"),
        (TokenWish("ann", "user", lifetime_s=math.inf), "lifetime_s"),
        (TokenWish("ann", "user", lifetime_s=True), "lifetime_s"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_with_its_field(wish: TokenWish, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await desk().mint(ANONYMOUS, Proof(SECRET), wish)
    assert (refused.value.code, refused.value.details["field"]) == ("BAD_TOKEN_WISH", field)


async def test_a_token_lives_as_long_as_was_asked_for_else_a_day() -> None:
    at = desk()
    lives = [(await at.mint(ANONYMOUS, Proof(SECRET), TokenWish("ann", "user", lifetime_s=wish))).expires_at for wish in (60, None)]
    assert [moment.timestamp() - NOW for moment in lives] == [60, 86400]


def text(subject: str = "bob", tenant: str = "acme", **changes: object) -> str:
    whole = {"sub": subject, "role": "user", "tenant": tenant, "iat": int(NOW), "exp": int(NOW) + 60, **changes}
    return forged(whole)


async def revoked(principal: Principal, wish: Revocation) -> str:
    """Empty, or the code of the refusal; then nothing was revoked."""
    at = desk()
    try:
        await at.revoke(principal, wish)
    except DomainError as refused:
        assert isinstance(at.roll, Roll)
        assert not at.roll.marks
        assert not at.roll.owners
        return refused.code
    told = at.signer.verify(wish.token or text(wish.subject or ""))
    assert at.roll.revoked(told)
    assert not at.roll.revoked(at.signer.verify(text("carl")))
    return ""


@pytest.mark.parametrize("role", [Role.USER, Role.AGENT, Role.APPROVER])
async def test_everybody_revokes_what_is_theirs_and_nothing_else(role: Role) -> None:
    bob, ann = who(role, "bob"), who(role, "ann")
    assert [await revoked(bob, wish) for wish in (Revocation(token=text()), Revocation(subject="bob"))] == ["", ""]
    assert [await revoked(ann, wish) for wish in (Revocation(token=text()), Revocation(subject="bob"))] == ["NOT_YOURS_TO_REVOKE"] * 2


BOBS, THEIRS, OPERATORS = "k-of-bob-0123456789", "k-of-theirs-0123456", "k-of-operator-012345"
KEYS = KeyRing((*entries({"BOB": f"{BOBS}:agent:acme", "THEM": f"{THEIRS}:agent"}), Entry(OPERATORS, OPERATOR)))


async def keys_left(principal: Principal, wish: Revocation) -> tuple[str, list[str]]:
    """The code of the refusal, and the keys that count then; revoked twice is as revoked once."""
    at, roll = replace(desk(), keys=KEYS), Roll()
    at, code = replace(at, roll=roll), ""
    for _ in range(2):
        try:
            await at.revoke(principal, wish)
        except DomainError as refused:
            code = refused.code
    return code, [key for key in (BOBS, THEIRS, OPERATORS) if (found := KEYS.find(key)) and not roll.revoked(found)]


@pytest.mark.parametrize(
    ("revoker", "wish", "code", "gone"),
    [
        (who(Role.ADMIN), Revocation(token=BOBS), "", BOBS),
        (who(Role.ADMIN), Revocation(subject="bob"), "", BOBS),
        (who(Role.AGENT, "bob"), Revocation(token=BOBS), "", BOBS),
        (who(Role.USER, "bob"), Revocation(subject="bob"), "", BOBS),
        (who(Role.AGENT), Revocation(token=BOBS), "NOT_YOURS_TO_REVOKE", ""),
        (who(Role.AGENT), Revocation(subject="bob"), "NOT_YOURS_TO_REVOKE", ""),
        (who(Role.ADMIN), Revocation(token=THEIRS), "BAD_TOKEN", ""),
        (who(Role.ADMIN), Revocation(token=BOBS + "x"), "BAD_TOKEN", ""),
        (who(Role.ADMIN), Revocation(subject="them"), "", ""),
        (ANONYMOUS, Revocation(token=BOBS), "NO_PROOF", ""),
        (OPERATOR, Revocation(token=OPERATORS), "", OPERATORS),
        (OPERATOR, Revocation(subject="operator"), "", ""),
    ],
)
async def test_a_key_is_revoked_by_whom_a_token_would_be(revoker: Principal, wish: Revocation, code: str, gone: str) -> None:
    assert await keys_left(revoker, wish) == (code, [key for key in (BOBS, THEIRS, OPERATORS) if key != gone])


async def test_what_is_said_of_a_key_is_kept_for_ever() -> None:
    at = replace(desk(), keys=KEYS)
    for wish in (Revocation(token=BOBS), Revocation(subject="bob")):
        await at.revoke(who(Role.ADMIN), wish)
    assert isinstance(at.roll, Roll)
    assert at.roll.ends == [math.inf, math.inf]


async def test_a_ticket_ends_with_the_key_that_it_was_got_with() -> None:
    tokens, roll = Tokens(Secrets(SECRET.encode()), now=lambda: NOW), Roll()
    channels = Realtime(tokens, roll, lambda: datetime.fromtimestamp(NOW, UTC), keys=KEYS)
    wish, bob = TicketWish("tasks", ("update",)), who(Role.AGENT, "bob")
    got, other = channels.mint(bob, wish, "", BOBS).text, channels.mint(bob, wish).text
    inside = channels.admit(got)
    found = KEYS.find(BOBS)
    assert found is not None
    await roll.revoke_token(found, math.inf)
    assert not channels.stands(inside)
    assert channels.stands(channels.admit(other)), "got with a token of the same subject"
    with pytest.raises(Unauthenticated) as refused:
        channels.admit(got)
    assert refused.value.code == "TOKEN_REVOKED"


async def test_an_admin_revokes_everything_of_its_tenant_and_nothing_of_another() -> None:
    admin = who(Role.ADMIN)
    assert [await revoked(admin, wish) for wish in (Revocation(token=text()), Revocation(subject="bob"))] == ["", ""]
    assert await revoked(admin, Revocation(token=text(tenant="public"))) == "BAD_TOKEN"
    at = desk()
    await at.revoke(admin, Revocation(subject="bob"))
    assert not at.roll.revoked(at.signer.verify(text(tenant="public"))), "the bob of another tenant is another"


@pytest.mark.parametrize("token", ["", "a.b.c", forged({"sub": "bob"}, secret=OTHER + "x"), text()[:-1], text(role="root")])
async def test_only_a_token_of_ours_can_be_revoked(token: str) -> None:
    assert await revoked(who(Role.ADMIN), Revocation(token=token)) == "BAD_TOKEN"


async def test_a_token_that_is_over_needs_no_revocation() -> None:
    at = desk()
    await at.revoke(who(Role.ADMIN), Revocation(token=text(iat=int(NOW) - 7200, exp=int(NOW) - int(KEPT))))
    assert isinstance(at.roll, Roll)
    assert not at.roll.marks


@pytest.mark.parametrize("claims", [{}, {"iat": int(NOW) - 4}, {"iat": int(NOW) - 7000}], ids=["iat now", "short", "long"])
@pytest.mark.parametrize("over_s", [1, int(KEPT) - 1])
async def test_a_token_that_is_just_over_is_revoked_for_what_was_got_with_it(claims: dict[str, int], over_s: int) -> None:
    at, gone = desk(), text(**{"exp": int(NOW) - over_s, **claims})
    await at.revoke(who(Role.USER, "bob"), Revocation(token=gone))
    assert isinstance(at.roll, Roll)
    assert at.roll.marks == {mark_of(gone)}


async def test_a_ticket_ends_with_the_login_that_it_was_got_with_also_when_that_is_over() -> None:
    seconds = [NOW]
    tokens, roll = Tokens(Secrets(SECRET.encode()), now=lambda: seconds[0]), Roll()
    at = Desk(tokens, roll, lambda: datetime.fromtimestamp(seconds[0], UTC))
    channels = Realtime(tokens, roll, at.now)
    login = await at.mint(ANONYMOUS, Proof(SECRET), TokenWish("bob", "user", lifetime_s=3))
    ticket = channels.mint(login.principal, TicketWish("tasks", ("update",)), login.token).text
    seconds[0] += 5
    channels.admit(ticket)
    await at.revoke(login.principal, Revocation(token=login.token))
    with pytest.raises(Unauthenticated) as refused:
        channels.admit(ticket)
    assert refused.value.code == "TOKEN_REVOKED"


@pytest.mark.parametrize(
    ("revoker", "gone", "code"),
    [
        (who(Role.USER, "ann"), text(exp=int(NOW) - 1), "NOT_YOURS_TO_REVOKE"),
        (who(Role.ADMIN), text(tenant="public", exp=int(NOW) - 1), "BAD_TOKEN"),
        (who(Role.ADMIN), text(exp=int(NOW) - 1)[:-1], "BAD_TOKEN"),
        (who(Role.ADMIN), forged({"sub": "bob", "role": "user", "exp": int(NOW) - 1}, secret=OTHER + "x"), "BAD_TOKEN"),
        (who(Role.ADMIN), text(role="root", exp=int(NOW) - 1), "BAD_TOKEN"),
    ],
    ids=["of another", "of another tenant", "no signature of it", "signed elsewhere", "odd"],
)
async def test_a_token_that_is_just_over_is_revoked_by_those_only_who_could_before(revoker: Principal, gone: str, code: str) -> None:
    assert await revoked(revoker, Revocation(token=gone)) == code


@pytest.mark.parametrize(
    "wish", [Revocation(), Revocation(token=text(), subject="bob"), Revocation(subject=""), Revocation(subject="a\nb")]
)
async def test_a_revocation_names_one_thing(wish: Revocation) -> None:
    assert await revoked(who(Role.ADMIN), wish) == "BAD_TOKEN_WISH"


@pytest.mark.parametrize("wish", [Revocation(token=text()), Revocation(subject="anonymous")])
async def test_a_stranger_revokes_nothing(wish: Revocation) -> None:
    assert await revoked(ANONYMOUS, wish) == "NO_PROOF"


async def test_what_is_minted_after_a_revocation_counts() -> None:
    seconds = [NOW]
    tokens = Tokens(Secrets(SECRET.encode()), now=lambda: seconds[0])
    at = Desk(tokens, Roll(), lambda: datetime.fromtimestamp(seconds[0], UTC))
    before = await at.mint(ANONYMOUS, Proof(SECRET), TokenWish("bob", "user"))
    await at.revoke(Principal(HOME, "bob", Role.USER), Revocation(subject="bob"))
    seconds[0] += 0.002
    after = await at.mint(ANONYMOUS, Proof(SECRET), TokenWish("bob", "user"))
    assert [at.roll.revoked(tokens.verify(each.token)) for each in (before, after)] == [True, False]


def test_what_the_desk_hands_about_shows_no_secret() -> None:
    shown = [Proof(SECRET), Revocation(token=text()), Revocation(token=SECRET)]
    assert not any(hidden in repr(each) for each in shown for hidden in (SECRET, "eyJ"))

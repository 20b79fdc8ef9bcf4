"""Dead letters: what was given up on, of whatever kind, and having it tried once more."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.letters import LetterEdit
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_letters as answers
from trunkline_gateway.dialects.orchestrator import decode_letters, encode_letters, names
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas_letters import DiscardBody, LetterPath, LettersQuery, RequeueBody, RequeueManyBody
from trunkline_gateway.dialects.orchestrator.seal import Seal
from trunkline_gateway.usecases.letters import Letters

T = TypeVar("T")
TAG: Final = "dead letters"
_WAIT: Final = (401, 403, 429, 503)
_BODY: Final = (*_WAIT, 400, 413, 415, 422)
LIST: Final = Spec(
    "List what was given up on",
    TAG,
    "Failed tasks, triggers that began nothing, webhooks that nobody took, messages that no handler could take.",
    query=LettersQuery,
    answers={200: answers.LetterList},
    refusals=(*_WAIT, 400, 422),
)
READ: Final = Spec("Read one letter, whole", TAG, path=LetterPath, answers={200: answers.LetterRead}, refusals=(*_WAIT, 404))
REQUEUE: Final = Spec(
    "Have it tried once more",
    TAG,
    "A task or a trigger becomes another task, yours; a webhook is told again; a timer is set free again; a handler is shown its fact.",
    path=LetterPath,
    body=RequeueBody,
    body_required=False,
    answers={202: answers.LetterDone},
    refusals=(*_BODY, 404, 409),
)
REQUEUE_MANY: Final = Spec(
    "Have many tried once more", TAG, body=RequeueManyBody, answers={202: answers.LettersDone}, refusals=(*_BODY, 409)
)
DISCARD: Final = Spec(
    "Put it aside", TAG, path=LetterPath, body=DiscardBody, answers={200: answers.LetterDone}, refusals=(*_BODY, 404, 409)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LetterRoutes:
    letters: Letters
    body: BodyReader
    seal: Seal

    def routes(self) -> tuple[Route, ...]:
        every, one = "/dead-letters", "/dead-letters/{letter_id}"
        look, change = Action.READ_LETTER, Action.CHANGE_LETTER
        return (
            Route("GET", every, look, self._list, LIST, "letters.read"),
            Route("GET", one, look, self._read, READ, "letters.read"),
            Route("POST", f"{every}/requeue", change, self._requeue_many, REQUEUE_MANY, "letters.change"),
            Route("POST", f"{one}/requeue", change, self._requeue, REQUEUE, "letters.change"),
            Route("POST", f"{one}/discard", change, self._discard, DISCARD, "letters.change"),
        )

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        query, cursor = decode_letters.listed(request.query, self.letters.now())
        page = await self.letters.page(principal, query.model_copy(update={"after": self.seal.opened(principal, query, cursor)}))
        return json(encode_letters.listed(page, self.seal.sealed(principal, query, page.next)))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_letters.read(await _found(self.letters.one(principal, _letter(request)))))

    async def _requeue(self, request: web.Request, principal: Principal) -> web.Response:
        letter, asked = _letter(request), decode_letters.edit(await self.body.json_if_any(request))
        edit = await self._edit(principal, letter, asked)
        view = await _found(self.letters.requeue(principal, letter, edit, id=request[IDS].id()))
        return json(encode_letters.requeued(view), 202)

    async def _requeue_many(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode_letters.many(await self.body.json(request), self.letters.now())
        chosen, more = await self.letters.open(principal, wish.query, wish.limit) if wish.query else (wish.ids, False)
        came = await self.letters.requeue_many(principal, chosen, partial(self._edit, principal, asked=wish.edit), id=request[IDS].id())
        return json(encode_letters.requeued_many(came, more), 202)

    async def _edit(self, principal: Principal, letter: str, asked: LetterEdit | None) -> LetterEdit | None:
        """Raises Invalid, NotFound, Unavailable."""
        if asked is None or not decode_letters.of_door(asked):
            return asked
        return decode_letters.as_at_the_door(asked, await _found(self.letters.one(principal, letter)), self.letters.now())

    async def _discard(self, request: web.Request, principal: Principal) -> web.Response:
        letter, reason = _letter(request), decode_letters.reason(await self.body.json(request))
        view = await _found(self.letters.discard(principal, letter, reason, id=request[IDS].id()))
        return json(encode_letters.discarded(view))


async def _found(asked: Awaitable[T]) -> T:
    """What came of it; what is not there is said in the words of this surface."""
    try:
        return await asked
    except NotFound as error:
        raise (names.unknown_letter() if error.code == "LETTER_NOT_FOUND" else error) from None


def _letter(request: web.Request) -> str:
    return names.read_letter(request[PARTS]["letter_id"])

"""The page of a pull request, for forges that have no pages of their own."""

from __future__ import annotations

from dataclasses import asdict

from trunkline.contracts.forge import PullRequestView, ShowPullRequest
from trunkline.contracts.message import Accepted
from trunkline_sandbox.ports import Forge


class ShowPullRequestPage:
    def __init__(self, forge: Forge) -> None:
        self._forge = forge

    async def answer(self, wish: ShowPullRequest) -> Accepted:
        page = await self._forge.show_pull_request(wish.repo, wish.number)
        return Accepted(seq=0, body=PullRequestView(**asdict(page)).model_dump(mode="json"))

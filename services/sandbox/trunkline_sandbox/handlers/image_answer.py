"""Somebody asks how the image of named sandboxes stands: that of the provider where one is made whose caller names none."""

from __future__ import annotations

from trunkline.contracts.image import GetImage
from trunkline.contracts.message import Accepted
from trunkline_sandbox.handlers.images import Images
from trunkline_sandbox.handlers.named_hosts import Hosts
from trunkline_sandbox.handlers.named_terms import Caps


class AnswerImages:
    def __init__(self, images: Images, hosts: Hosts, caps: Caps) -> None:
        self._images = images
        self._hosts = hosts
        self._caps = caps

    async def get(self, command: GetImage) -> Accepted:
        """How the image stands where sandboxes are made that name no provider. The body is an ImageView. Raises Unavailable."""
        provider = self._caps.named or await self._hosts.usual(self._caps.provider)
        if self._hosts.get(provider) or provider == self._caps.provider:
            return await self._images.get(command)
        return await self._hosts.ask(provider, command)

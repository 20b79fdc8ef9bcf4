"""The emulated Daytona's snapshots: built from Dockerfiles, found, activated and deleted, with the log of their build."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Final

from aiohttp import web
from pydantic import JsonValue

from trunkline.testing.fake_cloud.builds import Image, Step, stamp
from trunkline.testing.fake_cloud.places import Place

if TYPE_CHECKING:
    from trunkline.testing.fake_daytona.server import FakeDaytona

ORGANIZATION: Final = "org-1"
_STATES: Final = {"waiting": "pending", "building": "building", "ready": "active", "failed": "build_failed", "asleep": "inactive"}


class Snapshots:
    """The routes below /api/snapshots, and where what they copy is laid down."""

    def __init__(self, fake: FakeDaytona) -> None:
        self._fake = fake

    def routes(self) -> list[web.RouteDef]:
        top, one = "/api/snapshots", "/api/snapshots/{id}"
        return [
            web.post(top, self.create, name="build"),
            web.get(top, self.page, name="images"),
            web.get(one, self.get, name="image"),
            web.delete(one, self.delete, name="drop"),
            web.post(one + "/activate", self.activate, name="wake"),
            web.get(one + "/build-logs-url", self.place_of_log, name="log-url"),
            web.get("/logs/{id}", self.log, name="build-log"),
            web.get("/api/object-storage/push-access", self.push_access, name="push-access"),
        ]

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, builds = body["name"], self._fake.builds
        if name in builds.images:
            return _refused(409, f'Snapshot with name "{name}" already exists for this organization')
        info = body["buildInfo"]
        image = builds.images[name] = Image(str(uuid.uuid4()), name, Place(self._fake.root / f"snapshot-{name}", self._fake.image))
        builds.start(image, self._steps(info["dockerfileContent"], info.get("contextHashes") or []))
        return self._told(image)

    async def page(self, request: web.Request) -> web.Response:
        page, limit = int(float(request.query.get("page") or 1)), min(int(float(request.query.get("limit") or 100)), self._fake.page)
        found = list(self._fake.builds.images.values())
        items: list[JsonValue] = [self._shown(image) for image in found[(page - 1) * limit : page * limit]]
        told: dict[str, JsonValue] = {"items": items, "total": len(found), "page": page, "totalPages": -(-len(found) // limit)}
        return self._fake.reply("PaginatedSnapshots", told)

    async def get(self, request: web.Request) -> web.Response:
        return self._told(self._fake.builds.seen(request.match_info["id"], "image"))

    async def delete(self, request: web.Request) -> web.Response:
        """By its id alone."""
        wanted = request.match_info["id"]
        self._fake.builds.drop(next(one for one in [self._fake.builds.seen(wanted, "drop")] if one.id == wanted))
        return web.Response()

    async def activate(self, request: web.Request) -> web.Response:
        image = self._fake.builds.seen(request.match_info["id"], "wake")
        image.state = "ready" if image.state == "asleep" else image.state
        return self._told(image)

    async def place_of_log(self, request: web.Request) -> web.Response:
        image = self._fake.builds.seen(request.match_info["id"], "log-url")
        return self._fake.reply("Url", {"url": self._fake.url.removesuffix("/api") + f"/logs/{image.id}"})

    async def log(self, request: web.Request) -> web.Response:
        """As it is now; while it grows its last line is not whole."""
        image = self._fake.builds.seen(request.match_info["id"], "build-log")
        return web.Response(text="".join(f"{line}\n" for line in image.log) + ("Ste" if image.state == "building" else ""))

    async def push_access(self, request: web.Request) -> web.Response:
        told: dict[str, JsonValue] = {
            "accessKey": "a", "secret": "s", "sessionToken": "t", "storageUrl": self._fake.url.removesuffix("/api") + "/storage",
            "organizationId": ORGANIZATION, "bucket": "builds", "region": "us-east-1",
        }  # fmt: skip
        return self._fake.reply("StorageAccessDto", told)

    def _steps(self, dockerfile: str, hashes: list[str]) -> tuple[Step, ...]:
        """Each COPY finds what it names in any of the archives."""
        archives = [self._fake.storage.files[f"builds/{ORGANIZATION}/{one}/context.tar"] for one in hashes]
        words = [line.partition(" ") for line in re.sub(r"\\\n", "", dockerfile).splitlines() if line.strip() and line[0] != "#"]
        copied = iter(archives)
        return tuple(Step(word, rest, next(copied, b"") if word == "COPY" else b"") for word, _, rest in words)

    def _told(self, image: Image) -> web.Response:
        return self._fake.reply("SnapshotDto", self._shown(image))

    def _shown(self, image: Image) -> dict[str, JsonValue]:
        at = stamp(image.created)
        return {
            "id": image.id, "organizationId": ORGANIZATION, "general": False, "name": image.name, "imageName": "",
            "state": _STATES[image.told], "size": None, "entrypoint": None, "cpu": 1, "gpu": 0, "mem": 1, "disk": 3,
            "errorReason": image.why or None, "createdAt": at, "updatedAt": at, "lastUsedAt": None, "sourceSandboxId": None,
        }  # fmt: skip


def _refused(status: int, said: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": said, "error": "refused"}, status=status)

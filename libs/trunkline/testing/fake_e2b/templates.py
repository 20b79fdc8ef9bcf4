"""The emulated E2B's templates: built from steps, found and deleted, with the log of their build."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from aiohttp import web
from pydantic import JsonValue

from trunkline.testing.fake_cloud.builds import Image, Step, stamp
from trunkline.testing.fake_cloud.places import Place

if TYPE_CHECKING:
    from trunkline.testing.fake_e2b.server import FakeE2b

LOG_PAGE: Final = 100
_STATES: Final = {"waiting": "waiting", "building": "building", "ready": "ready", "failed": "error"}


class Templates:
    """The routes below /templates, whose images have the id of their newest build."""

    def __init__(self, fake: FakeE2b) -> None:
        self._fake = fake

    def routes(self) -> list[web.RouteDef]:
        one = "/templates/{id}"
        return [
            web.post("/v3/templates", self.create, name="build"),
            web.get("/v2/templates", self.page, name="images"),
            web.get(one, self.get, name="image"),
            web.delete(one, self.delete, name="drop"),
            web.get(one + "/files/{hash}", self.place_of_files, name="files"),
            web.post("/v2" + one + "/builds/{build}", self.begin, name="begin"),
            web.get(one + "/builds/{build}/status", self.status, name="build-log"),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """A name that is there is told of one more build."""
        name, images = (await request.json())["name"], self._fake.builds.images
        if name in images:
            images.pop(name).place.remove()
        image = images[name] = Image(str(uuid.uuid4()), name, Place(self._fake.root / f"template-{name}", self._fake.image))
        told: dict[str, JsonValue] = {
            "templateID": _id(image), "buildID": image.id, "public": False, "names": [name], "tags": [], "aliases": [name],
        }  # fmt: skip
        return self._fake.reply("TemplateRequestResponseV3", told, 202)

    async def begin(self, request: web.Request) -> web.Response:
        image, body = self._image(request, "begin"), await request.json()
        steps = tuple(self._step(step) for step in body.get("steps") or [])
        self._fake.builds.start(image, steps)
        image.state = "building"
        return web.Response(status=202)

    async def page(self, request: web.Request) -> web.Response:
        first = int(request.query.get("nextToken") or 0)
        last = first + min(int(request.query.get("limit") or 100), self._fake.page)
        found = list(self._fake.builds.images.values())
        answer = self._fake.reply_all("Template", [self._shown(image) for image in found[first:last]])
        if last < len(found):
            answer.headers["x-next-token"] = str(last)
        return answer

    async def get(self, request: web.Request) -> web.Response:
        image = self._image(request, "image")
        at = stamp(image.created)
        build: dict[str, JsonValue] = {
            "buildID": image.id, "status": _STATES[image.told], "createdAt": at, "updatedAt": at, "cpuCount": 2, "memoryMB": 512,
        }  # fmt: skip
        return self._fake.reply("TemplateWithBuilds", {**self._shown(image), "builds": [build]})

    async def delete(self, request: web.Request) -> web.Response:
        self._fake.builds.drop(self._image(request, "drop"))
        return web.Response(status=204)

    async def place_of_files(self, request: web.Request) -> web.Response:
        path = f"files/{request.match_info['hash']}"
        told: dict[str, JsonValue] = {"present": path in self._fake.storage.files, "url": f"{self._fake.url}/storage/{path}"}
        return self._fake.reply("TemplateBuildFileUpload", told, 201)

    async def status(self, request: web.Request) -> web.Response:
        """At most a page of its log, from an offset on."""
        image, first = self._image(request, "build-log"), int(request.query.get("logsOffset") or 0)
        at = stamp(image.created)
        entries: list[JsonValue] = [{"timestamp": at, "message": line, "level": "info"} for line in image.log[first : first + LOG_PAGE]]
        told: dict[str, JsonValue] = {
            "logs": [], "logEntries": entries, "templateID": _id(image), "buildID": image.id, "status": _STATES[image.told],
        }  # fmt: skip
        if image.why:
            told["reason"] = {"message": image.why, "step": str(len(image.log))}
        return self._fake.reply("TemplateBuildInfo", told)

    def _image(self, request: web.Request, call: str) -> Image:
        """By the template's id or name. Raises KeyError."""
        wanted = request.match_info["id"]
        named = next((image.name for image in self._fake.builds.images.values() if wanted == _id(image)), wanted)
        return self._fake.builds.seen(named, call)

    def _step(self, step: dict[str, JsonValue]) -> Step:
        args = [str(arg) for arg in step["args"]] if isinstance(step["args"], list) else []
        if step["type"] == "COPY":
            return Step("COPY", " ".join(args[:2]), self._fake.storage.files[f"files/{step['filesHash']}"])
        return Step(str(step["type"]), args[0] if args else "")

    def _shown(self, image: Image) -> dict[str, JsonValue]:
        at = stamp(image.created)
        return {
            "templateID": _id(image), "buildID": image.id, "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 1024, "public": False,
            "aliases": [image.name], "names": [image.name], "createdAt": at, "updatedAt": at, "createdBy": None, "lastSpawnedAt": None,
            "spawnCount": 0, "buildCount": 1, "envdVersion": "0.6.8", "buildStatus": _STATES[image.told],
        }  # fmt: skip


def _id(image: Image) -> str:
    return f"t{image.id.replace('-', '')}"

"""Where an emulated cloud lets its callers lay down what a Dockerfile copies: as much of S3 as SDKs ask for, and files by an address."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.web import Request, Response

_BEGUN = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
_DONE = '<CompleteMultipartUploadResult><ETag>"done"</ETag></CompleteMultipartUploadResult>'


@dataclass(slots=True)
class Storage:
    """Everything below /storage, by its path."""

    files: dict[str, bytes] = field(default_factory=dict)
    _parts: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        path = "/storage/{path:.*}"
        return [web.head(path, self.head, name="stat"), web.post(path, self.post, name="lay"), web.put(path, self.put, name="lay-part")]

    async def head(self, request: Request) -> Response:
        there = self.files.get(request.match_info["path"])
        if there is None:
            return Response(status=404)
        return Response(headers={"Content-Length": str(len(there)), "ETag": '"it"', "Last-Modified": "Sun, 22 Nov 2026 04:00:00 GMT"})

    async def post(self, request: Request) -> Response:
        """Begins and ends what comes in parts."""
        path = request.match_info["path"]
        if "uploads" in request.query:
            self._parts[path] = {}
            return Response(text=_BEGUN, content_type="application/xml")
        parts = self._parts.pop(path)
        self.files[path] = b"".join(parts[number] for number in sorted(parts))
        return Response(text=_DONE, content_type="application/xml")

    async def put(self, request: Request) -> Response:
        path, data = request.match_info["path"], await request.read()
        if "partNumber" in request.query:
            self._parts[path][int(request.query["partNumber"])] = data
        else:
            self.files[path] = data
        return Response(headers={"ETag": '"it"'})

"""The document and its two pages: served whole, kept by browsers, and nothing of them comes from elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.campaigns import tries
from tests.dialects.world import World, served
from trunkline_gateway import apidocs

ASSETS = Path(apidocs.__file__).parent / "assets"
NOTICE = re.compile(r"^(\S+) +(\d\S*) +(Apache-2\.0|MIT) +([0-9a-f]{64}) +(\S+)$", re.MULTILINE)
CHROMIUM = shutil.which("chromium")


@asynccontextmanager
async def reading() -> AsyncIterator[ClientSession]:
    async with served(World()) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(10)) as session:
        yield session


async def text(session: ClientSession, path: str) -> str:
    async with session.get(path) as response:
        assert response.status == 200
        return await response.text()


async def test_the_document_is_served_and_is_openapi_3_1() -> None:
    async with reading() as session, session.get("/openapi.json") as response:
        document = await response.json()
    assert response.content_type == "application/json"
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"] == "3.1.0"
    assert {"/", "/health", "/docs", "/redoc", "/openapi.json", "/api/pr-agent/execute"} <= document["paths"].keys()
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_a_page_loads_its_own_scripts_only_and_is_not_kept(path: str) -> None:
    async with reading() as session, session.get(path) as response:
        page = await response.text()
    policy = response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'; script-src 'self';" in policy and "connect-src 'self'" in policy
    assert not re.search(r"https?:", policy + page)
    assert "worker-src blob:" in policy if path == "/redoc" else "worker-src" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) >= 3
    assert [link for link in loaded if not link.startswith(("/docs/assets/", "data:,", "/openapi.json"))] == []


async def test_what_the_pages_load_is_there_under_its_hash_and_may_be_kept_for_ever() -> None:
    async with reading() as session:
        pages = await text(session, "/docs") + await text(session, "/redoc")
        for link in set(re.findall(r'"(/docs/assets/[^"]+)"', pages)):
            async with session.get(link) as response:
                content = await response.read()
            assert response.status == 200
            assert link.split("/")[3] == hashlib.sha256(content).hexdigest()[:32]
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert response.content_type == ("text/css" if link.endswith(".css") else "text/javascript")
            async with session.get(link, headers={"If-None-Match": response.headers["ETag"]}) as again:
                assert (again.status, await again.read()) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/docs/assets",
        f"/docs/assets/{'0' * 32}/swagger-ui.css",
        "/docs/assets/NOTICE",
        "/docs/nothing",
        f"/docs/assets/{'0' * 32}/..%2Froutes.py",
    ],
)
async def test_what_is_not_there_is_refused_in_the_shape_of_the_page(path: str) -> None:
    async with reading() as session, session.get(path) as response:
        assert response.status == 404
        assert list(await response.json()) == ["detail"]


async def test_a_page_takes_no_other_method() -> None:
    async with reading() as session, session.post("/docs") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_every_file_of_others_is_the_one_that_its_notice_names() -> None:
    named = {file: digest for _, _, _, digest, file in NOTICE.findall((ASSETS / "NOTICE").read_text())}
    there = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in ASSETS.iterdir() if file.name != "NOTICE"}
    assert there == named


def test_the_pages_show_no_document_but_ours_and_ask_nobody_about_it() -> None:
    start = (ASSETS.parent / "start-swagger-ui.js").read_text()
    assert "queryConfigEnabled: false" in start and "validatorUrl: null" in start and "persistAuthorization: false" in start


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: chromium is not installed")
@pytest.mark.slow
@pytest.mark.parametrize(("path", "shown"), [("/docs", "opblock-summary-path"), ("/redoc", "Request samples")][: tries(1, 2)])
async def test_a_browser_without_any_network_shows_the_page(path: str, shown: str, tmp_path: Path) -> None:
    async with served(World()) as gateway:
        dom = await _shown(f"{gateway.url}{path}", tmp_path)
    assert shown in dom and "Submit a task on a repository" in dom


async def _shown(url: str, folder: Path) -> str:
    """The page as a browser has it once its scripts ran; no name leads anywhere, so only addresses can be reached."""
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=8000",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    )
    command = [str(CHROMIUM), *flags, f"--user-data-dir={folder}", "--dump-dom", url]
    program = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    async with asyncio.timeout(60):
        out, _ = await program.communicate()
    return out.decode()

"""Names of repositories at GitHub, and where its API and its pages are; all pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yarl import URL

from trunkline.contracts.errors import Invalid

_OWNER = re.compile(r"\A(?!-)[A-Za-z0-9_-]{1,100}\Z")
_NAME = re.compile(r"\A(?!-)(?!\.\Z)(?!.*\.\.)[A-Za-z0-9._-]{1,100}\Z")
"""Names may begin with a dot: `.github` is a usual one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A repository by its owner and its name."""

    owner: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def key(self) -> str:
        """GitHub does not tell capitals from small letters here."""
        return self.path.lower()


def place(repo: str, web: URL) -> Place:
    """`owner/name`, or its address at this very GitHub; `.git` behind it does not matter. Raises Invalid."""
    said = repo.removesuffix("/").removesuffix(".git")
    if said.startswith(("http://", "https://")):
        said = _below(said, web)
    owner, slash, name = said.partition("/")
    if slash and _OWNER.match(owner) and _NAME.match(name) and not name.endswith(".git"):
        return Place(owner, name)
    raise Invalid(f"{repo[:120]!r} is no repository of {web.host}; name it as owner/name.", code="REPO_INVALID")


def _below(address: str, web: URL) -> str:
    """The path of an address that is ours; nothing of any other, or its host would be given our credential."""
    try:
        url = URL(address)
    except ValueError:
        return ""
    ours = url.origin() == web and not url.user and not url.query_string and not url.fragment
    return url.path.removeprefix("/") if ours else ""


def api_of(text: str) -> URL:
    """Where the API is, without a slash at its end. Raises Invalid."""
    try:
        url = URL(text.rstrip("/"))
        fit = url.scheme in ("http", "https") and bool(url.host) and not (url.user or url.query_string or url.fragment)
    except ValueError:
        fit = False
    if not fit:
        raise Invalid("GITHUB_API_URL is not a plain http or https address; correct it or leave it out.", code="FORGE_NOT_CONFIGURED")
    return url


def web_of(api: URL) -> URL:
    """Where its pages and repositories are: `api.` is GitHub's own way, `/api/v3` that of a GitHub Enterprise Server."""
    host = api.host or ""
    return api.origin().with_host(host.removeprefix("api.")) if host.startswith("api.") else api.origin()


def clone_url(told: str, spot: Place, web: URL) -> str:
    """What GitHub calls the repository, if that is at its own host; anything else is made up from the name."""
    try:
        url = URL(told)
        if url.origin() == web and not url.user and not url.query_string:
            return str(url)
    except ValueError:
        pass
    return str(web / spot.owner / f"{spot.name}.git")

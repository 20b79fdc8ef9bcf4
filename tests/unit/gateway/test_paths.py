"""What a path leads to, and what is said of one that leads nowhere."""

from __future__ import annotations

import pytest

from trunkline.contracts.errors import NotFound, Unsupported
from trunkline_gateway.paths import Paths

SERVED = (
    ("GET", "/tasks"),
    ("POST", "/tasks"),
    ("GET", "/tasks/open"),
    ("GET", "/tasks/{id}"),
    ("PUT", "/tasks/{id}/messages/order"),
    ("DELETE", "/tasks/{id}/messages/{message:(?!order$)[^/]+}"),
    ("GET", "/jobs/{job:[0-9a-f]{4}}/watch"),
    ("GET", "/jobs/{job}/{verb}"),
)


@pytest.fixture(scope="module")
def paths() -> Paths[str]:
    made: Paths[str] = Paths()
    for method, path in SERVED:
        made.add(method, path, path)
    return made


@pytest.mark.parametrize(
    ("method", "path", "leads", "parts"),
    [
        ("POST", "/tasks", "/tasks", {}),
        ("GET", "/tasks/open", "/tasks/open", {}),
        ("GET", "/tasks/closed", "/tasks/{id}", {"id": "closed"}),
        ("GET", "/tasks/a%2Fb%252F", "/tasks/{id}", {"id": "a/b%2F"}),
        ("PUT", "/tasks/1/messages/order", "/tasks/{id}/messages/order", {"id": "1"}),
        ("DELETE", "/tasks/1/messages/orders", "/tasks/{id}/messages/{message:(?!order$)[^/]+}", {"id": "1", "message": "orders"}),
        ("GET", "/jobs/00ff/watch", "/jobs/{job:[0-9a-f]{4}}/watch", {"job": "00ff"}),
        ("GET", "/jobs/0000000/watch", "/jobs/{job}/{verb}", {"job": "0000000", "verb": "watch"}),
    ],
)
def test_a_path_leads_where_most_of_it_is_said_and_its_other_parts_have_names(
    method: str, path: str, leads: str, parts: dict[str, str], paths: Paths[str]
) -> None:
    assert paths.find(method, path) == (leads, parts)


@pytest.mark.parametrize(
    "path", ["/", "*", "", "/task", "/tasks/", "//tasks", "/tasks/{", "/tasks/a}", "/tasks/{id}", "/tasks/1/messages", "/jobs/1"]
)
def test_what_is_no_path_is_not_found(path: str, paths: Paths[str]) -> None:
    with pytest.raises(NotFound):
        paths.find("GET", path)


@pytest.mark.parametrize(
    ("path", "takes"),
    [("/tasks", "GET, POST"), ("/tasks/open", "GET"), ("/tasks/1/messages/order", "PUT"), ("/tasks/1/messages/2", "DELETE")],
)
def test_a_method_that_a_path_does_not_take_is_told_which_it_does(path: str, takes: str, paths: Paths[str]) -> None:
    with pytest.raises(Unsupported) as refused:
        paths.find("PATCH", path)
    assert refused.value.details["allow"] == takes


@pytest.mark.parametrize("path", ["/x/{id}.json", "/x/{id", "/x/{1}"])
def test_a_part_has_a_name_as_a_whole_or_none(path: str) -> None:
    with pytest.raises(RuntimeError, match="no part of a path"):
        Paths[str]().add("GET", path, "")

"""JSON on the command line: as it stands or from a file, refused with what is wrong and where."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from trunkline.contracts.errors import Invalid
from trunkline_cli.said import MOST, json_object


def test_an_object_is_taken_as_it_stands_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"issue": "123"}')
    assert json_object("--payload", '{"issue": "123"}') == json_object("--payload", f"@{tmp_path}/p.json") == {"issue": "123"}


def test_an_object_is_taken_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    assert json_object("--payload", "@-") == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 100_000])
def test_what_is_no_json_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(Invalid, match="--payload is no JSON"):
        json_object("--payload", text)


@pytest.mark.parametrize("text", ["[]", "7", '"x"', "null"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="--metadata must be a JSON object"):
        json_object("--metadata", text)


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b" " * (MOST + 1))
    for name, why in (("absent", "No such file"), ("binary", "no UTF-8"), ("large", "more than 8 MiB"), (".", "directory")):
        with pytest.raises(Invalid, match=why):
            json_object("--payload", f"@{tmp_path}/{name}")

"""What comes from a sandbox far away is read as if an enemy wrote it: workspaces, and the spool."""

from __future__ import annotations

import gzip
import io
import subprocess
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import shell
from tests.conformance.sandbox.conftest import Far, at_daytona
from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.providers.remote.frames import LOST, Frames
from trunkline_sandbox.adapters.providers.remote.inside import parcel


async def test_a_workspace_that_leads_out_is_refused_and_nothing_is_written_outside(root: Path, tmp_path: Path) -> None:
    async with at_daytona(root) as box:
        await _evil(box, tmp_path)
    assert not list(tmp_path.iterdir())


async def _evil(box: Far, tmp_path: Path) -> None:
    await box.run(shell("true"))
    machine = next(iter(box.fake.boxes.values()))
    porter = next((machine.place.home / ".trunkline").glob("porter-*.pyc"))
    evil = io.BytesIO()
    parcel.put(evil, parcel.LINK, b"out", str(tmp_path).encode())
    parcel.put(evil, parcel.FILE, b"out/x", b"written")
    parcel.close(evil)
    (machine.place.home / "evil").write_bytes(gzip.compress(evil.getvalue()))
    code = 'import shutil,sys; shutil.copy("%s", "%s/"+sys.argv[2]); print(\'trunkline: {"size": 1}\')'
    (tmp_path.parent / "evil.py").write_text(code % (machine.place.home / "evil", machine.place.home / ".trunkline" / "desk"))
    compiling = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)"
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run(["python3", "-c", compiling, tmp_path.parent / "evil.py", porter], check=True, env=env)
    with pytest.raises(Invalid) as refusal:
        await box.provider.take(box.id)
    assert refusal.value.code == "BAD_WORKSPACE"


@pytest.mark.parametrize("name", [b"../x", b"/x", b"a//x", b"", b"a/../../x", b"a\0b", b"."])
def test_a_parcel_makes_nothing_outside_its_folder(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "in").mkdir()
    bad = io.BytesIO()
    parcel.put(bad, parcel.FILE, name, b"x")
    parcel.close(bad)
    with pytest.raises(parcel.BadParcel):
        parcel.unpack(io.BytesIO(bad.getvalue()), str(tmp_path / "in"), 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("bad", [b"", b"Z" + bytes(15), parcel.ENTRY.pack(b"F", 1, 1 << 62) + b"x", parcel.ENTRY.pack(b"F", 1 << 31, 0)])
def test_what_is_no_parcel_is_refused(tmp_path: Path, bad: bytes) -> None:
    with pytest.raises(parcel.BadParcel):
        parcel.unpack(io.BytesIO(bad), str(tmp_path), 1 << 20)


@pytest.mark.parametrize(
    "spool",
    [b"?" * 64, b"X\0\0\0" + (99).to_bytes(4, "little") + bytes(16) + b"x" * 99, b"O\0\0\0\xff\xff\xff\xff" + bytes(16),
     b"X\0\0\0" + (2).to_bytes(4, "little") + bytes(16) + b"{}"],
)  # fmt: skip
def test_a_spool_that_was_tampered_with_is_a_run_that_is_lost(spool: bytes) -> None:
    assert list(Frames().feed(spool)) == [LOST]

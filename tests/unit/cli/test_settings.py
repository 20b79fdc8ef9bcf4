"""Settings: who wins, what is refused, what is never shown."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from trunkline.contracts.errors import Invalid
from trunkline.runtime.settings import Source, load, read_file, refuse_unknown, rows, unknown_variables, variables
from trunkline_cli.services import settings_of
from trunkline_cli.sources import Sources, read


class Sample(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(8787, description="Free on most machines.")
    hosts: tuple[str, ...] = Field((), description="None may be reached.")
    limits: bool = Field(True, description="On.")
    root: Path | None = Field(None, description="None: below the data directory.")
    key: SecretStr = Field(SecretStr(""), description="None.", json_schema_extra={"env": "VENDOR_KEY"})
    url: str = Field("", description="None.", json_schema_extra={"env": "VENDOR_URL", "env_first": "TRUNKLINE_URL_OF_VENDOR"})


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default() -> None:
    flags, environ, toml = {"port": "1"}, {"TRUNKLINE_PORT": "2"}, {"port": 3}
    assert [
        (loaded.settings.port, loaded.sources["port"])
        for loaded in (
            load(Sample, flags, environ, toml),
            load(Sample, {}, environ, toml),
            load(Sample, {}, {}, toml),
            load(Sample, {}, {}, {}),
        )
    ] == [(1, Source.FLAG), (2, Source.ENVIRONMENT), (3, Source.FILE), (8787, Source.DEFAULT)]


def test_text_becomes_what_the_field_is() -> None:
    environ = {"TRUNKLINE_HOSTS": "a.example, b.example:8080", "TRUNKLINE_LIMITS": "off", "TRUNKLINE_ROOT": "/srv", "VENDOR_KEY": "s"}
    settings = load(Sample, environ=environ).settings
    assert (settings.hosts, settings.limits, settings.root) == (("a.example", "b.example:8080"), False, Path("/srv"))
    assert settings.key.get_secret_value() == "s"
    assert load(Sample, environ={"TRUNKLINE_HOSTS": '["a", "b"]'}).settings.hosts == ("a", "b")


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load(Sample, environ={"TRUNKLINE_PORT": ""}).settings.port == 8787


def test_a_setting_of_two_variables_takes_the_one_that_is_ours_before_the_one_that_others_read_too() -> None:
    both = {"VENDOR_URL": "theirs", "TRUNKLINE_URL_OF_VENDOR": "ours"}
    assert [
        load(Sample, environ=environ).settings.url for environ in (both, {"VENDOR_URL": "theirs"}, {**both, "TRUNKLINE_URL_OF_VENDOR": ""})
    ] == [
        "ours",
        "theirs",
        "theirs",
    ]
    assert load(Sample, {"url": "flag"}, both).settings.url == "flag"
    assert "TRUNKLINE_KEY" not in variables("key", Sample.model_fields["key"]), "a name that was given to a setting is the only one"


@pytest.mark.parametrize("service", ["gateway", "sandbox"])
def test_where_github_is_may_be_said_under_either_name_and_reaches_the_children(service: str) -> None:
    for name in ("GITHUB_API_URL", "TRUNKLINE_GITHUB_API_URL"):
        sources, warnings = read(argparse.Namespace(config=None), {name: "https://github.example/api/v3", "HOME": "/"})
        child = Sources({}, sources.environment(service))
        assert child.load(settings_of(service)).settings.model_dump()["github_api_url"] == "https://github.example/api/v3"
        assert warnings == []
    told = {"GITHUB_API_URL": "a", "TRUNKLINE_GITHUB_API_URL": "b"}
    child = Sources({}, Sources({"github_api_url": "c"}, told).environment(service))
    assert child.load(settings_of(service)).settings.model_dump()["github_api_url"] == "c", "a flag wins over both"


def test_a_value_that_does_not_fit_is_said_with_its_place() -> None:
    with pytest.raises(Invalid, match=r"TRUNKLINE_PORT \(from environment\): input should be a valid integer"):
        load(Sample, environ={"TRUNKLINE_PORT": "many"})
    with pytest.raises(Invalid, match=r"--limits \(from flag\)"):
        load(Sample, {"limits": "perhaps"})


def test_a_bad_secret_is_not_repeated_in_the_complaint() -> None:
    with pytest.raises(Invalid) as refused:
        load(Sample, toml={"key": ["hunter2"]})
    assert "hunter2" not in refused.value.message


def test_a_name_that_does_not_exist_is_refused_with_the_nearest_that_does() -> None:
    with pytest.raises(Invalid, match="'prt'.*'port'"):
        refuse_unknown({"prt": 1}, Sample.model_fields)


def test_a_variable_that_nothing_reads_is_warned_of() -> None:
    assert unknown_variables({"TRUNKLINE_PROT": "1", "HOME": "/"}, ["TRUNKLINE_PORT"]) == [
        "TRUNKLINE_PROT is set, but nothing reads it. Did you mean 'TRUNKLINE_PORT'?"
    ]


def test_a_secret_is_never_shown() -> None:
    shown = {row.name: row.value for row in rows(load(Sample, environ={"VENDOR_KEY": "hunter2"}))}
    assert shown == {"port": "8787", "hosts": "(none)", "limits": "on", "root": "(not set)", "key": "********", "url": "(not set)"}


def test_a_file_that_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text("port = \n")
    with pytest.raises(Invalid, match="line 1"):
        read_file(tmp_path / "t.toml")
    with pytest.raises(Invalid, match="--config"):
        read_file(tmp_path / "absent.toml")

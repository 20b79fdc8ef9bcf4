"""The manifests for Kubernetes say what compose.yaml and the settings say: nothing is asked for that is not there, nothing left out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, latest_version, utils, validate

from tests.architecture.source import ROOT, SERVICES
from tests.architecture.test_deploy import CONFIG, SECRET, check_settings, check_start

FOLDER = ROOT / "deploy" / "kubernetes"
FILES = ("namespace", "nats", "settings", *sorted(SERVICES), "scaling")
VERSIONS = {
    "Namespace": "v1", "ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1",
    "PodDisruptionBudget": "policy/v1", "HorizontalPodAutoscaler": "autoscaling/v2",
}  # fmt: skip
SECRETS = {
    "trunkline-nats": {"password", "system-password", "callout-issuer", "callout-seed"},
    "trunkline": {"jwt-secret", "vault-key", "github-token", "anthropic-api-key"},
}
KEEPS = ("relay", "sandbox")
CLUSTERS = ("1.33", utils.major_minor(latest_version()))
"""The oldest that the how-to names, and the newest whose schemas the pinned package brings."""
Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return [each for name in FILES for each in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())]


@pytest.fixture(scope="module")
def compose() -> Document:
    read: Document = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return read


def named(documents: list[Document], kind: str, name: str) -> Document:
    [found] = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def workload(documents: list[Document], service: str) -> Document:
    [found] = [each for each in documents if each["kind"] in ("Deployment", "StatefulSet") and each["metadata"]["name"] == service]
    return found


def container(documents: list[Document], service: str) -> Document:
    [only] = workload(documents, service)["spec"]["template"]["spec"]["containers"]
    found: Document = only
    return found


def test_every_file_is_looked_at() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(FILES)


def test_every_document_is_of_a_kind_and_version_that_clusters_have_and_lies_in_one_namespace(documents: list[Document]) -> None:
    assert [each["apiVersion"] for each in documents] == [VERSIONS[each["kind"]] for each in documents]
    assert {each["metadata"].get("namespace") for each in documents if each["kind"] != "Namespace"} == {"trunkline"}


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_told_what_compose_tells_it(documents: list[Document], compose: Document, service: str) -> None:
    runs, shared = container(documents, service), named(documents, "ConfigMap", "trunkline")["data"]
    told = {*shared, *(each["name"] for each in runs["env"])}
    assert runs["envFrom"] == [{"configMapRef": {"name": "trunkline"}}]
    check_settings(service, {each["name"] for each in runs["env"]})
    composed = compose["services"][service]
    # Which names are taken is said where no proxy stands in front; the forge here is GitHub, and its agent the one that is installed.
    left_out = {"TRUNKLINE_ALLOWED_HOSTS", "TRUNKLINE_FORGE_ROOT", "TRUNKLINE_AGENT", "TRUNKLINE_AGENT_COMMAND"}
    assert set(composed["environment"]) - told <= left_out
    assert {name: shared[name] for name in ("TRUNKLINE_REPLICAS", "TRUNKLINE_DATA_DIR", "TRUNKLINE_METRICS_PORT")} == {
        name: composed["environment"][name] for name in ("TRUNKLINE_REPLICAS", "TRUNKLINE_DATA_DIR", "TRUNKLINE_METRICS_PORT")
    }
    assert (runs["image"], runs["args"]) == (composed["image"], composed["command"])
    secrets = {each["name"]: "" if each["name"].endswith("_SEED") else SECRET for each in runs["env"]}
    check_start(runs["args"], {**shared, **secrets})


def test_what_all_are_told_some_service_knows(documents: list[Document]) -> None:
    from trunkline_cli import sources

    known = {f"TRUNKLINE_{name.upper()}" for name, _ in sources.every_field()}
    assert set(named(documents, "ConfigMap", "trunkline")["data"]) <= known


def test_secrets_are_named_and_never_written(documents: list[Document]) -> None:
    assert not [each for each in documents if each["kind"] == "Secret"]
    for name in ("nats", *SERVICES):
        for variable in container(documents, name)["env"]:
            refers = variable["valueFrom"]
            if held := refers.get("secretKeyRef"):
                assert held["key"] in SECRETS[held["name"]], variable
            else:
                assert refers == {"fieldRef": {"fieldPath": "metadata.name"}}, variable


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_asked_how_it_is_where_it_says_so(documents: list[Document], service: str) -> None:
    runs = container(documents, service)
    ports = {each["name"]: each["containerPort"] for each in runs["ports"]}
    assert str(ports["health"]) == named(documents, "ConfigMap", "trunkline")["data"]["TRUNKLINE_METRICS_PORT"]
    asked = {probe: (runs[probe]["httpGet"]["path"], runs[probe]["httpGet"]["port"]) for probe in ("readinessProbe", "livenessProbe")}
    assert asked == {"readinessProbe": ("/health/ready", "health"), "livenessProbe": ("/health/live", "health")}


@pytest.mark.parametrize("name", ["nats", *SERVICES])
def test_each_has_replicas_on_several_machines_and_not_all_may_go_at_once(documents: list[Document], name: str) -> None:
    runs = workload(documents, name)
    labels = runs["spec"]["template"]["metadata"]["labels"]
    assert runs["spec"]["replicas"] == (3 if name == "nats" else 2)
    assert runs["spec"]["selector"]["matchLabels"] == labels == {"app": name}
    budget = named(documents, "PodDisruptionBudget", name)["spec"]
    assert (budget["maxUnavailable"], budget["selector"]["matchLabels"]) == (1, labels)
    assert container(documents, name)["securityContext"]["allowPrivilegeEscalation"] is False


def test_what_a_replica_keeps_is_its_own_and_outlives_it(documents: list[Document]) -> None:
    for service in SERVICES:
        claims = workload(documents, service)["spec"].get("volumeClaimTemplates", [])
        assert [each["metadata"]["name"] for each in claims] == (["data"] if service in KEEPS else [])
        mounts = container(documents, service)["volumeMounts"]
        assert mounts == [{"name": "data", "mountPath": "/var/lib/trunkline"}]


def test_the_nodes_are_configured_as_those_of_compose_but_for_their_names(documents: list[Document], compose: Document) -> None:
    said = named(documents, "ConfigMap", "nats")["data"]["cluster.conf"]
    routes = ("routes: [ nats://nats-0.nats:6222, nats://nats-1.nats:6222, nats://nats-2.nats:6222 ]",)
    ours = [line.strip() for line in said.splitlines() if line.strip() not in routes]
    theirs = [line.strip() for line in CONFIG.read_text().splitlines() if not line.strip().startswith("routes:")]
    assert ours == theirs
    assert container(documents, "nats")["image"] == compose["services"]["nats-1"]["image"]


def test_a_node_counts_as_started_once_it_holds_what_the_others_hold(documents: list[Document]) -> None:
    """Else the next one is restarted while this one lags behind, and two of three are no quorum."""
    probes = container(documents, "nats")
    assert probes["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert named(documents, "Service", "nats")["spec"]["publishNotReadyAddresses"] is True


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """The package would read all definitions of a version again for each document."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


@pytest.mark.parametrize("version", CLUSTERS)
def test_clusters_from_the_oldest_that_we_name_to_the_newest_known_take_every_document(documents: list[Document], version: str) -> None:
    for document in documents:
        assert validate(document, version, strict=True) == version
    assert f"Kubernetes {CLUSTERS[0]} or newer" in (ROOT / "docs" / "how-to" / "run-on-kubernetes.md").read_text()


def test_a_word_that_clusters_do_not_know_is_refused(documents: list[Document]) -> None:
    runs = workload(documents, "gateway")
    container_of_it = {**container(documents, "gateway"), "redinessProbe": {}}
    template = {**runs["spec"]["template"], "spec": {**runs["spec"]["template"]["spec"], "containers": [container_of_it]}}
    with pytest.raises(ValidationError, match="redinessProbe"):
        validate({**runs, "spec": {**runs["spec"], "template": template}}, CLUSTERS[-1], strict=True)


def test_what_is_scaled_is_there_and_by_a_figure_that_the_how_to_makes(documents: list[Document]) -> None:
    page = (ROOT / "docs" / "how-to" / "run-on-kubernetes.md").read_text()
    for each in (each for each in documents if each["kind"] == "HorizontalPodAutoscaler"):
        target = each["spec"]["scaleTargetRef"]
        assert workload(documents, target["name"])["kind"] == target["kind"]
        [metric] = each["spec"]["metrics"]
        assert f"as: {metric['external']['metric']['name']}" in page

"""The chart of deploy/helm, rendered by Helm's own engine and checked against the schemas of Kubernetes.

The tests do not use a cluster.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.doc_blocks import ROOT, blocks
from support.dockerfile import stages

from otp_service import __version__
from otp_service.cli.consume_reports import STOP_SECONDS
from otp_service.settings import Settings, load

try:
    import helm_python as helm
    import kubernetes_validate
except ImportError:
    if os.environ.get("CI") == "true":
        raise
    pytest.skip("the packages of the extra `deploy` are not installed", allow_module_level=True)

CHART = ROOT / "deploy" / "helm" / "otp-service"
METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
FULL: dict[str, Any] = yaml.safe_load((CHART / "ci" / "full-values.yaml").read_text("utf-8"))
REQUIRED = {"config": FULL["config"], "existingSecret": "otp-service"}
VERSIONS = ("1.25", "1.30", "1.34")
"""The oldest version of `kubeVersion` in Chart.yaml, and newer ones."""

SECRETS = "/run/secrets/otp-service"
OPERATOR_KINDS = ("ServiceMonitor",)
"""Kinds that Kubernetes itself does not have."""

Manifest = dict[str, Any]


def render(values: Mapping[str, Any], name: str = "otp") -> dict[str, str]:
    with helm.Chart.load(str(CHART)) as chart:
        chart.validate_schema(dict(values))
        found: dict[str, str] = chart.render(dict(values), name=name, namespace="production")
    return found


@cache
def manifests(which: str) -> dict[str, Manifest]:
    """Return all manifests by `Kind/name`, for the least and for all of the values."""
    texts = render({"default": REQUIRED, "full": FULL}[which])
    found = [
        manifest
        for name, text in texts.items()
        if name.endswith(".yaml")
        for manifest in yaml.safe_load_all(text)
        if manifest
    ]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


ALL = [(which, name) for which in ("default", "full") for name in manifests(which)]
WORKLOADS = [(which, name) for which, name in ALL if name.startswith("Deployment/")]


def pod(which: str, name: str) -> Manifest:
    spec: Manifest = manifests(which)[name]["spec"]["template"]["spec"]
    return spec


def variables(which: str, name: str) -> dict[str, str]:
    (container,) = pod(which, name)["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


# ── the chart ──


def test_version_is_that_of_the_service() -> None:
    assert METADATA["version"] == METADATA["appVersion"] == __version__


@pytest.mark.parametrize("values", [REQUIRED, FULL], ids=["default", "full"])
def test_helm_lint_finds_nothing(values: Mapping[str, Any]) -> None:
    found = helm.lint(str(CHART), dict(values), strict=True)

    assert found["errors"] == []
    assert [one["error"] for one in found["messages"]] == ["icon is recommended"]


def test_kinds_follow_from_the_values() -> None:
    assert sorted(manifests("default")) == [
        "ConfigMap/otp-otp-service",
        "Deployment/otp-otp-service",
        "HorizontalPodAutoscaler/otp-otp-service",
        "PodDisruptionBudget/otp-otp-service",
        "Service/otp-otp-service",
        "Service/otp-otp-service-metrics",
    ]
    assert sorted(set(manifests("full")) - set(manifests("default"))) == [
        "Deployment/otp-otp-service-reports",
        "Ingress/otp-otp-service",
        "NetworkPolicy/otp-otp-service",
        "Service/otp-otp-service-reports",
        "ServiceMonitor/otp-otp-service-metrics",
        "ServiceMonitor/otp-otp-service-reports-metrics",
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("which", "name"), ALL)
def test_manifest_follows_the_schema_of_kubernetes(which: str, name: str, version: str) -> None:
    manifest = manifests(which)[name]
    if manifest["kind"] in OPERATOR_KINDS:
        assert set(manifest["spec"]) == {"selector", "endpoints"}
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_schema_finds_an_error() -> None:
    broken = {**manifests("default")["Deployment/otp-otp-service"], "speck": {}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "existingSecret is required"),
        ({"existingSecret": "x"}, "config is required"),
        ({**REQUIRED, "replicaCount": "two"}, "replicaCount"),
        ({**REQUIRED, "replicas": 2}, "replicas"),
        ({**REQUIRED, "image": {"digest": "sha256:1"}}, "digest"),
        ({**REQUIRED, "preStopSleep": 0}, "preStopSleep"),
        ({**REQUIRED, "ingress": {"enabled": True}}, "tlsSecret is required"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_error_in_the_values_is_named(values: Mapping[str, Any], named: str) -> None:
    with pytest.raises(helm.HelmError, match=named):
        render(values)


def test_every_value_is_in_the_schema_and_used() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    templates = "".join(path.read_text("utf-8") for path in (CHART / "templates").iterdir())

    assert set(schema["properties"]) - {"global"} == set(DEFAULTS)
    for name, value in DEFAULTS.items():
        assert f".Values.{name}" in templates
        if isinstance(value, dict) and "properties" in schema["properties"][name]:
            assert set(value) <= set(schema["properties"][name]["properties"])


def test_example_in_the_values_matches_the_tests_except_for_operator_values() -> None:
    lines = (CHART / "values.yaml").read_text("utf-8").split("# config: |\n")[1].split("\n\n")[0]
    example = tomllib.loads("\n".join(line.removeprefix("#   ") for line in lines.splitlines()))
    ours = tomllib.loads(FULL["config"])

    assert example["keys"] == ours["keys"]
    assert example["clients"]["web"].keys() == ours["clients"]["web"].keys()
    assert example["routes"][0].keys() == ours["routes"][0].keys()


def test_values_of_the_docs_are_accepted(tmp_path: Path) -> None:
    (text,) = [block.text for block in blocks("docs/deployment.md") if block.first_line == "image:"]
    config = render(yaml.safe_load(text), "otp-service")["otp-service/templates/configmap.yaml"]
    settings = settings_of(yaml.safe_load(config), {}, tmp_path)

    assert settings.redis.url.get_secret_value().startswith("rediss://")
    assert settings.service.proxy_hops == 1


# ── the pods ──


@pytest.mark.parametrize(("which", "name"), WORKLOADS)
def test_pod_has_no_privileges(which: str, name: str) -> None:
    uid, _, gid = stages()[-1].last("USER").text.partition(":")
    spec = pod(which, name)
    (container,) = spec["containers"]

    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(uid),
        "runAsGroup": int(gid),
        "fsGroup": int(gid),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False


@pytest.mark.parametrize(("which", "name"), WORKLOADS)
def test_pod_writes_to_tmp_only_and_in_memory(which: str, name: str) -> None:
    spec = pod(which, name)
    volumes = {one.pop("name"): one for one in json.loads(json.dumps(spec["volumes"]))}
    places = {
        one["mountPath"]: (one["name"], one.get("readOnly")) for one in spec["containers"][0]["volumeMounts"]
    }

    assert places == {
        "/etc/otp-service": ("config", True),
        SECRETS: ("secrets", True),
        "/tmp": ("tmp", None),  # noqa: S108
    }
    assert volumes["tmp"]["emptyDir"]["medium"] == "Memory"
    assert volumes["secrets"]["secret"] == {"secretName": "otp-service", "defaultMode": 0o440}


def test_pod_has_time_to_stop() -> None:
    for which, values in (("default", DEFAULTS), ("full", FULL)):
        spec = pod(which, "Deployment/otp-otp-service")
        command = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert command[:3] == ["python", "-I", "-c"]  # the image has no other program that can sleep
        sleep = int(command[3].removeprefix("import time; time.sleep(").removesuffix(")"))

        assert variables(which, "Deployment/otp-otp-service")["OTP_SERVICE__SERVER__STOP_TIMEOUT"] == str(
            values["stopTimeout"]
        )
        assert sleep == values["preStopSleep"]
        assert spec["terminationGracePeriodSeconds"] == sleep + values["stopTimeout"] + 5
    assert DEFAULTS["stopTimeout"] == load(ROOT / "config.example.toml", {}).server.stop_timeout
    reports = pod("full", "Deployment/otp-otp-service-reports")
    assert reports["terminationGracePeriodSeconds"] >= STOP_SECONDS + 5


def test_probes_use_liveness_and_readiness() -> None:
    (container,) = pod("default", "Deployment/otp-otp-service")["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",  # a restart would not fix Redis
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert container["ports"][0] == {"name": "http", "containerPort": 8080}


@pytest.mark.parametrize(("which", "name"), WORKLOADS)
def test_selector_finds_its_own_pods_only(which: str, name: str) -> None:
    labels = {
        other: manifests(which)[other]["spec"]["template"]["metadata"]["labels"]
        for shown, other in WORKLOADS
        if shown == which
    }
    wanted = manifests(which)[name]["spec"]["selector"]["matchLabels"].items()

    assert [other for other, has in labels.items() if wanted <= has.items()] == [name]


def test_services_and_monitors_use_the_ports_of_their_pods() -> None:
    found = manifests("full")
    for name, target in {
        "otp-otp-service": "otp-otp-service",
        "otp-otp-service-metrics": "otp-otp-service",
        "otp-otp-service-reports": "otp-otp-service-reports",
    }.items():
        selector = found[f"Service/{name}"]["spec"]["selector"].items()
        template = found[f"Deployment/{target}"]["spec"]["template"]
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}

        assert selector <= template["metadata"]["labels"].items()
        assert {port["targetPort"] for port in found[f"Service/{name}"]["spec"]["ports"]} <= ports
    monitored = {
        tuple(
            name
            for name, service in found.items()
            if name.startswith("Service/")
            and monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        ): monitor["spec"]["endpoints"][0]["relabelings"][0]
        for name, monitor in found.items()
        if name.startswith("ServiceMonitor/")
    }
    assert monitored == {
        ("Service/otp-otp-service-metrics",): {"targetLabel": "job", "replacement": "otp_service"},
        ("Service/otp-otp-service-reports",): {"targetLabel": "job", "replacement": "otp_service_reports"},
    }


def test_ingress_forwards_only_the_api() -> None:
    spec = manifests("full")["Ingress/otp-otp-service"]["spec"]

    assert [path["path"] for path in spec["rules"][0]["http"]["paths"]] == ["/otp/"]
    assert spec["tls"] == [{"hosts": ["otp.example.com"], "secretName": "otp-example-com"}]


def test_autoscaler_and_replicas_do_not_contend() -> None:
    assert "replicas" not in manifests("default")["Deployment/otp-otp-service"]["spec"]
    texts = render({**REQUIRED, "autoscaling": {"enabled": False}, "replicaCount": 3})
    deployment = yaml.safe_load(texts["otp-service/templates/deployment.yaml"])
    assert deployment["spec"]["replicas"] == 3
    assert not texts["otp-service/templates/hpa.yaml"].strip()


def test_change_of_the_settings_restarts_the_pods() -> None:
    def annotations(values: Mapping[str, Any]) -> Mapping[str, str]:
        deployment = yaml.safe_load(render(values)["otp-service/templates/deployment.yaml"])
        found: Mapping[str, str] = deployment["spec"]["template"]["metadata"]["annotations"]
        return found

    before = annotations(REQUIRED)
    assert annotations({**REQUIRED, "config": REQUIRED["config"] + "\n"}) != before
    assert annotations({**REQUIRED, "secretRevision": "2"}) != before


@pytest.mark.parametrize(
    ("release", "name"),
    [("otp", "otp-otp-service"), ("otp-service", "otp-service"), ("a" * 53, "a" * 50)],
)
def test_names_are_short_enough_for_kubernetes(release: str, name: str) -> None:
    text = render(REQUIRED, release)["otp-service/templates/service.yaml"]

    assert [one["metadata"]["name"] for one in yaml.safe_load_all(text)] == [name, f"{name}-metrics"]
    assert len(name) + len("-reports-metrics") <= 63 + len("-reports")


def test_notes_name_what_was_installed() -> None:
    notes = render(REQUIRED)["otp-service/templates/NOTES.txt"]

    assert "deployment/otp-otp-service" in notes
    assert "{{" not in notes


# ── the settings ──


def settings_of(config_map: Manifest, more: Mapping[str, str], directory: Path) -> Settings:
    """Return the settings with the variables of the image and of a pod, and a file for each secret."""
    text: str = config_map["data"]["config.toml"]
    for secret in re.findall(rf'"{SECRETS}/(\w+)"', text):
        (directory / secret).write_text(os.urandom(32).hex())
    (directory / "config.toml").write_text(text.replace(SECRETS, str(directory)), "utf-8")
    image = {key: value for key, value in stages()[-1].environment().items() if "__" in key}
    return load(directory / "config.toml", {**image, **more})


@pytest.mark.parametrize("name", ["Deployment/otp-otp-service", "Deployment/otp-otp-service-reports"])
def test_settings_of_a_pod_are_accepted(name: str, tmp_path: Path) -> None:
    settings = settings_of(manifests("full")["ConfigMap/otp-otp-service"], variables("full", name), tmp_path)

    assert settings.redis.password_file
    assert (settings.server.host, settings.metrics.host) == ("0.0.0.0", "0.0.0.0")
    if name.endswith("reports"):
        assert settings.metrics.reports_port == 9465
        assert settings.reports.queue.report_queue
    else:
        assert (settings.server.port, settings.metrics.port) == (8080, 9464)
        assert settings.server.stop_timeout == FULL["stopTimeout"]

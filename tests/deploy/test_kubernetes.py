"""The manifests render, are of the cluster's schemas, and fit each other and our processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud_api.settings import Settings as ServerSettings
from stream_processor.settings import Settings as ProcessorSettings

Rendered = Callable[[str], list[dict[str, Any]]]
OVERLAYS = ("laptop", "plant", "ha")
KUBERNETES = Path(__file__).parents[2] / "deploy/kubernetes"
# Operators' kinds, whose schemas are not the cluster's.
CUSTOM = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject"}
# Made by hand, as deploy/README.md says.
SECRETS = {
    "headrace": {"HEADRACE_BROKER_USER", "HEADRACE_BROKER_PASSWORD", "HEADRACE_API_TOKEN"},
    "cloud-api": {"HEADRACE_ADMIN_PASSWORD", "HEADRACE_DATABASE_URL", "HEADRACE_HISTORIAN_URL"},
    "postgres": {"password"},
    "influxdb": {"password", "token"},
    "processor-certificate": {"authority.pem", "processor.pem"},
}


def workloads(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet"):
            yield item["metadata"]["name"], item["spec"]["template"]


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = (o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_clusters_schemas_accept_it(rendered: Rendered, overlay: str) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed"
    )
    for item in rendered(overlay):
        if item["kind"] not in CUSTOM:
            validate.validate(item, "1.32", strict=True)


def test_the_autoscalers_behavior_is_the_clusters(rendered: Rendered) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed"
    )
    scaled = named(rendered("ha"), "ScaledObject", "stream-processor")["spec"]
    # What KEDA makes of it.
    validate.validate(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "keda-hpa-stream-processor"},
            "spec": {
                "scaleTargetRef": scaled["scaleTargetRef"],
                "minReplicas": scaled["minReplicaCount"],
                "maxReplicas": scaled["maxReplicaCount"],
                **scaled["advanced"]["horizontalPodAutoscalerConfig"],
            },
        },
        "1.32",
        strict=True,
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_restricted(rendered: Rendered, overlay: str) -> None:
    objects = rendered(overlay)
    (namespace,) = (o for o in objects if o["kind"] == "Namespace")
    level = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == "restricted"
    for name, template in workloads(objects):
        pod = template["spec"]["securityContext"]
        assert pod["runAsNonRoot"], name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(template):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["readOnlyRootFilesystem"], name
            assert {"requests", "limits"} <= set(container["resources"]), name
            assert ":" in container["image"], name
            assert not container["image"].endswith(":latest"), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_that_is_named_is_there(rendered: Rendered, overlay: str) -> None:
    objects = rendered(overlay)
    names = {(o["kind"], o["metadata"]["name"]) for o in objects}
    for name, template in workloads(objects):
        claims = next(
            (
                {c["metadata"]["name"] for c in o["spec"].get("volumeClaimTemplates", ())}
                for o in objects
                if o["kind"] == "StatefulSet" and o["metadata"]["name"] == name
            ),
            set(),
        )
        volumes = {v["name"] for v in template["spec"].get("volumes", ())} | claims
        for volume in template["spec"].get("volumes", ()):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in names
            if "secret" in volume:
                assert volume["secret"]["secretName"] in SECRETS
        for container in containers(template):
            mounted = [m["mountPath"] for m in container.get("volumeMounts", ())]
            assert len(set(mounted)) == len(mounted), name
            assert {m["name"] for m in container.get("volumeMounts", ())} <= volumes, name
            ports = {p["name"] for p in container.get("ports", ())}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if "httpGet" in container.get(probe, {}):
                    assert container[probe]["httpGet"]["port"] in ports, name
            for variable in container.get("env", ()):
                key = variable.get("valueFrom", {}).get("secretKeyRef")
                assert key is None or key["key"] in SECRETS[key["name"]]
    for item in objects:
        if item["kind"] == "Service":
            chosen = [
                {p["name"] for c in containers(template) for p in c.get("ports", ())}
                for _, template in workloads(objects)
                if item["spec"]["selector"].items() <= template["metadata"]["labels"].items()
            ]
            assert len(chosen) == 1, item["metadata"]["name"]
            assert {p["targetPort"] for p in item["spec"]["ports"]} <= chosen[0]


def environment(
    objects: list[dict[str, Any]], template: dict[str, Any], secrets: dict[str, str]
) -> dict[str, str]:
    """Return what our container of a pod is told."""
    container = template["spec"]["containers"][0]
    told: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            told |= named(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
        else:
            told |= {k: secrets[k] for k in SECRETS[source["secretRef"]["name"]] if k in secrets}
    return told | {e["name"]: e["value"] for e in container["env"] if "value" in e}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_processes_take_their_settings(
    rendered: Rendered, overlay: str, known_variables: frozenset[str]
) -> None:
    objects = rendered(overlay)
    templates = dict(workloads(objects))
    secrets = {"HEADRACE_BROKER_USER": "headrace", "HEADRACE_API_TOKEN": "0123456789abcdef"}
    told = {
        name: environment(objects, templates[name], secrets)
        for name in ("cloud-api", "stream-processor")
    }
    server = ServerSettings.from_environment(told["cloud-api"])
    processor = ProcessorSettings.from_environment(told["stream-processor"])

    brokers = named(objects, "StatefulSet", "nats")["spec"]["replicas"]
    assert server.stream_replicas == processor.stream_replicas == brokers
    assert len(server.nats_servers) == brokers
    assert server.nats_servers == processor.nats_servers
    assert (processor.grpc_host, processor.grpc_port) == ("cloud-api", server.grpc_port)
    services = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Service"}
    mqtt = services[processor.mqtt_host]["spec"]["ports"]
    assert processor.mqtt_port in {p["port"] for p in mqtt}
    for name, variables in told.items():
        ours = {v for v in variables if v.startswith("HEADRACE_")}
        assert ours <= known_variables, name
        ports = {
            p["name"]: p["containerPort"]
            for p in templates[name]["spec"]["containers"][0].get("ports", ())
        }
        assert set(ports.values()) <= {int(v) for v in variables.values() if v.isdigit()}
    secret = {k for name in ("headrace", "cloud-api") for k in SECRETS[name]}
    assert secret <= known_variables


def test_the_autoscaler_has_what_it_scales(rendered: Rendered) -> None:
    objects = rendered("ha")
    target = named(objects, "ScaledObject", "stream-processor")["spec"]["scaleTargetRef"]
    scaled = named(objects, target["kind"], target["name"])

    # The number is the autoscaler's, and a partition is one process's.
    assert "replicas" not in scaled["spec"]
    (settings,) = (
        o["data"]
        for o in objects
        if o["kind"] == "ConfigMap" and "HEADRACE_PARTITIONS" in o["data"]
    )
    most = named(objects, "ScaledObject", "stream-processor")["spec"]["maxReplicaCount"]
    assert most == int(settings["HEADRACE_PARTITIONS"])
    # Every pod may have any partition.
    claim = named(objects, "PersistentVolumeClaim", "recovery")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    hpa = named(objects, "HorizontalPodAutoscaler", "cloud-api")["spec"]["scaleTargetRef"]
    assert "replicas" not in named(objects, hpa["kind"], hpa["name"])["spec"]


def test_a_pod_may_ask_for_its_number_and_nothing_else(rendered: Rendered) -> None:
    rules = named(rendered("ha"), "Role", "stream-processor")["rules"]

    assert rules == [
        {
            "apiGroups": ["apps"],
            "resources": ["statefulsets/scale"],
            "resourceNames": ["stream-processor"],
            "verbs": ["get"],
        }
    ]


def test_the_operators_rules_are_prometheuss(rendered: Rendered, yaml: Any) -> None:
    path = KUBERNETES.parent / "prometheus/rules.yml"
    ours = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert named(rendered("ha"), "PrometheusRule", "headrace")["spec"] == ours

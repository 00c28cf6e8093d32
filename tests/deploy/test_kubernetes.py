"""The development overlay, built by kustomize: valid to a cluster, closed in itself, and safe."""

from collections.abc import Iterator
from typing import Any

import pytest

from snowrail_delivery.catalogue import HTTP_PORT, SERVICES
from snowrail_delivery.kubernetes import Cluster, Manifest, Workload, schema_faults

OLDEST, NEWEST = "1.32", "1.37"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_cluster_accepts_every_object(cluster: Cluster, version: str) -> None:
    faults = [
        f"{manifest['kind']} {manifest['metadata']['name']}: {fault}"
        for manifest in cluster.manifests
        for fault in schema_faults(manifest, version)
    ]
    assert faults == []


@pytest.mark.parametrize(
    "manifest",
    [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"selectors": {}}},
        {"apiVersion": "example.com/v1", "kind": "Unheard", "metadata": {"name": "x"}},
    ],
    ids=["misspelt field", "kind without a schema"],
)
def test_what_a_cluster_would_refuse_or_nobody_knows_is_a_fault(manifest: Manifest) -> None:
    assert list(schema_faults(manifest, NEWEST))


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_has_all_its_parts(cluster: Cluster, service: Any) -> None:
    for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy", "Secret"):
        names = {name.removesuffix("-" + name.rsplit("-", 1)[-1]) for name in cluster.named(kind)}
        assert service.name in cluster.named(kind) or service.name in names, kind
    assert (f"migrate-{service.name}" in cluster.named("Job")) == service.has_database
    deployment = Workload(cluster.named("Deployment")[service.name])
    assert deployment.containers[0]["image"] == f"snowrail/{service.name}:development"
    assert deployment.labels.get("snowrail/database") == ("allowed" if service.has_database else None)
    if service.only_one:
        assert deployment.manifest["spec"]["replicas"] == 1
        assert deployment.manifest["spec"]["strategy"] == {"type": "Recreate"}
        assert service.name not in cluster.named("HorizontalPodAutoscaler")
    else:
        autoscaler = cluster.named("HorizontalPodAutoscaler").get(service.name)
        least = autoscaler["spec"]["minReplicas"] if autoscaler else deployment.manifest["spec"]["replicas"]
        assert least >= 2


def test_migrations_and_services_run_the_same_image(cluster: Cluster) -> None:
    deployments = cluster.named("Deployment")
    for name, job in cluster.named("Job").items():
        if name.startswith("migrate-"):
            deployment = deployments[name.removeprefix("migrate-")]
            assert Workload(job).containers[0]["image"] == Workload(deployment).containers[0]["image"]


def test_no_pod_can_do_more_than_it_needs(cluster: Cluster) -> None:
    for workload in cluster.workloads():
        pod = workload.pod
        assert pod["automountServiceAccountToken"] is False, workload.name
        assert pod["securityContext"]["runAsNonRoot"] is True, workload.name
        assert pod["securityContext"]["runAsUser"] > 0, workload.name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, workload.name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), workload.name
        assert not any("hostPath" in volume for volume in pod.get("volumes", [])), workload.name
        for container in workload.containers:
            added = {"add": ["NET_BIND_SERVICE"]} if workload.name == "edge" else {}
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], **added},
            }, workload.name


def test_every_container_has_bounds_and_a_version(cluster: Cluster) -> None:
    for workload in cluster.workloads():
        for container in workload.containers:
            resources = container["resources"]
            assert resources["limits"].keys() == resources["requests"].keys() == {"cpu", "memory"}, (
                workload.name
            )
            name, _, tag = container["image"].partition(":")
            assert tag, name
            assert tag != "latest", name
        for volume in workload.pod.get("volumes", []):
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], workload.name


def test_what_serves_is_probed_and_what_ends_is_bounded(cluster: Cluster) -> None:
    for workload in cluster.workloads():
        if workload.kind == "Job":
            assert workload.manifest["spec"]["activeDeadlineSeconds"] > 0
            assert workload.pod["restartPolicy"] == "OnFailure"
            continue
        for container in workload.containers:
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                target = container[probe]
                action = target.get("httpGet") or target.get("tcpSocket")
                assert action is None or action["port"] in ports, (workload.name, probe)


def test_services_are_probed_where_the_chassis_answers(cluster: Cluster) -> None:
    for service in SERVICES:
        container = Workload(cluster.named("Deployment")[service.name]).containers[0]
        assert container["ports"] == [{"name": "http", "containerPort": HTTP_PORT}]
        assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}


def references(workload: Workload) -> Iterator[tuple[str, str, list[str]]]:
    """Kind, name and keys of everything a pod takes from elsewhere."""
    yield "ServiceAccount", workload.pod["serviceAccountName"], []
    sources = list(workload.pod.get("volumes", []))
    for volume in list(sources):
        sources += volume.get("projected", {}).get("sources", [])
    for source in sources:
        if "configMap" in source:
            yield "ConfigMap", source["configMap"]["name"], []
        if "secret" in source:
            yield "Secret", source["secret"].get("secretName") or source["secret"]["name"], []
    for container in workload.containers:
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"], []
        for variable in container.get("env", []):
            for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
                reference = variable.get("valueFrom", {}).get(field)
                if reference:
                    yield kind, reference["name"], [reference["key"]]


def test_everything_a_pod_refers_to_exists(cluster: Cluster) -> None:
    for workload in cluster.workloads():
        for kind, name, keys in references(workload):
            found = cluster.named(kind).get(name)
            assert found is not None, (workload.name, kind, name)
            assert set(keys) <= found.get("data", {}).keys(), (workload.name, kind, name)
        volumes = {volume["name"] for volume in workload.pod.get("volumes", [])}
        volumes |= {
            claim["metadata"]["name"] for claim in workload.manifest["spec"].get("volumeClaimTemplates", [])
        }
        mounted = {
            mount["name"] for container in workload.containers for mount in container.get("volumeMounts", [])
        }
        assert mounted == volumes, workload.name


def test_every_secret_and_setting_is_used(cluster: Cluster) -> None:
    used = {(kind, name) for workload in cluster.workloads() for kind, name, _ in references(workload)}
    for kind in ("Secret", "ConfigMap", "ServiceAccount"):
        assert set(cluster.named(kind)) == {name for used_kind, name in used if used_kind == kind}


def test_selectors_find_what_they_mean(cluster: Cluster) -> None:
    for workload in cluster.workloads():
        if workload.kind != "Job":
            selector = workload.manifest["spec"]["selector"]["matchLabels"]
            assert [found.name for found in cluster.selected(selector)] == [workload.name]
    for service in cluster.of_kind("Service"):
        (workload,) = cluster.selected(service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert workload.port_names[port["targetPort"]] == port["port"], service["metadata"]["name"]
    for budget in cluster.of_kind("PodDisruptionBudget"):
        (workload,) = cluster.selected(budget["spec"]["selector"]["matchLabels"])
        assert workload.name == budget["metadata"]["name"]
    for stateful in cluster.of_kind("StatefulSet"):
        assert stateful["spec"]["serviceName"] in cluster.named("Service")


def test_autoscalers_alone_say_how_many(cluster: Cluster) -> None:
    for autoscaler in cluster.of_kind("HorizontalPodAutoscaler"):
        target = autoscaler["spec"]["scaleTargetRef"]
        deployment = cluster.named(target["kind"])[target["name"]]
        assert "replicas" not in deployment["spec"]
        assert autoscaler["spec"]["minReplicas"] >= 2


def test_the_database_has_a_connection_for_every_pod(cluster: Cluster) -> None:
    (postgres,) = Workload(cluster.named("StatefulSet")["postgres"]).containers
    (limit,) = [
        int(argument.partition("=")[2]) for argument in postgres["args"] if "max_connections" in argument
    ]
    wanted = 0
    for service in SERVICES:
        if service.has_database:
            deployment = Workload(cluster.named("Deployment")[service.name])
            own = deployment.containers[0]["envFrom"][1]["configMapRef"]["name"]
            pool = int(cluster.named("ConfigMap")[own]["data"]["SNOWRAIL_DATABASE_POOL_SIZE"])
            autoscaler = cluster.named("HorizontalPodAutoscaler").get(service.name)
            spec = deployment.manifest["spec"]
            most = autoscaler["spec"]["maxReplicas"] if autoscaler else spec["replicas"]
            surge = spec["strategy"].get("rollingUpdate", {}).get("maxSurge", 0)
            wanted += pool * (most + surge)
    assert wanted + len(SERVICES) < limit


def test_the_public_comes_in_through_the_edge_alone(cluster: Cluster) -> None:
    (ingress,) = cluster.of_kind("Ingress")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/", "Prefix")
    backend = path["backend"]["service"]
    ports = {port["name"] for port in cluster.named("Service")[backend["name"]]["spec"]["ports"]}
    assert backend["name"] == "edge"
    assert backend["port"]["name"] in ports
    assert {service["spec"].get("type", "ClusterIP") for service in cluster.of_kind("Service")} == {
        "ClusterIP"
    }


def test_nothing_is_open_but_what_a_policy_says(cluster: Cluster) -> None:
    closed = cluster.named("NetworkPolicy")["nothing-is-open"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in cluster.of_kind("NetworkPolicy"):
        spec, name = policy["spec"], policy["metadata"]["name"]
        selected = [w for w in cluster.workloads() if matches(spec["podSelector"], w.labels)]
        assert selected, name
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            for peer in rule.get("from", []) + rule.get("to", []):
                if "podSelector" in peer:
                    assert any(matches(peer["podSelector"], w.labels) for w in cluster.workloads()), name
        for rule in spec.get("ingress", []):
            for port in rule["ports"]:
                assert all(port["port"] in workload.port_names for workload in selected), name


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector selects a pod with these labels."""
    wanted = selector.get("matchLabels", {})
    return wanted.items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", [])
    )

"""Manifests, as kustomize builds them: what no schema says. Arguments: the files that it built."""

import json
import re
import sys
from pathlib import Path

from ruamel.yaml import YAML

STOP = 2 + 30  # seconds: stop.delay and queue.drain by default
# What is used of KEDA's kinds, with the types of their schema.
SCALED = {
    "scaleTargetRef": dict, "pollingInterval": int, "minReplicaCount": int, "maxReplicaCount": int,
    "fallback": dict, "advanced": dict, "triggers": list,
}  # fmt: skip
METRICS_API = {"url", "format", "valueLocation", "targetValue", "authMode"}
wrong = []
read = lambda path: Path(path).read_text(encoding="utf-8")


def within(selector, labels):
    return selector.items() <= labels.items()


def check_deployment(where, deployment):
    spec = deployment["spec"]["template"]["spec"]
    if not within(deployment["spec"]["selector"]["matchLabels"], deployment["spec"]["template"]["metadata"]["labels"]):
        wrong.append(f"{where}: its selector is not its pods'")
    if spec["terminationGracePeriodSeconds"] <= STOP:
        wrong.append(f"{where}: it is killed before it has drained")
    for container in spec["containers"]:
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        environment = {variable["name"]: variable["value"] for variable in container.get("env", [])}
        listen = environment.get("TOCSIN_METRICS_LISTEN", "0.0.0.0:9099")
        if int(listen.split(":")[1]) not in ports.values():
            wrong.append(f"{where}: nothing listens at its ports {ports}")
        paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
        for probe, path in paths.items():
            get = container[probe]["httpGet"]
            if get["path"] != path or get["port"] not in ports:
                wrong.append(f"{where}: {probe} asks {get}")
        if not container["securityContext"]["readOnlyRootFilesystem"] or "memory" not in container["resources"]["limits"]:
            wrong.append(f"{where}: may write to its file system, or has no limit of memory")


def check_settings(where, names):
    for name in names:
        if f"`{name}`" not in read("docs/settings.md"):
            wrong.append(f"{where}: {name} is not a setting in docs/settings.md")


def check_trigger(where, trigger):
    queues = json.loads(read("docs/openapi.json"))["paths"]["/api/v1/queues"]["get"]
    example = queues["responses"]["200"]["content"]["application/json"]["example"]["items"][0]
    names = next(one for one in queues["parameters"] if one["name"] == "cursor")["schema"]["enum"]
    metadata = trigger["metadata"]
    if trigger["type"] != "metrics-api" or set(metadata) != METRICS_API:
        wrong.append(f"{where}: a trigger of other fields: {sorted(metadata)}")
    if not all(isinstance(value, str) for value in metadata.values()):
        wrong.append(f"{where}: values of a trigger are texts")
    location = re.fullmatch(r'items\.#\(name=="(\w+)"\)\.(\w+)', metadata["valueLocation"])
    if not location or location[1] not in names or not isinstance(example.get(location[2]), int):
        wrong.append(f"{where}: {metadata['valueLocation']} is no number of /api/v1/queues")
    if not metadata["url"].endswith(":9099/api/v1/queues"):
        wrong.append(f"{where}: asks {metadata['url']}")


def check_scaling(where, objects, deployments):
    named = lambda kind: [one for one in objects if one["kind"] == kind]
    targets = [one["spec"]["scaleTargetRef"]["name"] for one in named("HorizontalPodAutoscaler") + named("ScaledObject")]
    if len(set(targets)) != len(targets) or not set(targets) <= set(deployments):
        wrong.append(f"{where}: scales {targets}")
    for target in targets:
        if "tocsin-worker" in targets and target == "tocsin-worker" and "replicas" in deployments[target]["spec"]:
            wrong.append(f"{where}: sets the number of {target}, which is scaled")
    secrets = {one["metadata"]["name"]: one["data"] for one in named("Secret")}
    for one in named("ScaledObject"):
        for field, value in one["spec"].items():
            if not isinstance(value, SCALED.get(field, ())):
                wrong.append(f"{where}: {field} of {one['metadata']['name']} is unknown or of another type")
        if one["spec"]["minReplicaCount"] < 1:
            wrong.append(f"{where}: schedules would not run while nothing waits")
        authentications = {one["metadata"]["name"] for one in named("TriggerAuthentication")}
        for trigger in one["spec"]["triggers"]:
            check_trigger(where, trigger)
            if trigger["authenticationRef"]["name"] not in authentications:
                wrong.append(f"{where}: there is no {trigger['authenticationRef']}")
    for one in named("TriggerAuthentication"):
        for reference in one["spec"]["secretTargetRef"]:
            if reference["key"] not in secrets.get(reference["name"], {}):
                wrong.append(f"{where}: no secret {reference['name']} with {reference['key']}")


def check(path):
    objects = list(YAML(typ="safe").load_all(read(path)))
    where = f"deploy/kubernetes/{Path(path).stem}"
    deployments = {one["metadata"]["name"]: one for one in objects if one["kind"] == "Deployment"}
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in deployments.values()]
    for one in objects:
        name, spec = f"{where}: {one['kind']} {one['metadata']['name']}", one.get("spec", {})
        if one["kind"] == "Deployment":
            check_deployment(name, one)
        elif one["kind"] in {"ConfigMap", "Secret"}:
            check_settings(name, one["data"])
        elif one["kind"] in {"Service", "PodDisruptionBudget", "NetworkPolicy"}:
            selector = spec.get("selector") or spec["podSelector"]
            selector = selector.get("matchLabels", selector)
            if not any(within(selector, labels) for labels in pods):
                wrong.append(f"{name}: selects no pod")
    check_scaling(where, objects, deployments)


def main():
    for path in sys.argv[1:]:
        check(path)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(bool(wrong))


main()

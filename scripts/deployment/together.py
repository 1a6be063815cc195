"""What no linter sees: the files name things of each other that are there."""

import glob, re, sys
from pathlib import Path
from ruamel.yaml import YAML

STOP = 2 + 30  # seconds: stop.delay and queue.drain by default
wrong = []
read = lambda path: Path(path).read_text(encoding="utf-8")
units = glob.glob("deploy/systemd/*.service")
compose_text = read("compose.yaml") + read("compose.monitoring.yaml")
files = [YAML(typ="safe").load(read(path)) for path in ["compose.yaml", "compose.monitoring.yaml"]]
# What two files name is merged, as Compose does.
compose = {part: {k: v for file in files for k, v in file.get(part, {}).items()} for part in ["services", "volumes", "configs", "secrets"]}
services = compose["services"]

for name, service in services.items():
    for other in service.get("depends_on", {}):
        if other not in services:
            wrong.append(f"compose.yaml: {name} depends on {other}, which is not there")
        elif "healthcheck" not in services[other]:
            wrong.append(f"compose.yaml: {name} waits for {other}, which has no health check")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./") and not Path(source).exists():
            wrong.append(f"compose.yaml: {name} mounts {source}, which is not there")
        elif not source.startswith("./") and source not in compose["volumes"]:
            wrong.append(f"compose.yaml: {name} has the volume {volume}, which is not there")
    for kind in ["configs", "secrets"]:
        for one in service.get(kind, []):
            one = one["source"] if isinstance(one, dict) else one
            if one not in compose.get(kind, {}):
                wrong.append(f"compose.yaml: {name} has {one} of {kind}, which is not there")
    grace = re.fullmatch(r"(\d+)s", service.get("stop_grace_period", "10s"))
    if service["image"] == "tocsin" and not (grace and int(grace[1]) > STOP):
        wrong.append(f"compose.yaml: {name} is killed before it has drained")
for name, config in compose.get("configs", {}).items():
    if not Path(config["file"]).is_file():
        wrong.append(f"compose.yaml: {config['file']} of the config {name} is missing")
for path in ["deploy/prometheus/prometheus.compose.yml", "deploy/alertmanager/alertmanager.compose.yml"]:
    hosts = re.findall(r"(?:\"|//)([a-z][\w-]*):\d+", read(path)) + re.findall(r"names: \[(\w+)\]", read(path))
    for host in sorted(set(hosts) - set(services)):
        wrong.append(f"{path}: {host} is no service of the compose files")
    for secret in sorted(set(re.findall(r"/run/secrets/(\w+)", read(path))) - set(compose["secrets"])):
        wrong.append(f"{path}: there is no secret {secret}")
for unit in units:
    stop = re.search(r"^TimeoutStopSec=(\d+)$", read(unit), re.M)
    if not (stop and int(stop[1]) > STOP):
        wrong.append(f"{unit}: it is killed before it has drained")

for variable in sorted(set(re.findall(r"\$\{(\w+)", compose_text))):
    if not re.search(rf"^#?{variable}=", read(".env.example"), re.M):
        wrong.append(f".env.example: {variable}, which compose.yaml reads, is missing")
for path in ["Dockerfile", "compose.yaml", "compose.monitoring.yaml", ".env.example", "deploy/systemd/tocsin.env.example", *units]:
    for setting in sorted(set(re.findall(r"\bTOCSIN_\w+", read(path)))):
        if f"`{setting}`" not in read("docs/settings.md"):
            wrong.append(f"{path}: {setting} is not a setting in docs/settings.md")

copies = re.findall(r"^COPY (?!--from)(.+) \S+$", read("Dockerfile"), re.M)
copied = {source for line in copies for source in line.split()}
sent = set(re.findall(r"^!(\S+)$", read(".dockerignore"), re.M))
if copied != sent or not re.search(r"^\*$", read(".dockerignore"), re.M):
    wrong.append(f".dockerignore lets {sorted(sent)} pass, and the Dockerfile copies {sorted(copied)}")

print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
sys.exit(bool(wrong))

"""Grafana's dashboards: metrics exist, variables are used, every panel says what it shows and in which unit."""

import json
import re
import sys
from pathlib import Path

from catalog import grouped, selectors, tocsins
from ruamel.yaml import YAML

wrong = []
known = tocsins()


def check_query(where, target):
    expression = target["expr"]
    labels = set()
    for metric, matched in selectors(expression.replace("$__rate_interval", "1m")):
        if metric not in known:
            wrong.append(f"{where}: {metric} is none of Tocsin's metrics")
            continue
        labels |= known[metric] | {"instance"}
        for label in set(matched) - known[metric] - {"job", "instance"}:
            wrong.append(f"{where}: {metric} has no label {label}")
        if not {"job", "instance"} <= set(matched):
            wrong.append(f"{where}: {metric} is not chosen by $job and $instance")
    for label in {label for by in grouped(expression) for label in by} - labels:
        wrong.append(f"{where}: by ({label}), which no metric of it has")
    for label in set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])):
        if not any(label in by for by in grouped(expression)):
            wrong.append(f"{where}: its legend names {label}, by which nothing is grouped")
    if len(re.findall(r"\brate\(", expression)) != expression.count("[$__rate_interval]"):
        wrong.append(f"{where}: rate() without $__rate_interval")
    if target["datasource"]["uid"] != "${datasource}":
        wrong.append(f"{where}: not from the chosen data source")


def overlap(one, other):
    ends = lambda grid, at, size: (grid[at], grid[at] + grid[size])
    meets = lambda a, b: a[0] < b[1] and b[0] < a[1]
    return all(meets(ends(one, at, size), ends(other, at, size)) for at, size in ["xw", "yh"])


def check_dashboard(path, text, uids):
    board = json.loads(text)
    name = path.name
    if board["uid"] != path.stem or board["editable"] or board["schemaVersion"] < 39:
        wrong.append(f"{name}: its uid is not the file's name, it is editable, or its schema is old")
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for variable in variables:
        if not re.search(rf"\${{?{variable}\b", text):
            wrong.append(f"{name}: the variable {variable} is not used")
    for used in set(re.findall(r"\$\{?(\w+)", text)):
        if used not in variables and not used.startswith("__"):
            wrong.append(f"{name}: there is no variable {used}")
    for link in board["links"]:
        if link["url"].split("?")[0].removeprefix("/d/") not in uids:
            wrong.append(f"{name}: {link['url']} leads nowhere")
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        wrong.append(f"{name}: two panels have one id")
    for at, panel in enumerate(board["panels"]):
        where = f"{name}: {panel.get('title') or panel['id']}"
        for text_of in ["title", "description"]:
            if not panel.get(text_of):
                wrong.append(f"{where} has no {text_of}")
        if not panel["fieldConfig"]["defaults"].get("unit"):
            wrong.append(f"{where} has no unit")
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            wrong.append(f"{where} is wider than the dashboard")
        for other in board["panels"][:at]:
            if overlap(panel["gridPos"], other["gridPos"]):
                wrong.append(f"{where} lies over {other['title']}")
        for target in panel["targets"]:
            check_query(where, target)
        if not panel["targets"]:
            wrong.append(f"{where} shows nothing")


def check_provisioning():
    load = YAML(typ="safe").load
    root = Path("deploy/grafana/provisioning")
    for path in root.rglob("*.yaml"):
        if load(path.read_text(encoding="utf-8"))["apiVersion"] != 1:
            wrong.append(f"{path}: apiVersion is not 1")
    points = load((root / "alerting/tocsin.yaml").read_text(encoding="utf-8"))["contactPoints"]
    settings = points[0]["receivers"][0]["settings"]
    document = Path("docs/settings.md").read_text(encoding="utf-8")
    if f"`{settings['hmacConfig']['header']}`" not in document:
        wrong.append("the contact point's header is not the one that Tocsin reads by default")
    if not re.fullmatch(r"\$[A-Z_]+", settings["hmacConfig"]["secret"]):
        wrong.append("the contact point's secret is not taken from the environment")


def main():
    boards = {path: path.read_text(encoding="utf-8") for path in Path("deploy/grafana/dashboards").glob("*.json")}
    uids = [path.stem for path in boards]
    for path, text in sorted(boards.items()):
        check_dashboard(path, text, uids)
    check_provisioning()
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(bool(wrong))


main()

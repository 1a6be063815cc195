"""SigNoz' rules, schema v2alpha1: what SigNoz knows, and what Tocsin needs of an alert."""

import json
import re
import sys
from pathlib import Path

OPERATORS = {"above", "below", "equal", "not_equal", "above_or_equal", "below_or_equal", "outside_bounds"}
MATCHES = {"at_least_once", "all_the_times", "on_average", "in_total", "last"}
KINDS = {"TRACES_BASED_ALERT": "builder", "EXCEPTIONS_BASED_ALERT": "clickhouse_sql"}
FIELDS = {
    "rule": {
        "alert", "alertType", "ruleType", "version", "schemaVersion", "description", "condition", "evaluation",
        "notificationSettings", "labels", "annotations",
    },
    "condition": {"compositeQuery", "selectedQueryName", "thresholds", "requireMinPoints", "requiredNumPoints"},
    "composite": {"queryType", "panelType", "unit", "queries"},
    "threshold": {"name", "target", "targetUnit", "recoveryTarget", "op", "matchType", "channels"},
}  # fmt: skip
wrong = []


def known(where, kind, value):
    for field in set(value) - FIELDS[kind]:
        wrong.append(f"{where}: unknown field {field}")


def labels_of(query):
    spec = query["spec"]
    if query["type"] == "clickhouse_sql":
        return set(re.findall(r" AS `?([\w.]+)`?", spec["query"])) - {"interval", "value"}
    return {label["name"] for label in spec.get("groupBy", [])}


def check(path, rule):
    where = path.name
    condition = rule["condition"]
    composite = condition["compositeQuery"]
    known(where, "rule", rule)
    known(where, "condition", condition)
    known(where, "composite", composite)
    if (rule["ruleType"], rule["version"], rule["schemaVersion"]) != ("threshold_rule", "v5", "v2alpha1"):
        wrong.append(f"{where}: not a threshold rule of v2alpha1")
    if composite["queryType"] != KINDS.get(rule["alertType"]):
        wrong.append(f"{where}: {composite['queryType']} does not fit {rule['alertType']}")
    queries = {query["spec"]["name"]: query for query in composite["queries"]}
    if condition["selectedQueryName"] not in queries:
        wrong.append(f"{where}: there is no query {condition['selectedQueryName']}")
    labels = set().union(*map(labels_of, queries.values()))
    if "service.name" not in labels:
        wrong.append(f"{where}: its alerts would have no service")
    if "reason" not in rule.get("labels", {}) and "error_type" not in labels:
        wrong.append(f"{where}: its alerts would have no error type")
    if not set(rule["notificationSettings"]["groupBy"]) <= labels:
        wrong.append(f"{where}: groups notifications by what its alerts do not have")
    for threshold in condition["thresholds"]["spec"]:
        known(where, "threshold", threshold)
        if threshold["op"] not in OPERATORS or threshold["matchType"] not in MATCHES:
            wrong.append(f"{where}: {threshold['op']}, {threshold['matchType']}")
        if threshold["name"] not in {"critical", "error", "warning", "info"}:
            wrong.append(f"{where}: the threshold {threshold['name']} is no severity")
        if threshold["channels"] != ["tocsin"]:
            wrong.append(f"{where}: the threshold {threshold['name']} does not go to tocsin")
    text = json.dumps(rule["annotations"])
    if "{{$value}}" not in text or "{{$threshold}}" not in text:
        wrong.append(f"{where}: its description lacks value or limit")
    for label in set(re.findall(r"\{\{\$([\w.]+)\}\}", text)) - {"value", "threshold"}:
        if label not in labels:
            wrong.append(f"{where}: its texts name {label}, which its alerts do not have")


def main():
    for path in sorted(Path("deploy/signoz").glob("*.json")):
        check(path, json.loads(path.read_text(encoding="utf-8")))
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(bool(wrong))


main()

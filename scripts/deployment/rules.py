"""Rules of Prometheus: metrics that exist, tests, runbooks, and labels that name an anomaly of one server."""

import fnmatch
import re
import sys
from pathlib import Path

from catalog import TARGET, grouped, metrics, selectors
from ruamel.yaml import YAML

ADDRESS = "https://github.com/tocsin/tocsin/blob/main/docs/runbooks/"
AGGREGATION = re.compile(r"\b(sum|min|max|avg|count|topk)\b(?! by \()")
load = YAML(typ="safe").load
read = lambda path: Path(path).read_text(encoding="utf-8")
wrong = []
known = metrics()


def check_expression(name, expression):
    labels_of = {}
    for metric, matched in selectors(expression):
        if metric not in known:
            wrong.append(f"{name}: {metric} is in no recorded scrape")
            continue
        labels_of[metric] = known[metric] | TARGET
        for label in set(matched) - labels_of[metric]:
            wrong.append(f"{name}: {metric} has no label {label}")
    anywhere = set().union(*labels_of.values()) if labels_of else set()
    for labels in grouped(expression):
        if not {"namespace", "service"} <= set(labels) or "job" in labels:
            wrong.append(f"{name}: by ({', '.join(labels)}) must keep namespace and service, and not job")
        for label in set(labels) - anywhere:
            wrong.append(f"{name}: no metric of it has the label {label}")
    for aggregation in AGGREGATION.findall(expression):
        wrong.append(f"{name}: {aggregation} without `by (…)` directly behind it")


def check_rule(rule):
    name, labels, texts = rule["alert"], rule["labels"], rule["annotations"]
    check_expression(name, rule["expr"])
    if set(labels) != {"severity", "namespace", "service", "reason"}:
        wrong.append(f"{name}: its labels are {sorted(labels)}")
    if labels["severity"] not in {"critical", "warning", "info", "none"}:
        wrong.append(f"{name}: severity {labels['severity']}")
    if set(texts) != {"summary", "description", "runbook_url"}:
        wrong.append(f"{name}: its annotations are {sorted(texts)}")
    runbook = texts["runbook_url"].removeprefix(ADDRESS)
    path = Path("docs/runbooks", runbook)
    if "/" in runbook or not path.is_file():
        wrong.append(f"{name}: {texts['runbook_url']} is no page of docs/runbooks")
    elif f"| {name} | {labels['severity']} |" not in read(path):
        wrong.append(f"{path} does not list {name} with its severity")
    if f"[{name}]({runbook})" not in read("docs/runbooks/README.md"):
        wrong.append(f"docs/runbooks/README.md does not list {name}")
    return runbook


def exporters():
    row = re.search(r"^\| `signature.exporters` \|[^|]*\| `([^`]*)`", read("docs/settings.md"), re.M)
    return row[1].split(", ")


def check_tests(path, names, patterns):
    fires, rests = set(), set()
    for test in load(read(path))["tests"]:
        # `quiet` is just below the limit: where it is, what fires beside it does not fire always.
        has_quiet = any("quiet" in series["series"] for series in test["input_series"])
        for case in test["alert_rule_test"]:
            name, alerts = case["alertname"], case.get("exp_alerts") or []
            (fires if alerts else rests).add(name)
            rests |= {name} if has_quiet else set()
            signatures = set()
            for alert in alerts:
                labels = alert["exp_labels"]
                # As Tocsin reads them: of the service's labels `job` comes first, and an exporter is passed over.
                if "job" in labels or any(fnmatch.fnmatch(labels["service"], pattern) for pattern in patterns):
                    wrong.append(f"{path}: {name} would not be named by its label service")
                signatures.add((labels["service"], labels["namespace"], labels["reason"]))
            if len(signatures) != len(alerts):
                wrong.append(f"{path}: two servers of {name} would be one anomaly")
            if any(not part for signature in signatures for part in signature):
                wrong.append(f"{path}: {name} has an empty label")
    for name in names:
        if name not in fires:
            wrong.append(f"{path}: no test in which {name} fires")
        if name not in rests and name != "Watchdog":
            wrong.append(f"{path}: no test in which {name} does not fire")


def main():
    rules, runbooks = [], {"README.md"}
    for path in sorted(Path("deploy/prometheus/rules").glob("*.yml")):
        names = []
        for group in load(read(path))["groups"]:
            for rule in group["rules"]:
                names.append(rule["alert"])
                runbooks.add(check_rule(rule))
        rules += names
        tests = Path("deploy/prometheus/tests", f"{path.stem}.test.yml")
        if tests.is_file():
            check_tests(tests, names, exporters())
        else:
            wrong.append(f"{tests} is missing")
    for name in {name for name in rules if rules.count(name) > 1}:
        wrong.append(f"two rules are called {name}")
    for page in sorted({path.name for path in Path("docs/runbooks").iterdir()} - runbooks):
        wrong.append(f"docs/runbooks/{page} belongs to no rule")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(bool(wrong))


main()

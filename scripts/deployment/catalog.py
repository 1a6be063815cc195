"""Which metrics there are, with their labels: from recorded scrapes and from Tocsin's own table."""

import re
from pathlib import Path

# What Prometheus adds to everything that it scrapes, or the scrape configuration does.
TARGET = {"job", "instance", "service", "namespace"}
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$")


def recorded():
    """Labels of each metric in deploy/prometheus/recorded, over all scrapes."""
    found = {"up": set()}
    for path in sorted(Path("deploy/prometheus/recorded").glob("*.prom")):
        types = set()
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("# TYPE "):
                types.add(line.split()[2])
            elif line and not line.startswith("#"):
                sample = SAMPLE.match(line)
                if not sample:
                    raise SystemExit(f"{path}: not a sample: {line}")
                name = sample[1]
                if name not in types and re.sub("_(bucket|sum|count)$", "", name) not in types:
                    raise SystemExit(f"{path}: {name} has no # TYPE line")
                found.setdefault(name, set()).update(re.findall(r'(\w+)="', sample[2] or ""))
    return found


def tocsins():
    """Labels of each of Tocsin's metrics. docs/metrics.md is complete: a test holds it to what is served."""
    found = {}
    row = re.compile(r"^\| `(tocsin_\w+)` \| (\w+) \| (.*?) \|", re.M)
    for name, kind, labels in row.findall(Path("docs/metrics.md").read_text(encoding="utf-8")):
        labels = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


def metrics():
    return recorded() | tocsins()


FUNCTIONS = {
    "abs", "absent", "and", "avg", "avg_over_time", "bool", "by", "count", "delta", "group_left",
    "histogram_quantile", "ignoring", "increase", "max", "max_over_time", "min", "offset", "on", "or",
    "rate", "sum", "time", "topk", "unless", "vector", "without",
}  # fmt: skip


def selectors(expression):
    """Each metric of an expression with the labels that it is selected by."""
    text = re.sub(r"\b(?:by|on|ignoring|without) \([^)]*\)", "", expression)
    for name, matchers in re.findall(r"\b([a-zA-Z_]\w*)\b(?:\{([^}]*)\})?(?!\s*=)", blank_strings(text)):
        if name not in FUNCTIONS and not re.fullmatch(r"\d.*|[smhdwy]|e\d+", name):
            yield name, re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)


def blank_strings(text):
    """Without what stands in quotes, and without durations."""
    return re.sub(r"\[[^]]*\]", "", re.sub(r'"(?:[^"\\]|\\.)*"', '""', text))


def grouped(expression):
    """The labels of each by (…)."""
    return [re.findall(r"\w+", labels) for labels in re.findall(r"\bby \(([^)]*)\)", expression)]

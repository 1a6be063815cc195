"""GitHub's workflows: shellcheck on what their steps run; jobs that they need are there, and have bounds."""

import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

shellcheck = sys.argv[1]
wrong = []
for path in [Path("deploy/ci/github-actions.yml"), Path("deploy/ci/release.yml")]:
    flow = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    if "permissions" not in flow or "concurrency" not in flow:
        wrong.append(f"{path}: permissions or concurrency are left to what GitHub has by default")
    for name, job in flow["jobs"].items():
        where = f"{path}: {name}"
        if "timeout-minutes" not in job:
            wrong.append(f"{where} has no timeout-minutes")
        needs = job.get("needs", [])
        for other in [needs] if isinstance(needs, str) else needs:
            if other not in flow["jobs"]:
                wrong.append(f"{where} needs {other}, which is not there")
        scripts = [step["run"] for step in job["steps"] if "run" in step]
        for script in scripts:
            if "${{" in script:
                wrong.append(f"{where}: a script with ${{{{ }}}}, whose value could be more than a word; use env")
            # As GitHub runs it.
            text = "#!/usr/bin/env bash\nset -eo pipefail\n" + script
            said = subprocess.run([shellcheck, "-"], input=text, text=True, capture_output=True)
            if said.returncode:
                wrong.append(f"{where}: {said.stdout}")

print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
sys.exit(bool(wrong))

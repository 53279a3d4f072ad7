"""``make ci-diagnostics``: writes down the condition of a stack, for a job whose cluster is thrown away.

Usage: python -m ops.ci.diagnostics STACK OUT

The folder gets what the doctor finds, the events, and a list of the workloads and volumes. Logs and the content of
objects are left out: tasks may print what they like, and anyone can download the reports of a public repository.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from paths import ROOT
from settings.errors import SettingsError

_LISTS = {
    "events.txt": ("events", "--sort-by=.metadata.creationTimestamp"),
    "objects.txt": ("nodes,namespaces,pods,jobs,deployments,statefulsets,services,pvc,pv", "--output=wide"),
}
_DOCTOR_SECONDS, _LIST_SECONDS = 300, 30


def main() -> int:
    """Run the command line; return 0 if the files are written, whatever they say, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="diagnostics", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    try:
        config, _ = stack_config(args.stack)
        cluster = Cluster.of(config.get("kubernetes:context", ""), config.get("kubernetes:kubeconfig", ""))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    # First what is fast, in case the job has little time left.
    for name, arguments in _LISTS.items():
        answer = cluster.run("get", *arguments, "--all-namespaces", seconds=_LIST_SECONDS)
        (args.out / name).write_text(answer.stdout + answer.stderr)
    (args.out / "doctor.json").write_text(_doctor(args.stack))
    print(f"The condition of the stack {args.stack} is in {args.out}")
    return 0


def _doctor(stack: str) -> str:
    command = [sys.executable, "-m", "ops.doctor", stack, "--json"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_DOCTOR_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"the doctor did not end within {_DOCTOR_SECONDS} s\n"
    return done.stdout or done.stderr


if __name__ == "__main__":
    sys.exit(main())

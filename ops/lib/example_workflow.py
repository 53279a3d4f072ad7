"""The example workflow in examples/remedy_tidal: its folder, its secret, and where it runs on a stack."""

from paths import ROOT
from settings import Settings
from settings.projects import TaskScope

EXAMPLE = ROOT / "examples" / "remedy_tidal"
"""Folder of the example; its environment in .venv has Flyte's client."""
WORKFLOW = ("workflow.py", "remedy")
"""File and name of the workflow, as pyflyte expects them."""
LAUNCH_PLAN = "nightly.py"
"""File of the launch plan that runs it at fixed times."""
SECRET_GROUP, SECRET_KEY = "tidal-creds", "json"
"""Secret group and key that the workflow reads."""


class ExampleError(Exception):
    """The example cannot run, or failed; the message gives the reason and a remedy."""


def scope_of(settings: Settings) -> TaskScope:
    """Return where the example runs: the first project that may use its secret, in the first domain.

    Raises:
        ExampleError: no project may use the secret.
    """
    project = next((project.name for project in settings.projects if SECRET_GROUP in project.task_secrets), None)
    if not project:
        raise ExampleError(
            f"flyte-home:projects: no project asks for the secret {SECRET_GROUP}, which the example needs"
        )
    wanted = (project, settings.domains[0])
    (scope,) = [found for found in settings.task_scopes if (found.project, found.domain) == wanted]
    return scope


def pyflyte(target: str) -> str:
    """Return the path of pyflyte in the example's environment.

    Args:
        target: make target that installs it.

    Raises:
        ExampleError: it is not installed.
    """
    program = EXAMPLE / ".venv" / "bin" / "pyflyte"
    if not program.is_file():
        raise ExampleError(f"there is no {program}; make {target} installs it")
    return str(program)

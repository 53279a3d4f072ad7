"""Finding the kubeconfig that has a context."""

import os
import pwd
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from settings.errors import SettingsError
from settings.messages.shown import shown


def find_kubeconfig(context: str, configured: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """The path of the kubeconfig file that has ``context``, with ``~`` for the home directory.

    kubectl merges all files in ``KUBECONFIG``, but the provider's strict mode accepts only one: the first file that
    has the context.

    Args:
        context: name of the context.
        configured: ``kubernetes:kubeconfig``; if empty, ``KUBECONFIG`` decides, then ``~/.kube/config``.
        environ: environment with ``KUBECONFIG``.

    Raises:
        SettingsError: no file has the context; the message lists the contexts that exist.
    """
    # The provider gets the home directory from the system, not from the variable HOME.
    home = pwd.getpwuid(os.getuid()).pw_dir
    for path in _kubeconfigs(configured, environ):
        if context in _contexts(path):
            return str(path).replace(home, "~", 1) if path.is_relative_to(home) else str(path)
    known = known_contexts(configured, environ)
    command = f"pulumi config set kubernetes:context {shlex.quote(known[0]) if len(known) == 1 else 'NAME'}"
    raise SettingsError(
        f"kubernetes:context: the kubeconfig ({_described(configured, environ)}) has no context {shown(context)}; "
        f"it has {', '.join(map(repr, known)) or 'none'}. Write {command}, or set KUBECONFIG to the file that has it"
    )


def _described(configured: str, environ: Mapping[str, str]) -> str:
    """The places that were searched. A configured place that is no file is not shown in full: it may be a secret."""
    places = _kubeconfigs(configured, environ)
    if not configured or all(place.is_file() for place in places):
        return os.pathsep.join(map(str, places))
    return f"kubernetes:kubeconfig, which is {shown(configured)}"


def known_contexts(configured: str = "", environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names of all contexts, in the order of the files that :func:`find_kubeconfig` reads."""
    return [name for path in _kubeconfigs(configured, environ) for name in _contexts(path)]


def _kubeconfigs(configured: str, environ: Mapping[str, str]) -> list[Path]:
    places = configured or environ.get("KUBECONFIG") or "~/.kube/config"
    return [Path(place).expanduser().absolute() for place in places.split(os.pathsep) if place]


def _contexts(path: Path) -> list[str]:
    try:
        content: Any = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return []
    entries = content.get("contexts") if isinstance(content, dict) else None
    return [str(entry["name"]) for entry in entries or [] if isinstance(entry, dict) and "name" in entry]

"""First part of ``make rotate``: raises the generations of generated secrets; the ``make up`` after it rotates them.

Usage: python -m ops.rotate STACK [GENERATION...]

Without a name, these are all secrets that the stack has: without a login none of its keys, and without a generated
database password only that of the superuser.
"""

import argparse
import sys
from collections.abc import Sequence

from ops.lib.engine import engine_environment, pulumi
from ops.lib.stack_file import stack_config
from settings import PROJECT, Settings, settings_from
from settings.errors import SettingsError
from settings.secrets import Generations

_NAMES = {field.alias or name: name for name, field in Generations.model_fields.items()}


def main() -> int:
    """Run the command line; return 0 if the stack file has the new generations, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="rotate", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("generations", nargs="*", metavar="GENERATION", help=f"default all of {', '.join(_NAMES)}")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        raised = next_generations(settings, args.generations)
        environment = engine_environment()
        pulumi(environment, "stack", "select", args.stack)
        for name, number in raised.items():
            key = f"{PROJECT}:generations.{name}"
            pulumi(environment, "config", "set", "--stack", args.stack, "--path", key, str(number))
            print(f"{key} is now {number}")
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def next_generations(settings: Settings, names: Sequence[str]) -> dict[str, int]:
    """Return the next generation of these secrets, or of all that the stack generates.

    Raises:
        SettingsError: there is no such secret, or the stack does not generate it.
    """
    unused: dict[str, str] = {}
    if settings.postgres.mode == "external":
        why = "the server of the database is not the stack's, see docs/outgrowing.md"
        unused |= {"postgres": why, "postgresSuperuser": why}
    elif settings.postgres_password.get_secret_value():
        unused["postgres"] = "its password is the setting postgresPassword, see docs/secrets.md"
    if not settings.endpoints.login:
        unused["auth"] = "the stack has no login (auth)"
    if settings.minio.mode == "external":
        keys = "the keys of the external object store are the settings objectStoreKey*, see docs/secrets.md"
        unused |= {"minioRoot": keys, "minioFlyte": keys, "minioTasks": keys}
    if not settings.monitoring.enabled:
        unused["monitoring"] = "the stack has no monitoring (monitoring.scrape)"
    elif settings.postgres.mode != "bundled" and settings.minio.mode == "external":
        unused["monitoring"] = "the stack runs no server whose metrics need a password or a key"
    for name in names:
        if name not in _NAMES:
            raise SettingsError(f"GENERATION: there is no generation {name!r}; choose from {', '.join(_NAMES)}")
        if name in unused:
            raise SettingsError(f"GENERATION: {name} has nothing to rotate: {unused[name]}")
    chosen = names or [name for name in _NAMES if name not in unused]
    return {name: getattr(settings.generations, _NAMES[name]) + 1 for name in chosen}


if __name__ == "__main__":
    sys.exit(main())

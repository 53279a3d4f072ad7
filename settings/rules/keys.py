"""Rules for the keys of a stack file."""

import base64
import re
import shlex
from collections.abc import Collection, Iterator, Mapping

from pydantic import SecretStr

from settings.messages.commands import set_command
from settings.messages.groups import places
from settings.messages.shown import is_harmless
from settings.messages.suggestions import closest
from settings.secrets import is_sample
from settings.stack import FIELDS, PROJECT

_PROVIDER_KEYS = {"kubernetes:context", "kubernetes:kubeconfig", "kubernetes:strictMode"}
# Protections against the wrong cluster that a stack cannot switch off.
_FIXED = {"kubernetes:strictMode": "true", "pulumi:disable-default-providers": '["*"]'}


def provider_problems(config: Mapping[str, str], secret_keys: Collection[str]) -> Iterator[str]:
    """Problems of the keys that do not belong to this project: the cluster's, Pulumi's, and strangers."""
    if not config.get("kubernetes:context", "").strip():
        yield (
            "kubernetes:context: is not set, so there is no cluster to deploy to; "
            "write pulumi config set kubernetes:context NAME (kubectl config get-contexts lists the names)"
        )
    for key in sorted(config):
        if key.startswith("kubernetes:") and key not in _PROVIDER_KEYS:
            yield f"{key}: has no effect here, the program creates its own provider; pulumi config rm {key}"
        elif key.split(":")[0] not in {PROJECT, "kubernetes", "pulumi"}:
            named = key if is_harmless(key.replace(":", "-")) else "A key that is not shown"
            yield (
                f"{named}: has no effect here; the settings of this project begin with {PROJECT}:, such as "
                f"{PROJECT}:namespace. To remove it: pulumi config rm {key if named == key else 'KEY'}"
            )
        elif key in _FIXED and config[key].replace(" ", "") != _FIXED[key]:
            yield f"{key}: must stay {_FIXED[key]}, or the wrong cluster could be changed; pulumi config rm {key}"
        elif key.startswith("kubernetes:") and key in secret_keys:
            yield f"{key}: is encrypted, but is not a secret; write the name or the path without --secret"
    if config.get("kubernetes:context", "").strip().startswith(("[", "{")):
        yield (
            "kubernetes:context: is a list or a map; write the name of a context, such as: "
            "pulumi config set kubernetes:context home"
        )
    if _is_kubeconfig(config.get("kubernetes:kubeconfig", "")):
        yield (
            "kubernetes:kubeconfig: is not a path, and may be the content of a kubeconfig; write the path of the file: "
            "pulumi config set kubernetes:kubeconfig ~/.kube/config"
        )


def _is_kubeconfig(text: str) -> bool:
    """Whether ``text`` is the content of a kubeconfig, also in base64, or too long or too strange for a path."""
    try:
        decoded = base64.b64decode("".join(text.split()) + "==").decode()
    except ValueError:
        decoded = ""
    content = re.compile(r"\s*[\[{]|apiVersion|clusters\s*:|users\s*:|contexts\s*:")
    unusual = len(text) > 1024 or any(not char.isprintable() for char in text)
    return unusual or bool(content.match(text) or content.search(decoded))


def key_problems(keys: Collection[str], secret_names: Collection[str]) -> Iterator[str]:
    """Keys of this project that are no setting."""
    for key in sorted(set(keys) - FIELDS.keys() - set(secret_names)):
        if not is_harmless(re.sub(r"[\[\]]", "", key)):
            yield f"{PROJECT}: a key that is not shown: there is no such setting; the settings are {', '.join(FIELDS)}"
            continue
        # Without --path: the key is no path, even if it looks like one.
        remedy = f"To remove it: pulumi config rm {shlex.quote(f'{PROJECT}:{key}')}"
        yield f"{PROJECT}:{key}: there is no such setting; {_meant(key, secret_names)} {remedy}"


def _meant(key: str, secret_names: Collection[str]) -> str:
    """What to write in place of an unknown key."""
    group = re.split(r"[.\[]", key)[0]
    if group != key and group in FIELDS:
        return f"a part of {group} needs --path, such as {set_command(f'{PROJECT}:{key}', 'VALUE')}."
    near = next(places(key), "") or closest(key, [*FIELDS, *secret_names])
    return f"did you mean {PROJECT}:{near}?" if near else f"the settings are {', '.join(FIELDS)}."


def plain_text_problems(given: Mapping[str, SecretStr], encrypted: Collection[str]) -> Iterator[str]:
    """Secrets that the stack file holds in plain text."""
    for key in sorted(given.keys() - set(encrypted)):
        if not is_sample(given[key].get_secret_value()):
            yield (
                f"{PROJECT}:{key}: is stored in plain text; change the value where it is in use, then write "
                f"pulumi config set --secret {PROJECT}:{key}"
            )

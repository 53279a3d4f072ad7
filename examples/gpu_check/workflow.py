# /// script
# requires-python = ">=3.11"
# dependencies = ["flytekit==1.16.31"]
# ///
"""Shows what a task with a GPU and a secret from Vault gets. README.md has the settings of a stack for it."""

import os
import shutil
import subprocess
from pathlib import Path

from flytekit import Resources, Secret, current_context, task, workflow

# In Vault, the group is the path of the secret, which has `data` in it with version 2 of the key-value engine.
GROUP, KEY = "secret/data/model-hub", "token"
TOKEN = Secret(group=GROUP, key=KEY, mount_requirement=Secret.MountType.FILE)


def devices() -> list[str]:
    """The GPUs that this machine or container shows, one line each."""
    if not shutil.which("nvidia-smi"):
        return []
    answer = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return answer.stdout.splitlines() if answer.returncode == 0 else []


@task(requests=Resources(gpu="1"), secret_requests=[TOKEN])
def look() -> str:
    """The GPUs of this task, and whether the token for the model hub is there.

    Raises:
        ValueError: the token is missing or empty.
    """
    token = current_context().secrets.get(GROUP, KEY).strip()
    # The second is what Vault's agent writes if the secret does not have the key.
    if token in {"", "<no value>"}:
        raise ValueError(f"the secret {GROUP}/{KEY} is empty, or there is no such key in Vault")
    return f"{', '.join(devices()) or 'no GPU here'}; the token for the model hub is there"


@workflow
def gpu_check() -> str:
    """Asks for one GPU, and says what it gets."""
    return look()


if __name__ == "__main__":
    os.environ.setdefault("FLYTE_SECRETS_DEFAULT_DIR", str(Path(__file__).with_name("secrets")))
    print(gpu_check())

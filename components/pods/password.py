"""Generated passwords."""

import pulumi
import pulumi_random as random


def generated_password(name: str, length: int, opts: pulumi.ResourceOptions, generation: int = 1) -> pulumi.Output[str]:
    """A random password of ``length`` letters and digits, encrypted in the state; another one for each ``generation``.

    It has no other characters: Flyte's connection string does not quote the password, and the object store's client
    reads its password from a URL.
    """
    return pulumi.Output.secret(random_password(name, length, opts, generation).result)


def random_password(name: str, length: int, opts: pulumi.ResourceOptions, generation: int = 1) -> random.RandomPassword:
    """The resource behind :func:`generated_password`, for callers that also need the password's hash."""
    keepers = {"generation": str(generation)} if generation > 1 else None
    return random.RandomPassword(name, length=length, special=False, keepers=keepers, opts=opts)

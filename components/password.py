"""Passwords that nobody has to know."""

import pulumi
import pulumi_random as random


def generated_password(name: str, length: int, opts: pulumi.ResourceOptions, generation: int = 1) -> pulumi.Output[str]:
    """A random password of ``length`` letters and digits, kept encrypted in the state; another ``generation``, another.

    No other characters: Flyte's connection string does not quote the password, and the object store's client takes
    its own from a URL.
    """
    return pulumi.Output.secret(random_password(name, length, opts, generation).result)


def random_password(name: str, length: int, opts: pulumi.ResourceOptions, generation: int = 1) -> random.RandomPassword:
    """The resource of such a password, for whoever also needs its hash."""
    keepers = {"generation": str(generation)} if generation > 1 else None
    return random.RandomPassword(name, length=length, special=False, keepers=keepers, opts=opts)

"""Passwords that nobody has to know."""

import pulumi
import pulumi_random as random


def generated_password(name: str, length: int, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """A random password of ``length`` letters and digits, kept encrypted in the state.

    No other characters: Flyte's connection string does not quote the password, and the object store's client takes
    its own from a URL.
    """
    return pulumi.Output.secret(random.RandomPassword(name, length=length, special=False, opts=opts).result)

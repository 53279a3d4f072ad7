"""How long Pulumi and Helm wait for an object to become ready."""

import pulumi

PATIENCE_SECONDS = 24 * 60 * 60
"""A day, which is practically no limit.

Both count the time in which an image is pulled or a node is away, so that a shorter limit fails on a slow connection
and on a cluster that is just being started. ``make up`` shows what it waits for, and gives up earlier if waiting does
not help.
"""


def patience() -> pulumi.ResourceOptions:
    """Options of a resource that Pulumi waits for."""
    limit = f"{PATIENCE_SECONDS}s"
    return pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit, delete=limit))

"""A Job that Pulumi waits for, and that the next update repeats if it has failed."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.pods.labels import LABELS, labels
from components.pods.patience import patience

# A pod that fails is started again after 10 seconds, then 20, and so on up to 6 minutes, so this is about an hour.
_RETRIES = 12


def awaited_job(
    name: str,
    namespace: pulumi.Input[str],
    label: str,
    pod: k8s.core.v1.PodSpecArgsDict,
    opts: pulumi.ResourceOptions,
    retries: int = _RETRIES,
) -> k8s.batch.v1.Job:
    """A Job that succeeds before what depends on it.

    It has no deadline of its own, because a deadline counts the time until a node is there and an image is pulled. Its
    script waits for the servers, and says so in its log. If the Job fails nevertheless, the next update replaces it
    (https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/).

    Args:
        name: name of the resource; Kubernetes gets it with a suffix.
        namespace: namespace of the Job.
        label: value of the label of its pods.
        pod: spec of its pod.
        opts: options of the resource.
        retries: number of further pods if the first one fails.
    """
    return k8s.batch.v1.Job(
        name,
        metadata={
            "namespace": namespace,
            "labels": LABELS,
            "annotations": {"pulumi.com/replaceUnready": "true"},
        },
        spec={"backoff_limit": retries, "template": {"metadata": {"labels": labels(label)}, "spec": pod}},
        opts=pulumi.ResourceOptions.merge(opts, patience()),
    )

"""The doctor's check of the images of tasks."""

from typing import Any

from ops.doctor.task_images import check_task_images
from tests.kubectl import FakeCluster, examined

ASKS = "get pods --all-namespaces --selector=execution-id"


def pod(namespace: str, image: str, policy: str) -> dict[str, Any]:
    container = {"image": image, "imagePullPolicy": policy}
    return {"metadata": {"namespace": namespace}, "spec": {"containers": [container]}}


def test_an_image_that_every_task_asks_its_registry_for_gets_one_remark():
    cluster = FakeCluster()
    slow, fast = (
        pod("remedy-development", "home/tasks", "Always"),
        pod("remedy-development", "home/ok:1", "IfNotPresent"),
    )
    cluster.on(ASKS, {"items": [slow, slow, fast, pod("of-another", "home/other", "Always")]})

    found = list(check_task_images(examined(cluster)))

    assert [one.state for one in found] == ["remark"]
    assert "image home/tasks asks its registry" in found[0].says


def test_images_that_the_node_has_are_fine():
    cluster = FakeCluster()
    cluster.on(ASKS, {"items": [pod("remedy-development", "home/ok:1", "IfNotPresent")]})

    assert [one.state for one in check_task_images(examined(cluster))] == ["ok"]


def test_pods_that_cannot_be_read_are_a_remark_with_the_reason():
    cluster = FakeCluster()
    cluster.on(ASKS, {}, "forbidden")

    (found,) = check_task_images(examined(cluster))

    assert (found.state, found.says) == ("remark", "the pods of the tasks cannot be read: forbidden")

"""The reports of continuous integration: what would change, without secrets, and short enough for GitHub."""

import base64
import json
from pathlib import Path

import pytest
from pulumi import automation as auto

from ops.ci import drift, preview
from ops.ci.diff import compare, difference
from ops.ci.lib.changes import HOLDS_DATA, Change, Changes, losses
from ops.ci.lib.report import LONGEST, block, masked, shortened, table
from ops.render import HEADER

URN = "urn:pulumi:dev::flyte-home::{}::{}"
STATEFUL_SET = URN.format("flyte-home:index:Postgres$kubernetes:apps/v1:StatefulSet", "postgres")
JOB = URN.format("kubernetes:batch/v1:Job", "minio-provision")


def event(kind: str, **content: object) -> auto.EngineEvent:
    return auto.EngineEvent.from_json({"sequence": 1, "timestamp": 1, kind: content})


def step(operation: str, urn: str = STATEFUL_SET, **more: object) -> auto.EngineEvent:
    return event("resourcePreEvent", metadata={"op": operation, "urn": urn, "type": "", "provider": "", **more})


def heard(*events: auto.EngineEvent) -> Changes:
    changes = Changes()
    for found in events:
        changes(found)
    return changes


@pytest.mark.parametrize("operation", ["delete", "replace", "create-replacement", "delete-replaced"])
def test_deleting_or_replacing_a_resource_with_data_loses_it(operation: str):
    (change,) = heard(step(operation)).all

    assert change.name == "StatefulSet:postgres"
    assert losses([change]) == [change]


@pytest.mark.parametrize("operation", ["create", "update", "import"])
def test_a_resource_that_stays_loses_no_data(operation: str):
    assert losses(heard(step(operation)).all) == []


def test_replacing_a_job_loses_no_data():
    assert losses(heard(step("replace", JOB)).all) == []


def test_generated_passwords_and_namespaces_hold_data():
    assert {"RandomPassword", "Namespace", "PersistentVolumeClaim"} <= HOLDS_DATA


def test_another_route_to_the_same_cluster_is_not_a_change():
    provider = URN.format("pulumi:providers:kubernetes", "cluster")

    assert heard(step("update", provider), step("update", URN.format("pulumi:pulumi:Stack", "x"))).all == []
    assert losses(heard(step("replace", provider)).all) != []


def test_the_provider_that_only_reads_the_clusters_identity_holds_no_data():
    assert losses(heard(step("replace", URN.format("pulumi:providers:kubernetes", "cluster-identity"))).all) == []


def test_a_refresh_is_a_change_only_if_it_finds_a_difference():
    found = {
        "op": "update",
        "urn": STATEFUL_SET,
        "type": "",
        "provider": "",
        "detailedDiff": {"spec.replicas": {"diffKind": "update"}},
    }

    changes = heard(step("refresh"), step("refresh", JOB), event("resOutputsEvent", metadata=found)).all

    assert changes == [Change("update", STATEFUL_SET, ("spec.replicas",))]


def test_the_engines_error_messages_are_kept_without_colours():
    said = event("diagnosticEvent", message="<{%fg 1%}>no<{%reset%}> way\n", color="never", severity="error")

    assert heard(said).errors == ["no way"]


def test_a_preview_report_names_what_is_rejected_and_the_label_that_allows_it():
    changes = heard(step("replace"), step("update", JOB)).all

    refused, allowed = (preview.described("prod", changes, allow) for allow in (False, True))

    assert refused.startswith("### Preview of `prod`: 1 replace, 1 update\n")
    assert "rejected without the label `allow-data-loss`" in refused
    assert "allowed by the label `allow-data-loss`" in allowed
    assert "docs/backup.md" in refused
    assert preview.described("prod", [], False) == "### Preview of `prod`: no change\n"


def test_a_drift_report_is_empty_without_drift_and_distinguishes_its_two_kinds():
    changes = heard(step("update")).all

    assert drift.described("prod", [], []) == ""
    assert "by hand" in drift.described("prod", changes, [])
    assert "This commit would change the stack" in drift.described("prod", [], changes)


def test_a_table_survives_any_path_and_has_a_maximum_length():
    paths = tuple(f'data["a|{index}"]' for index in range(9))

    text = table([Change("update", JOB, paths)] * 100)

    assert "\\|" in text
    assert "4 more |" in text
    assert "20 more; the log of the run has all of them" in text


@pytest.mark.parametrize(
    "text",
    [
        "it is planted-token",
        base64.b64encode(b"planted-token").decode(),
        base64.b64encode(b'{"token": "planted-token"}').decode(),
        json.dumps({"nested": '{"token": "planted-token"}'}),
    ],
)
def test_a_secret_is_masked_in_every_form(text: str):
    shown = masked(f"before {text} after", ['{"token": "planted-token"}'])

    assert "planted" not in shown
    assert base64.b64encode(b"planted-token").decode() not in shown
    assert "***" in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def test_a_very_short_secret_is_not_masked():
    assert masked("no change", ["no"]) == "no change"


def test_content_cannot_break_out_of_its_code_block():
    assert block("a\n````\nb", "diff") == "`````diff\na\n````\nb\n`````"


def test_text_too_long_for_github_is_cut_at_a_line():
    text = shortened("a line\n" * 20_000)

    assert len(text) < LONGEST + 100
    assert text.splitlines()[-2] == "a line"
    assert "more characters" in text.splitlines()[-1]


def test_a_resource_with_a_new_suffix_is_compared_with_its_predecessor():
    before = {"secret.config-aaaa.yaml": f"{HEADER}urn:1\nkind: Secret\nlevel: 3\n"}
    after = {"secret.config-bbbb.yaml": f"{HEADER}urn:1\nkind: Secret\nlevel: 4\n"}

    text = difference(before, after)

    assert text.splitlines()[:2] == ["--- secret.config-aaaa.yaml", "+++ secret.config-bbbb.yaml"]
    assert [line for line in text.splitlines()[2:] if line[0] in "+-"] == ["-level: 3", "+level: 4"]
    assert difference(before, before) == ""


def test_an_added_or_removed_resource_is_shown_completely():
    files = {"a.yaml": f"{HEADER}urn:1\nkind: Job\n"}

    assert "+kind: Job" in difference({}, files)
    assert "-kind: Job" in difference(files, {})


def tree(folder: Path, replicas: int, stacks: tuple[str, ...] = ("dev",)) -> Path:
    """Files that render to one manifest."""
    (folder / "ops").mkdir(parents=True)
    (folder / "ops" / "__init__.py").write_text("")
    text = f"{HEADER}urn:1\nreplicas: {replicas}\n"
    (folder / "ops" / "render.py").write_text(
        f"import pathlib, sys\n{replicas} or sys.exit('flyte-home:a: is wrong')\n"
        f"pathlib.Path(sys.argv[2], 'a.yaml').write_text({text!r})\n"
    )
    for stack in stacks:
        (folder / f"Pulumi.{stack}.yaml").write_text("")
    return folder


def test_every_stack_of_both_trees_is_compared(tmp_path: Path):
    report = compare(tree(tmp_path / "a", 1, ("dev", "old")), tree(tmp_path / "b", 2, ("dev", "new")))

    assert "### Manifests of `dev`: +1 -1 lines" in report
    assert "### Manifests of `old`: +0 -1 lines" in report
    assert "### Manifests of `new`: +1 -0 lines" in report


def test_a_base_that_cannot_be_rendered_does_not_fail_the_change(tmp_path: Path):
    report = compare(tree(tmp_path / "a", 0), tree(tmp_path / "b", 2))

    assert "the manifests of the base cannot be rendered" in report
    assert "flyte-home:a: is wrong" in report

"""``make render``: the stack as files, without engine, plugin or cluster."""

import base64
import binascii
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import ops.render
from ops.lib.recording import Recording
from ops.lib.stack_file import stack_config
from ops.render import HEADER, READ_ONLY, REDACTED, render, write
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import run
from tests.matrix import CASES, recording

ROOT = Path(__file__).resolve().parent.parent.parent


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as the Makefile calls it, with an empty PATH: nothing but Python is there."""
    return subprocess.run(
        [sys.executable, "-m", "ops.render", *arguments],
        cwd=ROOT,
        env={"HOME": os.environ.get("HOME", "/"), "PATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def project(folder: Path, stack_file: str) -> Path:
    """A folder with this project's declarations and a stack file."""
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / "Pulumi.test.yaml").write_text(stack_file)
    return folder


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_fresh_clone_renders_with_only_python(tmp_path: Path, stack: str):
    result = command(stack, str(tmp_path / "out"))

    assert result.returncode == 0, result.stderr
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert result.stdout == f"{len(files)} files in {tmp_path / 'out'}\n"
    assert "flyte-binary.values.yaml" in files
    assert "secret.remedy-production.tidal-creds.yaml" in files
    for file in (tmp_path / "out").iterdir():
        content = yaml.safe_load(file.read_text())
        assert file.name == "flyte-binary.values.yaml" or {"apiVersion", "kind", "metadata"} <= set(content)


def test_two_renderings_are_identical(tmp_path: Path):
    for name in ("a", "b"):
        assert command("dev", str(tmp_path / name)).returncode == 0

    first = {file.name: file.read_text() for file in (tmp_path / "a").iterdir()}
    assert first == {file.name: file.read_text() for file in (tmp_path / "b").iterdir()}


def test_the_files_contain_no_secret_unless_requested():
    recording = run(tidalCreds='{"t": "planted-tidal"}', postgresPassword="planted-postgres")
    hidden, shown = "".join(render(recording, False).values()), "".join(render(recording, True).values())

    for secret in ("planted-postgres", "generated", base64.b64encode(b'{"t": "planted-tidal"}').decode()):
        assert secret not in hidden.replace("generated-by", "")
        assert secret in shown
    assert "planted" not in hidden


def test_redacted_secrets_have_their_keys_and_no_value_that_a_server_accepts(dev: Recording):
    files = {name: yaml.safe_load(content) for name, content in render(dev, False).items()}

    assert files["secret.remedy-staging.tidal-creds.yaml"]["data"] == {"json": REDACTED}
    (config,) = [content for name, content in files.items() if name.startswith("secret.flyte.flyte-config")]
    assert config["data"] == {"202-database.yaml": REDACTED, "object-store-key": REDACTED}
    for content in files.values():
        if content.get("kind") == "Secret":
            assert "stringData" not in content
            assert set(content["data"].values()) == {REDACTED}
            with pytest.raises(binascii.Error):
                base64.b64decode(REDACTED, validate=True)


@pytest.mark.parametrize("show", [False, True])
def test_every_rendered_secret_has_the_label_that_no_server_accepts(dev: Recording, show: bool):
    files = [yaml.safe_load(content) for content in render(dev, show).values()]
    secrets = [content for content in files if content.get("kind") == "Secret"]

    assert len(secrets) > 10
    assert {content["metadata"]["labels"]["flyte-home/rendered"] for content in secrets} == set(READ_ONLY.values())
    assert not [content for content in files if content not in secrets and "flyte-home/rendered" in str(content)]


@pytest.mark.parametrize("case", CASES)
def test_only_secrets_contain_redacted_values(case: str):
    """Any other object with one could be applied."""
    files = render(recording(case), False)

    assert [name for name, content in files.items() if REDACTED in content and not name.startswith("secret.")] == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_with_shown_secrets_are_only_for_their_owner(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        write({"secret.a.yaml": f"{HEADER}a\n"}, tmp_path / "out", private=True)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "out" / "secret.a.yaml").stat().st_mode) == 0o600


def test_files_that_were_open_to_other_users_are_closed_before_they_contain_secrets(tmp_path: Path):
    out = tmp_path / "out"
    write({"secret.a.yaml": f"{HEADER}a\n", "other.yaml": f"{HEADER}b\n"}, out)
    for path in (out, *out.iterdir()):
        path.chmod(0o777)
    earlier = (out / "secret.a.yaml").open()  # a reader that another user has left open

    write({"secret.a.yaml": f"{HEADER}planted\n"}, out, private=True)

    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in out.iterdir()} == {"secret.a.yaml": 0o600}
    with earlier:
        assert "planted" not in earlier.read()


def test_secrets_are_not_written_through_a_link_that_somebody_left(tmp_path: Path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.write_text("")
    out.mkdir(mode=0o700)
    (out / "secret.a.yaml").symlink_to(elsewhere)

    write({"secret.a.yaml": f"{HEADER}planted\n"}, out, private=True)

    assert elsewhere.read_text() == ""
    assert not (out / "secret.a.yaml").is_symlink()


def test_a_folder_with_other_files_is_not_closed_and_gets_no_secrets(tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "own.txt").write_text("mine")

    with pytest.raises(SettingsError, match=r"OUT: .* is open to other users and contains other files") as refused:
        write({"secret.a.yaml": f"{HEADER}planted\n"}, tmp_path, private=True)

    assert "chmod 700" in str(refused.value)
    assert [file.name for file in tmp_path.iterdir()] == ["own.txt"]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    tmp_path.chmod(0o700)
    write({"secret.a.yaml": f"{HEADER}planted\n"}, tmp_path, private=True)
    assert (tmp_path / "own.txt").read_text() == "mine"


def test_only_the_owner_can_read_what_make_render_shows(tmp_path: Path):
    result = command("dev", str(tmp_path / "out"), "--show-secrets")

    assert result.returncode == 0, result.stderr
    assert "delete them after use" in result.stdout
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "out").iterdir()} == {0o600}


def test_references_between_files_match(dev: Recording):
    files = {name: yaml.safe_load(content) for name, content in render(dev, False).items()}
    names = {(item["kind"], item["metadata"]["name"]) for item in files.values() if "kind" in item}

    assert ("Secret", files["flyte-binary.values.yaml"]["configuration"]["inlineSecretRef"]) in names
    for item in files.values():
        if item.get("kind") not in {"StatefulSet", "Job"}:
            continue
        for volume in item["spec"]["template"]["spec"]["volumes"]:
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in names
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names


def test_an_encrypted_value_counts_as_set(tmp_path: Path):
    config, secrets = stack_config(
        "test",
        project(
            tmp_path,
            "config:\n  kubernetes:context: home\n  flyte-home:projects: [{name: a, taskSecrets: [tidal-creds]}]\n"
            "  flyte-home:tidalCreds: {secure: v1:abc}\n  flyte-home:postgresPassword: {secure: v1:def}\n",
        ),
    )

    assert secrets == {"flyte-home:tidalCreds", "flyte-home:postgresPassword"}
    assert "abc" not in str(config)
    assert settings_from(config, secrets).task_secret_values["tidal-creds"]


def test_a_secret_in_plain_text_is_rendered_redacted_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stack_file = (ROOT / "Pulumi.dev.yaml").read_text() + "  flyte-home:postgresPassword: planted-password\n"
    project(tmp_path, stack_file)
    monkeypatch.setattr(ops.render, "stack_config", lambda stack: stack_config(stack, tmp_path))
    hidden, shown = tmp_path / "hidden", tmp_path / "shown"

    for out, flags in ((hidden, []), (shown, ["--show-secrets"])):
        monkeypatch.setattr(sys, "argv", ["render", "test", str(out), *flags])
        assert ops.render.main() == 0

    said = capsys.readouterr().err
    assert "flyte-home:postgresPassword is in plain text" in said
    assert "planted" not in said
    assert not [file for file in hidden.iterdir() if "planted" in file.read_text()]
    assert [file for file in shown.iterdir() if "planted" in file.read_text()]


def test_a_setting_with_an_encrypted_value_inside_is_a_secret(tmp_path: Path):
    config, secrets = stack_config(
        "test",
        project(
            tmp_path,
            "config:\n  flyte-home:flyteValues: {deployment: {labels: {token: {secure: v1:abc}}}}\n"
            "  flyte-home:namespace:\n",
        ),
    )

    assert secrets == {"flyte-home:flyteValues"}
    assert "v1:abc" not in str(config)
    assert config["flyte-home:namespace"] == ""


@pytest.mark.parametrize(
    ("stack_file", "said"),
    [
        ("config: [", "line 1"),
        ("config:\n  a: 1\n  a: 2\n", "(line 2): a is set twice"),
        ("config: {flyte-home:namespace: x, namespace: y}", "is set twice"),
        ("namespace: a", "a setting has no effect at the top; move it below config"),
        ("flyte-home:projects: []", "a setting has no effect at the top; move it below config"),
        ("Config: {flyte-home:projects: []}", "a setting has no effect at the top; move it below config"),
        ("config: &a {flyte-home:projects: *a}", "Pulumi.test.yaml"),
        ("- a list", "is not a stack file"),
        ("config: text", "is not a stack file"),
    ],
)
def test_the_message_names_an_invalid_stack_file(tmp_path: Path, stack_file: str, said: str):
    with pytest.raises(SettingsError, match=r"Pulumi\.test\.yaml") as caught:
        stack_config("test", project(tmp_path, stack_file))

    assert said in str(caught.value)


def test_the_message_about_an_unknown_stack_lists_the_existing_ones(tmp_path: Path):
    result = command("staging", str(tmp_path))

    assert result.returncode == 1
    assert "Pulumi.staging.yaml" in result.stderr
    assert "dev, prod" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_message_about_an_unwritable_folder_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")

    result = command("dev", str(tmp_path / "file" / "out"))

    assert result.returncode == 1
    assert "OUT: cannot write" in result.stderr
    assert "Traceback" not in result.stderr


def test_files_of_an_earlier_rendering_are_removed_and_others_stay(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("mine: true\n")
    write({"old.yaml": "# Rendered by flyte-home; not for editing. x\n"}, tmp_path)

    write({"new.yaml": "# Rendered by flyte-home; not for editing. y\n"}, tmp_path)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["new.yaml", "own.yaml"]


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("", "OUT: is empty; write the name of a folder"),
        ("Makefile", "OUT: cannot write Makefile: File exists; choose"),
    ],
)
def test_out_must_be_a_folder(out: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["render", "dev", out])

    assert ops.render.main() == 1
    assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_completely_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write({"old.yaml": f"{HEADER}old\n", "both.yaml": f"{HEADER}old\n"}, tmp_path)
    (tmp_path / "own.txt").write_text("mine")
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    rename, calls = Path.rename, iter(range(100))

    def failing(path: Path, target: Path) -> Path:
        if next(calls) == 3:
            raise OSError(28, "No space left on device", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space left"):
        write({"both.yaml": f"{HEADER}new\n", "new.yaml": f"{HEADER}new\n", "z.yaml": f"{HEADER}new\n"}, tmp_path)

    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("private", [False, True])
def test_a_missing_folder_is_not_left_behind_if_writing_fails(tmp_path: Path, private: bool):
    with pytest.raises(OSError, match="File name too long"):
        write({"a.yaml": "a", f"{'x' * 300}.yaml": "b"}, tmp_path / "a" / "b", private)

    assert list(tmp_path.iterdir()) == []


def test_nothing_of_others_is_replaced_and_nothing_stops_the_rendering_of_other_files(tmp_path: Path):
    (tmp_path / "latin1.yaml").write_bytes(b"\xff\xfe not text")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.yaml")
    write({"a.yaml": f"{HEADER}a\n"}, tmp_path)
    assert len([*tmp_path.iterdir()]) == 5

    for name in ("latin1.yaml", "folder.yaml", "pipe.yaml"):
        with pytest.raises(SettingsError, match=f"OUT: .*{name} is not from an earlier rendering") as refused:
            write({"b.yaml": f"{HEADER}b\n", name: f"{HEADER}b\n"}, tmp_path)
        assert "OUT=rendered-new/" in str(refused.value)
    assert not (tmp_path / "b.yaml").exists()
    assert (tmp_path / "a.yaml").exists()


def test_the_longest_names_of_objects_have_a_file(tmp_path: Path):
    keys = [{"key": "k", "setting": "aCreds"}]
    groups = [{"group": f"{'g' * 252}{end}", "keys": keys} for end in "ab"]
    projects = [{"name": "p", "taskSecrets": [group["group"] for group in groups]}]

    files = render(run(taskSecrets=groups, projects=projects, aCreds="x", tidalCreds=None, domains=["d"]), False)
    write(files, tmp_path)

    assert len([file for file in tmp_path.iterdir() if file.name.startswith("secret.p-d.ggg")]) == 2


def test_a_stack_that_names_a_kubeconfig_renders_where_that_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stack_file = (ROOT / "Pulumi.dev.yaml").read_text() + "  kubernetes:kubeconfig: /nowhere/kubeconfig\n"
    project(tmp_path, stack_file)
    (tmp_path / "Pulumi.my stack.yaml").write_text(stack_file)
    monkeypatch.setattr(ops.render, "stack_config", lambda stack: stack_config(stack, tmp_path))
    monkeypatch.setattr(sys, "argv", ["render", "my stack", str(tmp_path / 'my "own" out')])

    assert ops.render.main() == 0, capsys.readouterr().err
    assert "make up STACK='my stack' sets it" in capsys.readouterr().err


def test_make_passes_every_value_as_one_argument():
    out, stack = """my "own" $$folder's/""", "my stack; touch x"
    command = ["make", "--no-print-directory", "--dry-run", "render", f"OUT={out}", f"STACK={stack}"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert shlex.split(said.splitlines()[-1])[-2:] == [stack, out.replace("$$", "$")]

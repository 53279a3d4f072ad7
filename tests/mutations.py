"""Breaks central lines of the program, one at a time, and checks that a test fails each time.

Usage: python -m tests.mutations    (or `make mutate`)

In a copy of the working tree, the layers are run that run everywhere (unit, commands and schema). A line of a script is
noticed by the tests of the scripts, which need their programs.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from paths import ROOT

_SECONDS = 300
_EVERYWHERE = ("tests/unit", "tests/commands", "tests/schema")
_BACKUP_SCRIPTS = ("tests/scripts", "-k=test_backup_sets or test_backup_steps")


@dataclass(frozen=True)
class Mutation:
    """A line of the program, and its broken replacement."""

    file: str
    line: str
    broken: str
    meaning: str
    tests: tuple[str, ...] = _EVERYWHERE
    """Tests that run, as arguments of pytest."""

    def apply(self, root: Path) -> None:
        """Break the line in the copy at ``root``.

        Raises:
            ValueError: the line does not occur exactly once.
        """
        path = root / self.file
        text = path.read_text()
        if text.count(self.line) != 1:
            raise ValueError(f"{self.file} has {text.count(self.line)} times: {self.line}")
        path.write_text(text.replace(self.line, self.broken))


MUTATIONS = (
    Mutation(
        "ops/lib/move/moving.py",
        'if flyte["spec"].get("replicas") != 0:',
        "if False:",
        "a move switches Flyte to a copy that lacks what Flyte wrote meanwhile",
    ),
    Mutation(
        "ops/lib/move/moving.py",
        "if found and found.run != record.run:",
        "if False:",
        "a move that another run has taken over starts Flyte during the other's copy",
    ),
    Mutation(
        "scripts/move/database.sh",
        '[ "$(mark TO)" = "$MARK" ] ||',
        "true ||",
        "a move replaces rows that are not its own",
        ("tests/scripts/test_move_scripts.py",),
    ),
    Mutation(
        "components/cluster/fence.py", "if uid != args.pinned_uid:", "if False:", "the fence lets any cluster through"
    ),
    Mutation(
        "ops/lib/browser_rules.py",
        "if len(host) != 1 or host[0] not in self.hosts:",
        "if len(host) != 1:",
        "DNS rebinding gets through the browser guard",
    ),
    Mutation(
        "ops/lib/browser_rules.py",
        "if len(types) != 1 or types[0] not in accepted:",
        "if not types:",
        "old browsers get through the browser guard with a form",
    ),
    Mutation(
        "ops/lib/browser_rules.py",
        'if set(headers.getall("Sec-Fetch-Site", [])) <= {"none", "same-origin"}:',
        "if True:",
        "pages of other sites get through the browser guard without an Origin",
    ),
    Mutation(
        "ops/lib/forwards.py",
        "hidden=endpoint.setting in rules)",
        "hidden=False)",
        "browsers reach the port-forward behind the browser guard",
    ),
    Mutation(
        "components/flyte/archive.py",
        "    if _sha256(content) != pin.sha256:",
        "    if False:",
        "any chart archive is taken",
    ),
    Mutation(
        "settings/chart_values.py",
        "    yield from _credentials(values, setting)\n",
        "",
        "credentials get into Helm's values",
    ),
    Mutation(
        "settings/load.py",
        "    problems += rules.plain_text_problems(given, encrypted)\n",
        "",
        "secrets in plain text are accepted",
    ),
    Mutation(
        "settings/stack.py",
        'self.secret_values.get(f"{setting}-{domain}") or self.secret_values.get(setting)',
        "self.secret_values.get(setting)",
        "a domain's own credentials are ignored",
    ),
    Mutation(
        "components/tasks/task_secret.py",
        '"name": args.group, "namespace": args.namespaces[namespace]',
        '"namespace": args.namespaces[namespace]',
        "tasks do not find their Secret by its name",
    ),
    Mutation(
        "components/flyte/values.py",
        '            "inlineSecretRef": credentials,\n',
        "",
        "Flyte does not get its credentials",
    ),
    Mutation(
        "components/flyte/flyte_binary.py",
        "                depends_on=[release],\n",
        "",
        "destroy removes Flyte before its workflows",
    ),
    Mutation(
        "components/flyte/webhook_certificate.py",
        ".digest()), [host])",
        '.digest()), ["another"])',
        "the API server does not trust the webhook",
    ),
    Mutation(
        "components/object_store/policies.py",
        '_allow([*_OBJECT, *_PARTS], f"{scope.bucket}/*")',
        '_allow([*_OBJECT, *_PARTS], "*")',
        "the key of a project's tasks opens all buckets",
    ),
    Mutation(
        "settings/projects.py",
        'f"metadata/propeller/{self.project}-{self.domain}-"',
        'f"metadata/propeller/{self.project}-"',
        "the domains of a project open each other's metadata",
    ),
    Mutation(
        "components/flyte/rights.py",
        '"resources": ["pods"], "verbs": _WRITE',
        '"resources": ["pods", "secrets"], "verbs": _WRITE',
        "Flyte reads and writes the secrets of the tasks",
    ),
    Mutation(
        "components/flyte/webhook_server.py",
        '"secrets": {"secrets-prefix": "global"},',
        '"secrets": {"secrets-prefix": "/etc/secrets"},',
        "anyone reads the files of the webhook's pod",
    ),
    Mutation(
        "components/flyte/webhook_server.py",
        '"automount_service_account_token": False',
        '"automount_service_account_token": True',
        "the webhook has a token that it could show",
    ),
    Mutation(
        "components/tasks/namespace_annotations.py",
        "        SECRETS: scope.secrets,\n",
        "",
        "no task pod with a secret is accepted",
    ),
    Mutation(
        "components/flyte/rights.py",
        'self._role(f"{name}-{namespace}", created, _IN_TASK_NAMESPACES, subject)',
        'self._role(f"{name}-{namespace}", created, _WATCHED, subject)',
        "Flyte cannot start tasks",
    ),
    Mutation(
        "components/network/policies.py",
        'spec["policy_types"] = ["Ingress", "Egress"]',
        'spec["policy_types"] = ["Ingress"]',
        "what is not opened is not closed",
    ),
    Mutation(
        "settings/egress.py",
        '    "192.168.0.0/16",\n',
        "",
        "tasks reach the home network",
    ),
    Mutation(
        "components/pods/volume.py", "retain_on_delete=self.keep", "retain_on_delete=False", "destroy deletes the data"
    ),
    Mutation(
        "components/pods/volume.py",
        "opts = safekeeping.options(parent)",
        "opts = pulumi.ResourceOptions(parent=parent)",
        "volumes are not protected",
    ),
    Mutation(
        "components/pods/stateful_server.py",
        'spec={"selector": labels(name)',
        'spec={"selector": labels("other")',
        "no client reaches the servers",
    ),
    Mutation(
        "components/pods/security.py",
        '"read_only_root_filesystem": True',
        '"read_only_root_filesystem": False',
        "containers write where they like",
    ),
    Mutation(
        "components/tasks/project_namespaces.py",
        '"automount_service_account_token": scope.service_account_token',
        '"automount_service_account_token": True',
        "every task can call the Kubernetes API",
    ),
    Mutation(
        "components/database/postgres.py",
        "            immutable=True,\n",
        "",
        "a new database password does not reach the running server",
    ),
    Mutation(
        "components/database/external.py",
        "            authority=credentials.metadata.name if authority else None,\n",
        "            authority=None,\n",
        "the certificate of a database outside the stack is not checked",
    ),
    Mutation(
        "components/database/cloudnative_pg.py",
        '            "failoverQuorum": required,\n',
        "",
        "a standby without the last commits takes over the database",
    ),
    Mutation(
        "components/database/cloudnative_pg.py",
        '            tls="verify-full",\n',
        '            tls="require",\n',
        "Flyte accepts any server of the database cluster",
    ),
    Mutation(
        "components/database/cloudnative_pg.py",
        "args.platform.safekeeping.options(self)",
        "pulumi.ResourceOptions(parent=self)",
        "a destroy deletes the volumes of a database cluster that must stay",
    ),
    Mutation(
        "components/network/policies.py",
        "*(_from(port, members, operator) for port in ports)",
        '*({"ports": [{"port": port}]} for port in ports)',
        "every pod reaches the instances of the database",
    ),
    Mutation(
        "ops/lib/update.py",
        "        check_operator(cluster, settings)\n",
        "",
        "an update without the operator of the database stops half-way",
    ),
    Mutation(
        "ops/lib/recovery.py",
        '    holders += [("cluster.postgresql.cnpg.io", one) for one in state.database_clusters]\n',
        "",
        "a database cluster that has disappeared is replaced by an empty one",
    ),
    Mutation(
        "components/network/policies.py",
        'networks = [f"{server.address}/32"] if server.address else server.networks',
        "networks: list[str] = []",
        "Flyte reaches every host at the port of the database",
    ),
    Mutation(
        "ops/lib/database_mode.py",
        '    if before in {"", now}:\n',
        "    if True:\n",
        "another mode of the database leaves its rows behind",
    ),
    Mutation(
        "components/tasks/task_pod_policy.py",
        '"validation_actions": ["Deny"]',
        '"validation_actions": ["Warn"]',
        "task pods may be anything",
    ),
    Mutation(
        "components/flyte/auth.py",
        '            "client_secret": base64.b64encode(secret_hash.encode()).decode(),\n',
        "",
        "Flyte's own client keeps its well-known secret",
    ),
    Mutation(
        "components/flyte/auth.py",
        '"secrets": {"secrets-prefix": _DIRECTORY},',
        '"secrets": {},',
        "Flyte does not find the keys of the login",
    ),
    Mutation(
        "components/flyte/auth.py",
        '"security": {"useAuth": True,',
        '"security": {"useAuth": False,',
        "no one has to log in",
    ),
    Mutation(
        "settings/rules/endpoints.py",
        "    yield from _login_problems(settings)\n",
        "",
        "an ingress lets everyone in without a login and without a reason",
    ),
    Mutation(
        "components/network/ingress.py",
        '[*buckets, "/minio/health"]',
        '["/"]',
        "the ingress leads to the object store's administration",
    ),
    Mutation(
        "components/object_store/external.py",
        "pulumi.ResourceOptions(depends_on=[store.ready])",
        "pulumi.ResourceOptions()",
        "the stack is changed before an external store is checked",
    ),
    Mutation(
        "components/object_store/egress.py",
        '"except_": NOT_PUBLIC',
        '"except_": []',
        "an external store with a name opens the home network",
    ),
    Mutation(
        "settings/rules/external_store.py",
        "if key.access_key in owners and not external.shared_key:",
        "if False:",
        "two projects share a key of an external store without a word",
    ),
    Mutation(
        "ops/lib/store_mode.py",
        "if wanted != deployed and not moved:",
        "if False:",
        "an empty store takes the place of the one with the data",
    ),
    Mutation(
        "components/network/policies.py",
        '[{**all_pods_of(ingress.namespace or namespace), "pod_selector": {"match_labels": {NAME: name}}}]',
        "[all_pods_of(ingress.namespace or namespace)]",
        "every pod beside the ingress controller reaches Flyte",
    ),
    Mutation(
        "settings/messages/shown.py",
        "if len(text) > _LONGEST or not _HARMLESS.fullmatch(text) or _KNOWN_CREDENTIAL.match(text):",
        "if not text:",
        "a message shows a secret that is in the wrong place",
    ),
    Mutation(
        "ops/lib/stack_yaml.py",
        "return _PREFIX + go_yaml.kind(value)",
        "return str(super().resolve(kind, value, implicit))",
        "make render reads yes and 1e3 otherwise than Pulumi",
    ),
    Mutation(
        "ops/render.py",
        '{**metadata.get("labels", {}), **READ_ONLY}',
        'metadata.get("labels", {})',
        "a rendered Secret with placeholders can be applied to a cluster",
    ),
    Mutation(
        "ops/render.py",
        "private=args.show_secrets",
        "private=False",
        "every user of the machine can read the secrets that make render shows",
    ),
    Mutation(
        "ops/doctor/addresses.py",
        "    if endpoint.listening:",
        "    if False:",
        "any process at the port is taken for the stack",
    ),
    Mutation(
        "ops/doctor/check.py",
        "[name for name in check.needs if name in broken]",
        "[]",
        "the doctor runs a check although one that it needs has failed",
    ),
    Mutation(
        "ops/doctor/isolation.py",
        "    elif sure and all(sure):",
        "    elif sure and any(sure):",
        "one connection that is open by mistake is blamed on the network plugin",
    ),
    Mutation(
        "ops/doctor/expectations.py",
        '        if not scope:\n            return "closed"\n',
        '        if not scope:\n            return "either"\n',
        "the doctor expects nothing of pods of other namespaces",
    ),
    Mutation(
        "components/tasks/project_namespaces.py",
        'image_pull_secrets=[{"name": login} for login in logins] or None,',
        "image_pull_secrets=None,",
        "task pods cannot pull from a registry with a login",
    ),
    Mutation(
        "components/pods/platform.py",
        "return with_pull_secrets(placed(spec, self.placement), self.pull_secrets)",
        "return placed(spec, self.placement)",
        "the stack's own pods cannot pull from a registry with a login",
    ),
    Mutation(
        "settings/images.py",
        "replace(image, repository=mirrored(image.repository, mirror))",
        "image",
        "images are pulled past the mirror",
    ),
    Mutation(
        "settings/stack.py",
        "str(project.gpus)} if self.most_gpus else {}",
        "str(project.gpus)} if project.gpus else {}",
        "projects without GPUs can use those of others",
    ),
    Mutation(
        "settings/stack.py",
        'self.gpus.runtime_class if project.gpus else ""',
        "self.gpus.runtime_class",
        "pods of projects without GPUs get the runtime class",
    ),
    Mutation(
        "components/flyte/mail.py",
        '"smtpSkipTLSVerify": not settings.verify_certificate,',
        '"smtpSkipTLSVerify": True,',
        "Flyte gives the password to any mail server",
    ),
    Mutation(
        "components/flyte/values.py",
        "_literals(configuration.mail.configuration)",
        "configuration.mail.configuration",
        "Helm replaces the placeholders of the mails",
    ),
    Mutation(
        "components/network/policies.py",
        "                *_server(settings.notifications.host, settings.notifications.port),\n",
        "",
        "Flyte cannot reach the mail server",
    ),
    Mutation(
        "ops/doctor/probes.py",
        "            self._created.append((cluster, first))\n",
        "",
        "the doctor leaves its pods behind",
    ),
    Mutation(
        "components/backup/steps.py",
        '"suspend": not schedule,',
        '"suspend": False,',
        "the template of a restore runs by itself",
    ),
    Mutation(
        "ops/lib/backup/sets.py",
        "    if not found[-1].verified:",
        "    if False:",
        "a set that was never verified is restored",
    ),
    Mutation(
        "ops/lib/backup/sets.py",
        'if one.verified and one.label != "before-restore"]',
        "if one.verified]",
        "the second restore brings back what the first one has replaced",
    ),
    Mutation(
        "ops/lib/backup/restoring.py",
        "    if not wishes.over:",
        "    if False:",
        "a restore replaces a healthy database without being told",
    ),
    Mutation(
        "ops/lib/backup/restoring.py",
        "        _sql(stack, _EXCHANGE)\n",
        "",
        "a restore that does not work is not taken back",
    ),
    Mutation(
        "ops/lib/backup/sealed_state.py",
        "content = sealed(_packed(environment, stack), settings.backup.recovery_key)",
        "content = _packed(environment, stack)",
        "the cluster has Pulumi's state and its passphrase in plain text",
    ),
    Mutation(
        "ops/lib/backup/sealed_state.py",
        "    _delete(cluster, settings.namespace, range(len(parts) + 1, names.STATE_PARTS + 1))\n",
        "",
        "the rest of an earlier state makes a set that no key opens",
    ),
    Mutation(
        "ops/lib/backup/recovery_key.py",
        "@dataclass(frozen=True, repr=False)",
        "@dataclass(frozen=True)",
        "a message shows the recovery key",
    ),
    Mutation(
        "ops/lib/backup/fetched_state.py",
        'for kind in ("pod", "secret", "configmap"):',
        'for kind in ("pod", "configmap"):',
        "a recovery leaves the password of the repository in the cluster",
    ),
    Mutation(
        "ops/recover.py",
        "        _check_free(key.stack, environment, chosen)\n",
        "",
        "a recovery replaces the state that is there",
    ),
    Mutation(
        "ops/upgrade.py",
        "        backup = take_backup(stack, with_backup)\n",
        '        backup = ""\n',
        "an upgrade takes no backup",
    ),
    Mutation(
        "scripts/backup/sets.sh",
        '.id | select(. != $newest)\' "$errors.plan"',
        '.id\' "$errors.plan"',
        "the newest complete set is removed",
        _BACKUP_SCRIPTS,
    ),
    Mutation(
        "components/object_store/policies.py",
        '{"Effect": "Deny", "Action": _ON_ITSELF},',
        "",
        "the user that reads the metrics of the store can change its own key",
    ),
    Mutation(
        "components/network/policies.py",
        "[all_pods_of(settings.monitoring.namespace)] if settings.monitoring.enabled else []",
        '[{"namespace_selector": {}}] if settings.monitoring.enabled else []',
        "every namespace reaches the metrics",
    ),
    Mutation(
        "components/monitoring/exporter.py",
        '"automount_service_account_token": False,',
        "",
        "the exporter has a token of Kubernetes",
    ),
    Mutation(
        "scripts/flyte/raw-outputs.pl",
        "next if $found->{workflow} || $found->{launch_plan};",
        "",
        "the prefix of one workflow counts as that of its project",
        ("tests/scripts/test_flyte_scripts.py",),
    ),
    Mutation(
        "scripts/flyte/raw-outputs.pl",
        "$token = '' if $status eq '401';",
        "",
        "a token that has expired is used for ever",
        ("tests/scripts/test_flyte_scripts.py",),
    ),
    Mutation(
        "components/tasks/project_namespaces.py",
        '"env": environment + _co_pilot_key(),',
        '"env": environment,',
        "the co-pilot has no key",
    ),
    Mutation(
        "ops/example.py",
        "    if request.notify and not settings.notifications.host:",
        "    if False:",
        "a schedule promises mails that no server sends",
        ("tests/example/test_ways.py",),
    ),
    Mutation(
        "ops/doctor/vault.py",
        "if _WANTED in annotations and _STATUS not in annotations:",
        "if False:",
        "an injector of Vault that is down is not noticed",
    ),
)


def main() -> int:
    """Run the command line; return 0 if every mutation was noticed."""
    if failed := _first_failure():
        print(f"this fails even without a mutation: {failed}")
        return 1
    survivors = 0
    for mutation in MUTATIONS:
        caught = _first_failure(mutation)
        survivors += not caught
        print(f"{mutation.file}: {mutation.meaning}\n    {caught or 'NOT NOTICED'}", flush=True)
    print(f"{len(MUTATIONS) - survivors} of {len(MUTATIONS)} noticed")
    return int(survivors > 0)


def _first_failure(mutation: Mutation | None = None) -> str:
    """The first test that fails with ``mutation``; empty if none does."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "copy")
        ignored = shutil.ignore_patterns(".git", ".venv", ".tools", ".state", "__pycache__", ".*_cache", "rendered*")
        shutil.copytree(ROOT, root, ignore=ignored)
        (root / ".tools").symlink_to(ROOT / ".tools")
        if mutation:
            mutation.apply(root)
        command = [sys.executable, "-m", "pytest", "-x", "--quiet", "--tb=no", "-p", "no:cacheprovider"]
        # The ignored file only compares the program with the list above.
        command += [*(mutation.tests if mutation else _EVERYWHERE), "--ignore=tests/unit/test_mutations.py"]
        answer = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=False)
    failed = [line for line in answer.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if answer.returncode not in (0, 1, 2) or (answer.returncode and not failed):
        raise RuntimeError(f"the tests could not run: {answer.stdout[-2000:]}{answer.stderr[-2000:]}")
    return failed[0].split(" - ")[0] if failed else ""


if __name__ == "__main__":
    sys.exit(main())

"""Runs the program without an engine, and records what it registers.

Pulumi's own mocks show little more than the inputs of a resource. The monitor here takes the place of the engine and
records the whole request: parent, provider, dependencies, protection, and which values are secret.
"""

import asyncio
import base64
import contextvars
import gc
import hashlib
import json
import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi
import pulumi.resource_hooks
import pulumi.runtime
import pulumi.runtime.resource
from google.protobuf import empty_pb2, json_format
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_in_stack

import components.cluster.kubeconfig
import components.flyte.archive
from ops.lib.recording import Recording, Resource, Secret
from paths import ROOT
from settings import PROJECT
from settings.chart import ChartPin

GENERATED = "generated"
"""Result of every RandomPassword in a recording."""
API_PORT = 6443
"""Port of the cluster's API servers in a recording."""


def record(
    config: Mapping[str, str],
    secret_keys: Collection[str] = (),
    stack: str = "dev",
    cluster_uid: str | None = None,
) -> Recording:
    """Run ``__main__.py`` with ``config``, and return what it registers.

    Args:
        config: values by full key, as Pulumi passes them to the program.
        secret_keys: full keys of the values that are encrypted in the stack file.
        stack: name of the stack.
        cluster_uid: UID of the cluster that answers; by default the UID to which the stack is pinned.

    Raises:
        SettingsError: the program rejects the configuration.
    """
    uid = config.get(f"{PROJECT}:clusterUid", "") if cluster_uid is None else cluster_uid
    monitor = _Monitor(stack, uid, _existing_key(config))

    def run() -> None:
        # Results that an earlier, failed recording still waited for.
        SETTINGS.rpc_manager.clear()
        SETTINGS.outputs.clear()
        pulumi.runtime.set_mocks(monitor.mocks, project=PROJECT, stack=stack, preview=False, monitor=monitor)
        pulumi.runtime.settings.set_root_resource(None)  # type: ignore[arg-type]  # from an earlier recording
        pulumi.runtime.set_all_config(dict(config), list(secret_keys))
        with _surroundings(config.get("kubernetes:context", "")):
            loop.run_until_complete(run_in_stack(guarded))

    errors: list[Exception] = []

    def guarded() -> None:
        try:
            runpy.run_path(str(ROOT / "__main__.py"))
        except Exception as error:  # raised again below: Pulumi would wait forever for the missing resources
            errors.append(error)

    # `set_mocks` binds to the thread's event loop, so the loop must exist before and must not change.
    loop = _Loop()
    asyncio.set_event_loop(loop)
    collects = gc.isenabled()
    # Pulumi keeps its state in context variables. A separate context leaves no state for the next recording.
    try:
        # Almost every object lives until the end, so garbage collection only costs time: a fifth of it.
        gc.disable()
        contextvars.copy_context().run(run)
    finally:
        loop.close()
        if collects:
            gc.enable()
    if errors:
        raise errors[0]
    return monitor.recording


@contextmanager
def _surroundings(context: str) -> Iterator[None]:
    """Give the program a kubeconfig that has ``context``, and replace the parts that need the chart or an engine."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "kubeconfig")
        kubeconfig.write_text(json.dumps({"contexts": [{"name": context}]}))
        environment = {"KUBECONFIG": str(kubeconfig)}
        with (
            mock.patch.dict(os.environ, environment),
            # Also for a stack that names a kubeconfig, which this machine need not have.
            mock.patch.object(components.cluster.kubeconfig, "_contexts", return_value=[context]),
            mock.patch.object(components.flyte.archive, "chart_archive", _unfetched),
            mock.patch.object(pulumi.resource_hooks, "register_resource_hook", _unregistered),
            mock.patch.object(pulumi.runtime.resource, "_get_stack_trace", source_pb2.StackTrace),
            mock.patch.object(mocks, "_sync_await", _result),
            mock.patch.object(sys, "path", [str(ROOT), *sys.path]),
        ):
            yield


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that calls the monitor directly instead of in a thread.

    The monitor never waits, so threads would only cost time. Without them, the order of registration never varies.
    """

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Any,  # noqa: ARG002
        func: Callable[..., Any],
        *args: Any,
    ) -> asyncio.Future[Any]:
        """Call ``func``; return a finished future with its result or its exception."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def _result(plain: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that never waits, such as the serialization of plain data."""
    try:
        plain.send(None)
    except StopIteration as returned:
        return returned.value
    raise RuntimeError("the monitor would have to wait")


def _unfetched(pin: ChartPin, *_local: str) -> Path:
    return ROOT / ".charts" / pin.file_name


def _unregistered(_hook: pulumi.ResourceHook) -> asyncio.Future[None]:
    """Accept a hook without registering it: only an engine calls hooks, and Pulumi's mocks cannot register them."""
    done: asyncio.Future[None] = asyncio.get_event_loop().create_future()
    done.set_result(None)
    return done


class _Monitor(mocks.MockMonitor):
    def __init__(self, stack: str, uid: str, existing_key: str) -> None:
        super().__init__(_Provider(uid, existing_key))
        self.stack = stack
        self.recording = Recording()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN as the engine builds it: with the real stack, and the types of all ancestors."""
        ancestors = parent.split("::")[2] if parent else ""
        qualified = type_ if ancestors in {"", "pulumi:pulumi:Stack"} else f"{ancestors}${type_}"
        return f"urn:pulumi:{self.stack}::{PROJECT}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the name in Pulumi's protocol)
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self.recording.resources.append(
                Resource(
                    urn=answer.urn,
                    type=request.type,
                    name=request.name,
                    inputs=_unwrap(json_format.MessageToDict(request.object)),
                    custom=request.custom,
                    parent=request.parent,
                    provider=_provider(request),
                    dependencies=list(request.dependencies),
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    ignore_changes=list(request.ignoreChanges),
                    deleted_with=request.deletedWith,
                    aliases=[*request.aliasURNs, *(alias.urn for alias in request.aliases if alias.urn)],
                    hooks={step.name: list(names) for step, names in request.hooks.ListFields()},
                    object_name=(self.resources[answer.urn].state.get("metadata") or {}).get("name", ""),
                )
            )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if "pulumi:pulumi:Stack" in request.urn:
            self.recording.outputs = _unwrap(json_format.MessageToDict(request.outputs))
        return empty_pb2.Empty()


def _existing_key(config: Mapping[str, str]) -> str:
    """Return the key of the password in the existing Secret that a configuration names."""
    try:
        server = json.loads(config.get(f"{PROJECT}:postgres", "{}"))["external"]["existingSecret"]
        return str(server.get("key", "password"))
    except (ValueError, KeyError, TypeError, AttributeError):  # it names none, or the program rejects it
        return "password"


def _provider(request: Any) -> str:
    """Return the URN of the provider from its reference, which is URN and id.

    The map `providers` of the request is ignored: the engine uses it for components only.
    """
    return request.provider.rsplit("::", 1)[0] if request.provider else ""


class _Provider(mocks.Mocks):
    """Answers like the cluster, as far as the program uses the answers."""

    def __init__(self, uid: str, existing_key: str) -> None:
        self.uid, self.existing_key = uid, existing_key

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError(f"recordings support no functions of providers, but the program calls {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        state = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            state |= {"result": GENERATED, "bcryptHash": f"hash of {GENERATED}"}
        elif args.typ == "kubernetes:helm.sh/v3:Release":
            state["status"] = {"namespace": state["namespace"], "status": "deployed"}
        elif args.typ == "kubernetes:discovery.k8s.io/v1:EndpointSlice":
            state["ports"] = [{"name": "https", "port": API_PORT, "protocol": "TCP"}]
        elif args.typ == "kubernetes:core/v1:Secret" and args.resource_id:  # one that exists, and is only read
            state["data"] = {self.existing_key: base64.b64encode(GENERATED.encode()).decode()}
        elif args.typ.startswith("kubernetes:"):
            metadata = dict(state.get("metadata") or {})
            metadata.setdefault("name", _auto_name(args.name, state))
            metadata["uid"] = self.uid
            state["metadata"] = metadata
        return f"{args.name}-id", state


def _auto_name(name: str, inputs: Mapping[str, Any]) -> str:
    """Return a generated name like Pulumi's, but with a hash of the content as suffix instead of a random one."""
    content = json.dumps(inputs, sort_keys=True)
    return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _unwrap(value: Any) -> Any:
    """Return a property as Python data: special values unwrapped, secrets marked, whole numbers as integers."""
    if isinstance(value, dict):
        signature = value.get(rpc._special_sig_key)
        if signature == rpc._special_secret_sig:
            return Secret(_unwrap(value["value"]))
        if signature == rpc._special_resource_sig:
            return value["urn"]
        return {key: _unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrap(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value

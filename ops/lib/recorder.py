"""Runs the program without an engine and keeps what it would have registered.

Pulumi's own mocks show a test the inputs of a resource and little else. The monitor here sits where the engine would
and keeps the whole request: parent, provider, dependencies, protection, and which values are secret.
"""

import asyncio
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
from dataclasses import dataclass, field
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

import components.flyte.archive
from paths import ROOT
from settings import PROJECT
from settings.chart import ChartPin

GENERATED = "generated"  # what a RandomPassword is in a recording
API_PORT = 6443  # where the API servers of the cluster listen, in a recording


@dataclass(frozen=True)
class Secret:
    """A value that the engine would encrypt."""

    value: Any


@dataclass
class Resource:
    """One registration, as the engine would have received it."""

    urn: str
    type: str
    name: str
    # With `Secret` around each secret value.
    inputs: dict[str, Any]
    custom: bool
    parent: str
    # URN of the provider; empty for components and where a default provider would be used.
    provider: str
    dependencies: list[str]
    protect: bool
    retain_on_delete: bool
    ignore_changes: list[str]
    deleted_with: str
    # URNs that it had in earlier versions.
    aliases: list[str]
    # Names of the functions that the engine calls at a step, such as ``before_update``.
    hooks: dict[str, list[str]]
    # Name of the Kubernetes object; as the program saw it, so that references fit. Empty for anything else.
    object_name: str

    @property
    def plain(self) -> dict[str, Any]:
        """The inputs without the marks."""
        return dict(map_secrets(self.inputs, lambda value: value))

    @property
    def kind(self) -> str:
        """The last part of the type token, such as ``StatefulSet``."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def is_manifest(self) -> bool:
        """Whether it is a Kubernetes object that the program itself describes."""
        return self.custom and "apiVersion" in self.inputs and "kind" in self.inputs

    @property
    def manifest(self) -> dict[str, Any]:
        """The Kubernetes object, with the name it would get and secrets still marked."""
        found = dict(self.inputs)
        found["metadata"] = {**found.get("metadata", {}), "name": self.object_name}
        return dict(_extensions(found))


@dataclass
class Recording:
    """Everything a run of the program registered, in order."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str, name: str | None = None) -> list[Resource]:
        """The resources of a kind, and of a name if given."""
        return [found for found in self.resources if found.kind == kind and name in (None, found.name)]

    def one(self, kind: str, name: str | None = None) -> Resource:
        """The only resource of a kind and name."""
        (found,) = self.of(kind, name)
        return found

    def by_urn(self, urn: str) -> Resource:
        """The resource that a dependency, parent or provider refers to."""
        (found,) = [found for found in self.resources if found.urn == urn]
        return found


def record(
    config: Mapping[str, str],
    secret_keys: Collection[str] = (),
    stack: str = "dev",
    cluster_uid: str | None = None,
) -> Recording:
    """Run ``__main__.py`` with ``config`` and return what it registers.

    Args:
        config: values by full key, as Pulumi hands them to a program.
        secret_keys: the full keys whose values are encrypted in the stack file.
        stack: name of the stack.
        cluster_uid: UID of the cluster that answers; None: the one the stack pins.

    Raises:
        SettingsError: what the program itself raises.
    """
    uid = config.get(f"{PROJECT}:clusterUid", "") if cluster_uid is None else cluster_uid
    monitor = _Monitor(stack, uid)

    def run() -> None:
        # What a recording that failed was still waiting for.
        SETTINGS.rpc_manager.clear()
        SETTINGS.outputs.clear()
        pulumi.runtime.set_mocks(monitor.mocks, project=PROJECT, stack=stack, preview=False, monitor=monitor)
        pulumi.runtime.settings.set_root_resource(None)  # type: ignore[arg-type]  # of an earlier recording
        pulumi.runtime.set_all_config(dict(config), list(secret_keys))
        with _surroundings(config.get("kubernetes:context", "")):
            loop.run_until_complete(run_in_stack(guarded))

    errors: list[Exception] = []

    def guarded() -> None:
        try:
            runpy.run_path(str(ROOT / "__main__.py"))
        except Exception as error:  # raised again below: Pulumi would wait for ever for what was not registered
            errors.append(error)

    # `set_mocks` already binds to the thread's event loop, so the loop must be there before and be the same after.
    loop = _Loop()
    asyncio.set_event_loop(loop)
    collects = gc.isenabled()
    # Pulumi keeps its state in context variables; a context of its own leaves nothing for the next recording.
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
    """What the program finds around it: a kubeconfig that has ``context``, and neither chart nor engine."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "kubeconfig")
        kubeconfig.write_text(json.dumps({"contexts": [{"name": context}]}))
        environment = {"KUBECONFIG": str(kubeconfig)}
        with (
            mock.patch.dict(os.environ, environment),
            mock.patch.object(components.flyte.archive, "chart_archive", _unfetched),
            mock.patch.object(pulumi.resource_hooks, "register_resource_hook", _unregistered),
            mock.patch.object(pulumi.runtime.resource, "_get_stack_trace", source_pb2.StackTrace),
            mock.patch.object(mocks, "_sync_await", _result),
            mock.patch.object(sys, "path", [str(ROOT), *sys.path]),
        ):
            yield


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that calls the monitor directly and not in a thread.

    The monitor never waits, so threads only cost time; and without them the order of registration never varies.
    """

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Any,  # noqa: ARG002
        func: Callable[..., Any],
        *args: Any,
    ) -> asyncio.Future[Any]:
        """The result or the exception of ``func``, as a future that is done."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def _result(plain: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never has to wait, such as the serialization of plain data."""
    try:
        plain.send(None)
    except StopIteration as returned:
        return returned.value
    raise RuntimeError("the monitor would have to wait")


def _unfetched(pin: ChartPin, *_local: str) -> Path:
    return ROOT / ".charts" / pin.file_name


def _unregistered(_hook: pulumi.ResourceHook) -> asyncio.Future[None]:
    """Only an engine could call a hook, and Pulumi's mocks cannot register one."""
    done: asyncio.Future[None] = asyncio.get_event_loop().create_future()
    done.set_result(None)
    return done


class _Monitor(mocks.MockMonitor):
    def __init__(self, stack: str, uid: str) -> None:
        super().__init__(_Provider(uid))
        self.stack = stack
        self.recording = Recording()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes it: with the real stack, and the types of all ancestors."""
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


def _provider(request: Any) -> str:
    """URN of the provider (a reference is URN and id); the engine takes one from `providers` for a component only."""
    return request.provider.rsplit("::", 1)[0] if request.provider else ""


class _Provider(mocks.Mocks):
    """Answers as the cluster would, as far as the program looks at the answers."""

    def __init__(self, uid: str) -> None:
        self.uid = uid

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError(f"the program calls no functions of a provider, but now {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        state = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            state |= {"result": GENERATED, "bcryptHash": f"hash of {GENERATED}"}
        elif args.typ == "kubernetes:helm.sh/v3:Release":
            state["status"] = {"namespace": state["namespace"], "status": "deployed"}
        elif args.typ == "kubernetes:discovery.k8s.io/v1:EndpointSlice":
            state["ports"] = [{"name": "https", "port": API_PORT, "protocol": "TCP"}]
        elif args.typ.startswith("kubernetes:"):
            metadata = dict(state.get("metadata") or {})
            metadata.setdefault("name", _auto_name(args.name, state))
            metadata["uid"] = self.uid
            state["metadata"] = metadata
        return f"{args.name}-id", state


def _auto_name(name: str, inputs: Mapping[str, Any]) -> str:
    """As Pulumi names what has no name, but with the suffix taken from the content: other content, other name."""
    content = json.dumps(inputs, sort_keys=True)
    return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _extensions(value: Any) -> Any:
    """``value`` with the provider's own spelling of OpenAPI's ``x-kubernetes-`` keys replaced by the real one."""
    if isinstance(value, Mapping):
        return {
            key.replace("_", "-") if key.startswith("x_kubernetes_") else key: _extensions(item)
            for key, item in value.items()
        }
    return [_extensions(item) for item in value] if isinstance(value, list) else value


def map_secrets(value: Any, change: Any) -> Any:
    """``value`` with each `Secret` in it replaced by what ``change`` makes of its content."""
    if isinstance(value, Secret):
        return change(value.value)
    if isinstance(value, Mapping):
        return {key: map_secrets(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_secrets(item, change) for item in value]
    return value


def _unwrap(value: Any) -> Any:
    """A property as Python data: special values unwrapped, secrets marked, whole numbers as integers."""
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

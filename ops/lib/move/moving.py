"""The order of a move, whichever part of the stack moves: nothing is lost at any point of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from components.flyte.names import RELEASE
from ops.lib.backup.restoring import check_works
from ops.lib.engine import run
from ops.lib.kubectl import documents
from ops.lib.move.job import open_ways
from ops.lib.move.record import Move, Part, begin, check_no_move, forget, read, remove_temporary, write
from ops.lib.record import deployed
from ops.lib.record import read as read_upgrade
from ops.lib.state import State, let_go
from ops.lib.steps import Steps
from ops.lib.volumes import Stack, start_flyte, stop_flyte
from settings import PROJECT
from settings.errors import SettingsError


class Moving(Protocol):
    """What differs between the database and the object store."""

    @property
    def part(self) -> Part:
        """What moves."""

    @property
    def setting(self) -> str:
        """The setting that says where to."""

    @property
    def components(self) -> frozenset[str]:
        """Types of all components that provide this part."""

    @property
    def before(self) -> str:
        """What Flyte uses, for messages."""

    @property
    def after(self) -> str:
        """What the settings choose, for messages."""

    @property
    def used(self) -> str:
        """Type of the component that provides what Flyte uses."""

    @property
    def wanted(self) -> str:
        """Type of the component that provides what the settings choose."""

    @property
    def in_use(self) -> bool:
        """Whether Flyte already uses what the settings choose."""

    def check(self) -> None:
        """Deploy the new server if it belongs to the stack, and check that everything can be copied to it.

        Raises:
            SettingsError: it cannot. Flyte was not touched.
        """

    def await_writers(self, say: Callable[[str], None]) -> None:
        """Wait for what writes although Flyte is stopped.

        Raises:
            SettingsError: it does not end.
        """

    def copy(self) -> None:
        """Copy everything, compare, and mark what was copied as left behind, so that a later move may replace it.

        Raises:
            SettingsError: it fails, or something differs.
        """

    def settle(self) -> None:
        """Remove the mark from what Flyte uses now.

        Raises:
            SettingsError: the server does not answer.
        """


def check_other_moves(stack: Stack, part: Part) -> None:
    """Check that no upgrade and no move of another part has begun, and that no other process is moving this one.

    Raises:
        SettingsError: one has, or is.
    """
    if read_upgrade(stack.cluster, stack.settings.namespace).unfinished:
        raise SettingsError(
            f"an upgrade of {stack.name} has begun and has not ended. Nothing was changed. First go on with make "
            f"upgrade STACK={stack.name}, or go back with make upgrade BACK=yes STACK={stack.name}"
        )
    found = read(stack.cluster, stack.settings.namespace)
    if found and found.part != part:
        check_no_move(stack.cluster, stack.settings.namespace, stack.name)
    if found and found.running:
        raise SettingsError(
            f"{found.command}: process {found.process} on this machine is moving the {found.part} of {stack.name}. "
            f"Wait until it has ended, or interrupt it, so that it goes back: kill -INT {found.process}"
        )


def move(stack: Stack, moving: Callable[[], Moving], deploy: Callable[[], int]) -> None:
    """Move a part of the stack to where its settings say, or go on where an earlier run has stopped.

    Args:
        stack: the stack.
        moving: returns what moves, as it is now.
        deploy: deploys what the stack file says; returns Pulumi's exit code.

    Raises:
        SettingsError: it fails; the message says what the stack is like now.
    """
    found, part = read(stack.cluster, stack.settings.namespace), moving()
    if part.in_use and not found:
        raise SettingsError(
            f"{part.setting}: Flyte uses {part.after} already, as the stack file says. Nothing was changed. First "
            "write the new mode into the stack file, see docs/outgrowing.md"
        )
    if part.in_use and found and found.phase == "begun":
        print(f"The stack file names {part.after} again, which Flyte uses: ending the move that was interrupted")
        _go_back(stack, part)
        print(f"ok      nothing was moved; Flyte uses {part.after}", flush=True)
        return
    if part.in_use and found:
        print(
            f"An earlier run has switched Flyte to {part.after}, and was interrupted: going on from there", flush=True
        )
        steps, record = Steps(2, found.command), begin(part.part, found.before, found.after)
    else:
        if found:
            print(f"An earlier run was interrupted: beginning again, with {part.before} as it is", flush=True)
        steps, record = Steps(5, f"move-{part.part}"), begin(part.part, part.before, part.after)
        _copy(stack, part, record, steps)
    _switch(stack, moving, record, steps, deploy)
    steps.next("doctor and smoke")
    try:
        check_works(stack)
    except SettingsError as error:
        raise SettingsError(
            f"{error}. Everything was moved, and Flyte uses {record.after}. Correct it, and run make {record.command} "
            f"STACK={stack.name} again, which checks it again; or set the stack file back, and move back with the same "
            "command"
        ) from None
    with open_ways(stack):
        moving().settle()
    forget(stack.cluster, stack.settings.namespace)
    deployed(stack.cluster, stack.settings.namespace)
    steps.end(f"moved from {record.before} to {record.after}")


def _copy(stack: Stack, part: Moving, record: Move, steps: Steps) -> None:
    """Copy everything while Flyte is stopped, or go back.

    Raises:
        SettingsError: it fails. The stack is as it was.
    """
    write(stack.cluster, stack.settings.namespace, record)
    try:
        remove_temporary(stack.cluster, stack.settings.namespace)
        with open_ways(stack):
            steps.next(f"check {part.before} and {part.after}")
            part.check()
            steps.next("stop Flyte")
            stop_flyte(stack)
            part.await_writers(steps.say)
            steps.next(f"copy from {part.before} to {part.after}, and compare")
            part.copy()
        _check_alone(stack, record)
    except (SettingsError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        raise SettingsError(f"{why}\n{_went_back(stack, part, record)}") from None


def _switch(stack: Stack, moving: Callable[[], Moving], record: Move, steps: Steps, deploy: Callable[[], int]) -> None:
    """Deploy the new mode, and keep the volumes of the old one.

    Raises:
        SettingsError: it fails; the message says what Flyte uses now.
    """
    steps.next(f"deploy with {record.after}")
    write(stack.cluster, stack.settings.namespace, replace(record, phase="switching"))
    part, state = moving(), State.of(stack.environment, stack.name)
    leaving = sorted(part.components - {part.wanted})
    for component in leaving:
        let_go(stack.environment, stack.name, component)
    if not deploy():
        write(stack.cluster, stack.settings.namespace, replace(record, phase="switched"))
        for kind, name in (found for component in leaving for found in state.data_of(component)):
            steps.say(f"{kind}/{name} stays as it is. When you no longer need it:")
            steps.say(stack.cluster.shown("delete", kind, name, "--namespace", stack.settings.namespace))
        return
    part = moving()
    if part.in_use:
        raise SettingsError(
            f"everything was copied, and Flyte uses {record.after}, but the update has failed; the reason is in the "
            f"messages above. Correct it, and run make {record.command} STACK={stack.name} again, which goes on"
        )
    raise SettingsError(
        f"the new mode could not be deployed; the reason is in the messages above\n{_went_back(stack, part, record)}. "
        f"What was deployed elsewhere is undone by make up, after you have set {part.setting} back"
    )


def _check_alone(stack: Stack, record: Move) -> None:
    """Check that nothing has started Flyte during the copy, and that no other run has taken over.

    Raises:
        SettingsError: something has.
    """
    found = read(stack.cluster, stack.settings.namespace)
    if not found or found.run != record.run:
        raise SettingsError("another run of the command has begun meanwhile")
    where = f"--namespace={stack.settings.namespace}"
    flyte = documents(stack.cluster.ask("get", "deployment", RELEASE, where, "--output=json"))[0]
    if flyte["spec"].get("replicas") != 0:
        raise SettingsError("something has started Flyte during the copy, so that the copy may lack what it wrote")


def _went_back(stack: Stack, part: Moving, record: Move) -> str:
    """Go back, unless another run has taken over; return what the stack is like now, for a message."""
    try:
        found = read(stack.cluster, stack.settings.namespace)
        if found and found.run != record.run:
            return "Nothing was changed back: the other run decides"
        print(f"going back to {part.before}", flush=True)
        _go_back(stack, part)
        return f"Flyte uses {part.before} as before"
    except (SettingsError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        return f"Going back has failed as well: {why}. Run make {record.command} STACK={stack.name} again"


def _go_back(stack: Stack, part: Moving) -> None:
    """Start Flyte with what it uses, and remove the new server if the move has deployed one.

    Raises:
        SettingsError: a step fails.
    """
    remove_temporary(stack.cluster, stack.settings.namespace)
    start_flyte(stack)
    state = State.of(stack.environment, stack.name)
    for component in sorted(part.components - {part.used}):
        if state.has_more_than_volumes(component):
            let_go(stack.environment, stack.name, component)
            urn = f"urn:pulumi:{stack.name}::{PROJECT}::{component}**"
            options = ("--target", urn, "--yes", "--skip-preview", "--non-interactive", "--suppress-progress")
            if run(stack.environment, stack.name, "destroy", *options):
                raise SettingsError("the new server could not be removed; the reason is in the messages above")
    forget(stack.cluster, stack.settings.namespace)

"""What Ctrl-C, or Pulumi after a failure, does to the program, and how it uses memory."""

import signal
import subprocess
import sys
import time

from paths import ROOT


def test_an_interrupted_program_ends_without_a_traceback():
    program = "import components.program as p; p.end_quietly_when_interrupted(); print('up', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)

        assert process.stdout.read() == ""
        assert process.wait(10) == 130


def test_the_program_does_not_search_for_garbage_while_it_runs():
    program = "import gc, components.program as p; p.collect_no_garbage(); print(gc.isenabled())"
    command = [sys.executable, "-c", program]

    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_program_does_not_search_for_garbage_when_it_ends():
    # Found as the last thing that Python does: a cycle is deleted by a search only.
    program = (
        "import components.program as p; p.collect_no_garbage()\n"
        "class Cycle:\n"
        "    def __init__(self): self.itself = self\n"
        "    def __del__(self): print('deleted by a search', flush=True)\n"
        "Cycle()\n"
    )
    command = [sys.executable, "-c", program]

    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""

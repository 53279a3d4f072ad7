"""What Ctrl-C, or Pulumi after a failure, does to the program."""

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

"""The clock reads of a batch, with clocks that the test sets (``clock_test.c``)."""

from __future__ import annotations

import subprocess

from c_programs import programs


def test_steps_and_offsets() -> None:
    (program,) = programs("clock_test")
    done = subprocess.run([program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr

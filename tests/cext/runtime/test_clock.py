"""The clocks of a batch, under clocks that the test sets (``clock_leaf.c``)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_steps_and_offsets(tool: Callable[[str], str], tmp_path: Path) -> None:
    program = tmp_path / "clock_leaf"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'cext'}"]
    command = [tool("gcc"), *flags, "-o", str(program), str(ROOT / "tests/unit/clock_leaf.c")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr

"""Runs the tests in two halves beside each other: a CPU each, where there are two.

    halves.py PYTEST

The tests of servers on the wire wait a lot; the others compute. The exit status is that of the half
that failed, and the others' output follows that of the wire.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

WIRE = ["tests/wire"]
# With a cache of its own: pytest writes it at the end.
OTHERS = ["tests", "--ignore=tests/wire", "-o", "cache_dir=.pytest_cache/others"]


def main(pytest: str) -> int:
    """Runs both to their ends, after Ctrl-C too: what tests made is to be removed."""
    with tempfile.TemporaryFile() as output:
        others = subprocess.Popen(
            [pytest, "-q", *OTHERS],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        wire = subprocess.Popen([pytest, "-q", *WIRE])
        statuses = [_ended(wire), _ended(others)]
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return max(statuses)


def _ended(half: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            status = half.wait()
        except KeyboardInterrupt:
            # The terminal has told both.
            continue
        return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

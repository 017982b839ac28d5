"""``python impatient.py -c FILE``: ``xdpkit run`` that waits less long for files and compilers."""

from __future__ import annotations

import sys

from xdpkit.cli import main as cli
from xdpkit.runtime import off_loop
from xdpkit.services.dns.serving import compiler_child

ANSWER_SECONDS = 3
IDLE_SECONDS = 6
REPLACED_SECONDS = 3

if __name__ == "__main__":
    off_loop.ANSWER_SECONDS = ANSWER_SECONDS
    compiler_child.IDLE_SECONDS = IDLE_SECONDS
    compiler_child.REPLACED_SECONDS = REPLACED_SECONDS
    sys.exit(cli.main(["run", *sys.argv[1:]]))

"""``python other_layout.py -c FILE``: ``xdpkit run -c FILE`` with another handover layout."""

from __future__ import annotations

import sys

from xdpkit.cli import main as cli
from xdpkit.instance.handover import wire

if __name__ == "__main__":
    wire.LAYOUT[0] += 1
    sys.exit(cli.main(["run", *sys.argv[1:]]))

"""``python other_layout.py -c FILE``: ``xdpkit run -c FILE`` of another version."""

from __future__ import annotations

import sys

from xdpkit.cli import main as cli
from xdpkit.instance.handover import predecessor as handover

if __name__ == "__main__":
    handover.LAYOUT[0] += 1
    sys.exit(cli.main(["run", *sys.argv[1:]]))

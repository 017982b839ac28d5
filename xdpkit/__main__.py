"""``python -m xdpkit``: the same as the ``xdpkit`` command."""

import sys

from xdpkit.cli.main import command

sys.exit(command())

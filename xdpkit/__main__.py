"""``python -m xdpkit``: the command of the same name."""

import sys

from xdpkit.cli.main import main

sys.exit(main())

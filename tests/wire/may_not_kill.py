"""``python may_not_kill.py -c FILE``: ``xdpkit run -c FILE`` that may end no other process.

As an instance of an unprivileged user that root's successor takes over from.
"""

from __future__ import annotations

import signal
import sys

from xdpkit.cli import main as cli


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


if __name__ == "__main__":
    signal.pidfd_send_signal = refuse
    sys.exit(cli.main(["run", *sys.argv[1:]]))

"""The log of a server: a line on standard error for each record, whatever its text contains."""

from __future__ import annotations

import logging
import sys

from xdpkit.escape import escape


class OneLine(logging.Formatter):
    """Escapes the message: it may repeat what a file, a name or a peer says."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = escape(record.message)
        return super().formatMessage(record)


def log_to_stderr() -> None:
    """Sets up the log of this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("xdpkit: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])

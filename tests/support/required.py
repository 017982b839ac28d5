"""What may be missing on a machine that runs the tests, and where nothing may."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def required() -> bool:
    """True where nothing may be skipped for want of root, namespaces or a tool."""
    return os.environ.get("CI") == "true" or os.environ.get("XDPKIT_REQUIRE_NETNS") == "1"


def missing(reason: str) -> NoReturn:
    """Ends a test that lacks something: where everything is required it fails, others skip."""
    if required():
        pytest.fail(reason)
    pytest.skip(reason)

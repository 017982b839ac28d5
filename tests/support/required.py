"""What a machine that runs the tests may lack, and where nothing may be lacking."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def required() -> bool:
    """True where no test may be skipped for lack of root, namespaces or a tool."""
    return os.environ.get("CI") == "true" or os.environ.get("XDPKIT_REQUIRE_NETNS") == "1"


def missing(reason: str) -> NoReturn:
    """Ends a test that lacks something: fails it where everything is required, else skips it."""
    if required():
        pytest.fail(reason)
    pytest.skip(reason)

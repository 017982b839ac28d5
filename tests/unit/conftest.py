"""These tests need one processor, and no certain speed: the package is built beside them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def package_meanwhile(request: pytest.FixtureRequest) -> None:
    """Starts what the package's tests will wait for, if they are to run."""
    of_package = [item for item in request.session.items if item.get_closest_marker("package")]
    if any(item.get_closest_marker("skip") is None for item in of_package):
        request.getfixturevalue("package_making")

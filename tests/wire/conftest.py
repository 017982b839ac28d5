"""The lab, a running server and the wire between the namespaces, one of each per module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import CONFIG, QUEUES, WAYS_IN, Server, serving
from wire import Wire

from xdpkit.lab.namespaces import Lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two joined namespaces."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's server has its configuration."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, lab: Lab, directory: Path) -> Iterator[Server]:
    """A running instance, with the module's CONFIG if any; its shutdown is checked too."""
    with serving(lab, directory, getattr(request.module, "CONFIG", CONFIG)) as server:
        yield server


@pytest.fixture(scope="module")
def wire(lab: Lab, server: Server) -> Iterator[Wire]:
    """Raw sockets at both ends; the client sends on the served queue."""
    wire = Wire(lab)
    yield wire
    wire.close()


@pytest.fixture(scope="module", params=WAYS_IN)
def way_in(request: pytest.FixtureRequest, lab: Lab, server: Server) -> str:
    """Everything the client sends takes this way in."""
    name: str = request.param
    lab.client.send_on_queue(WAYS_IN[name], QUEUES)
    return name


@pytest.fixture
def other_queue(wire: Wire) -> Iterator[int]:
    """The client sends on a queue without an AF_XDP socket."""
    wire.use_queue(1)
    yield 1
    wire.use_queue(2)

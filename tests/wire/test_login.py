"""Logins that arrive over an interface although they end at another address of this host."""

from __future__ import annotations

import socket

import anyio
import pytest
from pyroute2 import AsyncIPRoute
from serving import interface_of

from xdpkit.lab.namespaces import Lab
from xdpkit.nic.os.login import SSH_PORT, login_over

pytestmark = pytest.mark.netns


def test_a_session_whose_peer_is_reached_over_the_interface(lab: Lab) -> None:
    interface, _ = interface_of(lab.server)

    async def look() -> str | None:
        async with AsyncIPRoute() as ipr:
            return await login_over(ipr, interface, [])

    with lab.server.entered(), socket.create_server((lab.server.ipv4, SSH_PORT)) as listening:
        assert anyio.run(look) is None
        with lab.client.entered():
            client = socket.create_connection((lab.server.ipv4, SSH_PORT))
        session, _ = listening.accept()
        with client, session:
            assert anyio.run(look) == lab.client.ipv4

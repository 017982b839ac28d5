"""NTP state of ``source = "127.0.0.1:11123"``: the mirrored daemon, which disciplines this clock.

It is polled like any NTP server. Its stratum is not incremented: both read the same clock, so we
are no further from the reference than it is. On a loopback address anybody may listen, so before
and after each request the kernel is asked whose socket it is that receives it.
"""

from __future__ import annotations

import os
import pwd
import secrets
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import ClassVar

import anyio

from xdpkit.config.ntp import Loopback
from xdpkit.nic.os.udp_receiver import receiver_users
from xdpkit.services.ntp import client
from xdpkit.services.ntp.client import NtpReplyError, Reply
from xdpkit.services.ntp.polled import REPLY_SECONDS, Polled, expiry
from xdpkit.services.ntp.state import PHI_PPM, State, leap_end, short_sum

# Units of a timestamp (2^-32 s) per unit of short format.
_UNITS_32_32 = 1 << 16


def mirrored_state(
    reply: Reply, sent_ns: tuple[int, int], received_ns: int, holdover_s: int
) -> State:
    """Our state according to a reply.

    ``sent_ns`` is when we sent the request, in CLOCK_MONOTONIC and UTC, ``received_ns`` the UTC of
    the answer. The dispersion grows by one unit for rounding, and by how far the daemon's time is
    from this clock: while slewing, the daemon serves the time that the clock is being slewed to.
    """
    monotonic_ns, utc_ns = sent_ns
    off = client.distance_outside(reply, utc_ns, received_ns)
    return State(
        leap=reply.leap,
        stratum=reply.stratum,
        precision=reply.precision,
        root_delay=reply.root_delay,
        root_dispersion=short_sum(reply.root_dispersion, 1, -(-off // _UNITS_32_32)),
        refid=int.from_bytes(reply.refid),
        reference=reply.reference,
        updated_ns=monotonic_ns,
        expires_ns=expiry(monotonic_ns, holdover_s),
        drift_ppm=PHI_PPM,
        leap_ends_ns=leap_end(reply.leap, utc_ns),
    )


class _StrangerError(Exception):
    """What listens at the daemon's address belongs to a user who is not believed."""


def _user_id(user: str) -> int | None:
    """The ID of a user; None if there is none on this host."""
    if user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


class Upstream(Polled):
    """A daemon on a loopback address; its last valid answer holds for ``holdover_s``."""

    fixes: ClassVar = {
        "refused": "nothing listens there: start it (chrony: port 11123, bindaddress 127.0.0.1)",
        "no_answer": "it does not answer: make it allow us (chrony: allow 127.0.0.1)",
        "late": "it takes longer than a second to answer: find out what delays it",
        "unsynchronised": "it is not synchronized itself: 'chronyc tracking' and 'chronyc sources' "
        "say why",
        "stratum": "it answers without a stratum: it is not synchronized, or rate-limits us",
        "timestamp": "it answers without a time: check what is listening there",
        "length": "what answers there is not an NTP server: fix the port",
        "version": "it does not answer in version 4: mirror another daemon",
        "mode": "what answers there is not an NTP server: fix the port",
        "origin": "its answers do not match our requests: check what is listening there",
        "stranger": "",  # Names the user: ``problem``.
        "os_error": "the system did not let us send: check 'ip address show lo' and the firewall",
    }

    def __init__(self, where: Loopback, holdover_s: int, users: Iterable[str] = ()) -> None:
        """``users``, root and the user of this process are believed."""
        super().__init__(str(where))
        self._believed = {0, os.geteuid(), *(n for n in map(_user_id, users) if n is not None)}
        self._strangers: set[int] = set()
        self._where = (str(where.address), where.port)
        self._family = socket.AF_INET6 if where.address.version == 6 else socket.AF_INET
        self._holdover_s = holdover_s
        self._unanswered: socket.socket | None = None

    async def poll(self) -> None:
        """Sends a request from a new port and waits up to a second for the first datagram.

        A request without an answer is counted one poll later: until then the answer may be late.
        """
        self.polls += 1
        try:
            self._answered(await self._ask())
        except NtpReplyError as error:
            self._ignore(error.reason)
        except TimeoutError:
            self._reason = "late" if self._reason == "late" else "no_answer"
        except ConnectionRefusedError:
            self._ignore("refused")
        except _StrangerError:
            self._ignore("stranger")
        except OSError:
            self._ignore("os_error")

    def problem(self) -> str:
        """Why it gives no time, and the fix."""
        if self._reason != "stranger":
            return super().problem()
        users = ", ".join(map(str, sorted(self._strangers))) or "nobody any more"
        return (
            f"the socket there belongs to user {users}, who is not believed: find out what listens "
            "there ('ss -ulpn'), and add that user to source_users if it is the time daemon"
        )

    def _check_listener(self, sock: socket.socket, has_answered: bool) -> None:
        """Raises _StrangerError unless a request from this socket reaches one of those believed.

        Before it is sent, there may also be nobody. One that has answered must still be there.
        """
        users = receiver_users(sock.getsockname()[:2], self._where)
        if not users <= self._believed or (has_answered and not users):
            self._strangers = users - self._believed
            raise _StrangerError

    async def _ask(self) -> State:
        """Sends one request; TimeoutError if there is no answer yet, and then keeps its socket."""
        mark = secrets.randbits(64)
        with ExitStack() as stack:
            sock = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            stack.enter_context(sock)
            sock.connect(self._where)
            self._check_listener(sock, has_answered=False)
            sent_ns = time.monotonic_ns(), time.time_ns()
            sock.send(client.request(mark))
            with anyio.move_on_after(REPLY_SECONDS):
                await anyio.wait_readable(sock)
            self._count_unanswered()
            try:
                data, received_ns = sock.recv(2048), time.time_ns()
            except BlockingIOError:
                self._unanswered = sock
                stack.pop_all()
                raise TimeoutError from None
            self._check_listener(sock, has_answered=True)
        reply = client.read_reply(data, mark)
        return mirrored_state(reply, sent_ns, received_ns, self._holdover_s)

    def _count_unanswered(self) -> None:
        """Counts the previous request if it was not answered in time."""
        before, self._unanswered = self._unanswered, None
        if before is None:
            return
        with before:
            try:
                before.recv(1)
                self._ignore("late")
            except OSError:
                self._ignore("no_answer")

    def close(self) -> None:
        """Closes the socket of an unanswered request."""
        if self._unanswered:
            self._unanswered.close()

"""Addresses are followed live: those on the interface are served, removed ones are not."""

from __future__ import annotations

import pytest
from payloads import query
from serving import Server, eventually
from wire import Wire, udp_payload

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

ADDRESSES = {4: ("192.0.2.50", "24"), 6: ("2001:db8::50", "64")}


def change(lab: Lab, verb: str, family: int) -> None:
    address, length = ADDRESSES[family]
    more = ["nodad"] if family == 6 and verb == "add" else []
    done = lab.server.run("ip", "addr", verb, f"{address}/{length}", "dev", "server0", *more)
    assert done.returncode == 0, done.stderr


def verdict_of(server: Server, wire: Wire, family: int) -> str:
    """The XDP program's verdict on a request to the address that comes and goes."""
    request = wire.frame(family, "dns", query("www.example"), ip={"dst": ADDRESSES[family][0]})
    outcome = wire.exchange(server, request)
    return next(
        name for name in ("not_served", "redirected", "other_queue") if outcome.verdicts[name]
    )


@pytest.mark.parametrize("family", [4, 6])
def test_an_address_comes_and_goes(lab: Lab, server: Server, wire: Wire, family: int) -> None:
    address = ADDRESSES[family][0]
    request = wire.frame(family, "dns", query("www.example"), ip={"dst": address})
    assert verdict_of(server, wire, family) == "not_served"
    for _ in range(2):
        change(lab, "add", family)
        eventually(lambda: verdict_of(server, wire, family) == "redirected", "the ring to serve it")
        for queue, way in ((2, "redirected"), (1, "other_queue")):
            wire.use_queue(queue)
            outcome = wire.exchange(server, request, (way, "dns_noerror"), replies=1)
            [reply] = outcome.replies
            assert udp_payload(reply)[6:8] == b"\0\x01"
        change(lab, "del", family)
        eventually(lambda: verdict_of(server, wire, family) == "not_served", "the end of it")
        wire.use_queue(2)
        assert wire.exchange(server, request).replies == []
        eventually(lambda: address not in lab.server.run("ss", "-lunH").stdout, "closed sockets")


@pytest.mark.parametrize("family", [4, 6])
def test_the_other_addresses_are_served_on(
    lab: Lab, server: Server, wire: Wire, family: int
) -> None:
    request = wire.frame(family, "dns", query("www.example"))
    change(lab, "add", family)
    for queue, way in ((2, "redirected"), (1, "other_queue")):
        wire.use_queue(queue)
        outcome = wire.exchange(server, request, (way, "dns_noerror"), replies=1)
        assert outcome.verdicts["dns_noerror"] == 1
    change(lab, "del", family)
    wire.use_queue(2)
    eventually(lambda: verdict_of(server, wire, family) == "not_served", "the end of it")
    assert wire.exchange(server, request, replies=1).verdicts["dns_noerror"] == 1


def test_addresses_that_come_and_go_without_end(lab: Lab, server: Server, wire: Wire) -> None:
    """As a neighbor's router advertisements have them do: each is followed, few are logged."""
    before = server.log().count("addresses now")
    for _ in range(15):
        for verb, verdict in (("add", "redirected"), ("del", "not_served")):
            change(lab, verb, 4)
            eventually(lambda wanted=verdict: verdict_of(server, wire, 4) == wanted, verdict)
    change(lab, "add", 4)
    address = ADDRESSES[4][0]
    eventually(lambda: address in server.log().splitlines()[-1], "a line about the last change")
    assert "changes)" in server.log()
    # Thirty-one changes; a slow machine has time for some more than ten lines.
    assert server.log().count("addresses now") - before < 25
    change(lab, "del", 4)


def test_our_own_new_address_is_no_source(lab: Lab, server: Server, wire: Wire) -> None:
    forged = wire.frame(4, "dns", query("www.example"), ip={"src": ADDRESSES[4][0]})
    assert wire.exchange(server, forged).verdicts["dns_noerror"] == 1
    change(lab, "add", 4)
    eventually(
        lambda: wire.exchange(server, forged).verdicts["source_address"] == 1,
        "silence to ourselves",
    )
    change(lab, "del", 4)


def test_hundreds_of_addresses(lab: Lab, server: Server, wire: Wire) -> None:
    """Each is answered by both ways in."""
    lines = [f"10.0.{n & 255}.{1 + (n >> 8)}/32 dev server0" for n in range(400)]
    script = "\n".join(f"addr add {line}" for line in lines)
    lab.server.run("sh", "-c", f"ip -batch - <<'X'\n{script}\nX")
    request = wire.frame(4, "dns", query("www.example"), ip={"dst": "10.0.143.2"})
    eventually(
        lambda: wire.exchange(server, request).verdicts["redirected"] == 1, "the last of them"
    )
    eventually(lambda: "10.0.143.2:53" in lab.server.run("ss", "-lunH").stdout, "its socket")
    for queue in (1, 2):
        wire.use_queue(queue)
        assert wire.exchange(server, request, replies=1).verdicts["dns_noerror"] == 1
    script = script.replace("addr add", "addr del")
    lab.server.run("sh", "-c", f"ip -batch - <<'X'\n{script}\nX")
    eventually(lambda: "10.0." not in lab.server.run("ss", "-lunH").stdout, "closed sockets")


def test_more_addresses_than_fit(lab: Lab, server: Server, wire: Wire) -> None:
    """It is logged, and served ones stay served; once they are few enough, all are served."""
    # Three services each: above the 4096 keys of the XDP program's map.
    lines = [f"10.{n >> 8}.{n & 255}.1/32 dev server0" for n in range(1400)]

    def change_all(verb: str) -> None:
        script = "\n".join(f"addr {verb} {line}" for line in lines)
        done = lab.server.run("sh", "-c", f"ip -batch - <<'X'\n{script}\nX")
        assert done.returncode == 0, done.stderr

    request = wire.frame(4, "dns", query("www.example"))
    change_all("add")
    eventually(lambda: "list fewer addresses" in server.log(), "a warning")
    assert server.request("reload")["zones"]
    assert wire.exchange(server, request, replies=1).verdicts["dns_noerror"] == 1
    change_all("del")
    change(lab, "add", 4)
    eventually(lambda: verdict_of(server, wire, 4) == "redirected", "the ring to serve it")
    change(lab, "del", 4)

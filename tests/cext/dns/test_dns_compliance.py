"""RFC 8906 through the bytes call, with all optional information off and on."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_compliance import Case, cases, check
from dns_fake_signer import fake_signed

from xdpkit._core._answer import answer

ZONE = HEAD + "".join(f'large TXT "{i:03d}{"y" * 197}"\n' for i in range(8))
OPTIONAL = {"full": {"nsid": b"ns1", "cookie_secrets": (bytes(16),)}, "minimal": {}}
CASES = cases("z.example")


ZONES = {"plain": ZONE, "signed": fake_signed(ZONE, "z.example")}


@pytest.fixture(scope="module", params=itertools.product(OPTIONAL, ZONES), ids="-".join)
def call(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    which, zone = request.param
    settings: dict[str, Any] = OPTIONAL[which]
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": ZONES[zone]}, **settings)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rfc_8906(call: BytesCall, case: Case, tcp: bool) -> None:
    _, reply = answer(call.snapshot, "dns", case.request, state=call.state, tcp=tcp)
    assert reply is not None
    check(case, reply, tcp)

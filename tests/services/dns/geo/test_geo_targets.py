"""A client's targets, in their order, and which labels are for some of them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from xdpkit.services.dns.geo.continents import CONTINENTS, REGION_GROUPS
from xdpkit.services.dns.geo.targets import (
    DEFAULT_TARGETING,
    WORDS,
    Location,
    Targeting,
    client_targets,
    join_target,
    parse_targeting,
    split_target,
)

ALL = parse_targeting(" ".join(WORDS))
CALIFORNIA = Location("us", "us-ca", 15169)


@pytest.mark.parametrize(
    "address, location, targeting, expected",
    [
        (
            "192.0.2.1",
            CALIFORNIA,
            "@ continent country regiongroup region asn ip",
            "[192.0.2.1] [192.0.2.0] as15169 us-ca us-west us north-america @",
        ),
        ("192.0.2.0", Location(), "ip", "[192.0.2.0]"),
        ("2001:db8:1:2::3", Location(), "ip @", "[2001:db8:1:2::3] [2001:db8:1::] @"),
        ("2001:db8:1::", Location(), "ip @", "[2001:db8:1::] @"),
        ("192.0.2.1", CALIFORNIA, "@ country continent", "us north-america @"),
        ("192.0.2.1", CALIFORNIA, "country", "us"),
        ("192.0.2.1", Location("de", "de-be"), "region regiongroup country", "de-be de"),
        ("192.0.2.1", Location("ru", "ru-spe"), "regiongroup @", "ru-vfd @"),
        ("192.0.2.1", Location(), "@ asn region regiongroup country continent", "@"),
        ("192.0.2.1", Location(asn=64496), "asn country", "as64496"),
        ("192.0.2.1", Location("zz"), "country continent @", "@"),
    ],
)
def test_the_order_is_fixed(
    address: str, location: Location, targeting: str, expected: str
) -> None:
    found = client_targets(ip_address(address), location, parse_targeting(targeting))
    assert " ".join(found) == expected


def test_continents_are_geodns_own() -> None:
    # Its peculiarities, and a few of every continent.
    some = "tr:europe ge:asia mx:north-america cy:asia eg:africa ru:europe gl:north-america"
    some += (
        " gs:antarctica br:south-america nz:oceania cc:asia sj:europe ss:africa cw:north-america"
    )
    assert {each.split(":")[0]: each.split(":")[1] for each in some.split()}.items() <= (
        CONTINENTS.items()
    )
    assert len(CONTINENTS) == 254 and set(map(len, CONTINENTS)) == {2}
    assert len(set(CONTINENTS.values())) == 7


def test_regions_have_groups_in_two_countries() -> None:
    groups: dict[str, int] = {}
    for region, group in REGION_GROUPS.items():
        assert region[:2] == group[:2]
        groups[group] = groups.get(group, 0) + 1
    assert {group: groups[group] for group in sorted(groups) if group[:2] == "us"} == {
        "us-central": 14,
        "us-east": 24,
        "us-west": 13,
    }
    assert sum(groups.values()) == 51 + 83 and len(groups) == 3 + 8
    assert Location("us", "us-tx").region_group == "us-central"


@pytest.mark.parametrize(
    "key, targeting, expected",
    [
        ("us", DEFAULT_TARGETING, ("", "us")),
        ("0.us", DEFAULT_TARGETING, ("0", "us")),
        ("a.b.europe", DEFAULT_TARGETING, ("a.b", "europe")),
        ("europe", DEFAULT_TARGETING, ("", "europe")),
        ("uk", DEFAULT_TARGETING, None),
        ("www", DEFAULT_TARGETING, None),
        ("", DEFAULT_TARGETING, None),
        ("us-ca", DEFAULT_TARGETING, None),
        ("x.us-ca", Targeting.REGION, ("x", "us-ca")),
        ("x.us-west", Targeting.REGION, None),
        ("x.us-west", Targeting.REGIONGROUP, ("x", "us-west")),
        ("x.ru-dfd", Targeting.REGION, None),
        ("x.as15169", Targeting.ASN, ("x", "as15169")),
        ("x.as0", Targeting.ASN, None),
        ("x.as4294967296", Targeting.ASN, None),
        ("x.asia", Targeting.ASN, None),
        ("as", Targeting.COUNTRY, ("", "as")),
        ("[192.0.2.1]", Targeting.IP, ("", "[192.0.2.1]")),
        ("x.y.[2001:db8::]", Targeting.IP, ("x.y", "[2001:db8::]")),
        ("x.[2001:DB8::]", Targeting.IP, None),
        ("x.[192.0.2]", Targeting.IP, None),
        ("x.[192.0.2.1]", Targeting.COUNTRY, None),
        ("x]", Targeting.IP, None),
        ("us", Targeting.GLOBAL, None),
    ],
)
def test_which_labels_are_variants(
    key: str, targeting: Targeting, expected: tuple[str, str] | None
) -> None:
    assert split_target(key, targeting) == expected
    if expected:
        assert join_target(*expected) == key


def test_every_target_of_a_client_is_known_as_one() -> None:
    targets = client_targets(ip_address("192.0.2.1"), CALIFORNIA, ALL)
    for target in targets[:-1]:
        assert split_target(join_target("x", target), ALL) == ("x", target)

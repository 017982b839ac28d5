"""The timestamping ioctls' structures and numbers, checked against the kernel's own headers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.nic.os import ethtool, hwtstamp, phc

PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <net/if.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/ptp_clock.h>
#include <linux/sockios.h>

static void show(const char *name, const void *at, size_t size)
{
	printf("%s ", name);
	for (size_t i = 0; i < size; i++)
		printf("%02x", ((const unsigned char *)at)[i]);
	printf("\n");
}
static struct ptp_clock_time at(int i)
{
	return (struct ptp_clock_time){.sec = 1700000000 + i, .nsec = 1000 + i};
}
int main(void)
{
	struct hwtstamp_config config = {1, HWTSTAMP_TX_ON, HWTSTAMP_FILTER_NTP_ALL};
	struct ethtool_ts_info info = {ETHTOOL_GET_TS_INFO, 0, 7, .tx_types = 3, .rx_filters = 1};
	struct ptp_sys_offset_extended extended = {.n_samples = 10};
	struct ptp_sys_offset basic = {.n_samples = 10};

	for (int i = 0; i < 30; i++)
		extended.ts[i / 3][i % 3] = at(i);
	for (int i = 0; i < 21; i++)
		basic.ts[i] = at(i);
	show("config", &config, sizeof config);
	show("info", &info, sizeof info);
	show("extended", &extended, sizeof extended);
	show("basic", &basic, sizeof basic);
	printf("SIOCSHWTSTAMP %x\n", SIOCSHWTSTAMP);
	printf("SIOCGHWTSTAMP %x\n", SIOCGHWTSTAMP);
	printf("SIOCETHTOOL %x\n", SIOCETHTOOL);
	printf("PTP_SYS_OFFSET %lx\n", (unsigned long)PTP_SYS_OFFSET);
	printf("PTP_SYS_OFFSET_EXTENDED %lx\n", (unsigned long)PTP_SYS_OFFSET_EXTENDED);
	printf("ifreq %zx\n", sizeof(struct ifreq));
	return 0;
}
"""

# The same bytes on any little-endian machine.
CONFIG = "01000000010000000f000000"
INFO = "41000000000000000700000003000000" + "00" * 12 + "01000000" + "00" * 12


@pytest.fixture(scope="module")
def kernels(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Values from the headers, by name."""
    directory: Path = tmp_path_factory.mktemp("ioctls")
    (directory / "show.c").write_text(PROGRAM)
    command = [tool("gcc"), "-Wall", "-Werror", str(directory / "show.c"), "-o", directory / "show"]
    subprocess.run(command, check=True)
    text = subprocess.run([directory / "show"], check=True, capture_output=True, text=True).stdout
    return dict(line.split() for line in text.splitlines())


def test_numbers(kernels: dict[str, str]) -> None:
    assert int(kernels["SIOCSHWTSTAMP"], 16) == hwtstamp.SIOCSHWTSTAMP
    assert int(kernels["SIOCGHWTSTAMP"], 16) == hwtstamp.SIOCGHWTSTAMP
    assert int(kernels["SIOCETHTOOL"], 16) == ethtool.SIOCETHTOOL
    assert int(kernels["PTP_SYS_OFFSET"], 16) == phc.PTP_SYS_OFFSET
    assert int(kernels["PTP_SYS_OFFSET_EXTENDED"], 16) == phc.PTP_SYS_OFFSET_EXTENDED
    # What interface_ioctl packs.
    assert int(kernels["ifreq"], 16) == 40


def test_the_headers_bytes_are_the_golden_ones(kernels: dict[str, str]) -> None:
    assert (kernels["config"], kernels["info"]) == (CONFIG, INFO)


def test_requests_for_cross_readings(kernels: dict[str, str]) -> None:
    for name, size in (("extended", 1216), ("basic", 832)):
        whole = bytes.fromhex(kernels[name])
        assert len(whole) == size
        assert phc.request(size) == whole[:16].ljust(size, b"\0")


def test_answers_of_cross_readings(kernels: dict[str, str]) -> None:
    times = [(1_700_000_000 + i) * 10**9 + 1000 + i for i in range(30)]
    extended = phc.extended_samples(bytes.fromhex(kernels["extended"]))
    assert extended == [tuple(times[i : i + 3]) for i in range(0, 30, 3)]
    basic = phc.basic_samples(bytes.fromhex(kernels["basic"]))
    assert basic == [tuple(times[i : i + 3]) for i in range(0, 20, 2)]


@given(st.lists(st.tuples(*[st.integers(0, 2**62)] * 3), min_size=1, max_size=10))
def test_the_narrowest_sample_is_taken(samples: list[tuple[int, int, int]]) -> None:
    found = phc.best(samples)
    assert found.delay_ns == min(abs(after - before) for before, _, after in samples)
    assert (found.phc_ns, found.tai_ns) in [(p, (b + a) // 2) for b, p, a in samples]

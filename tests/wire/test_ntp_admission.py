"""Who may ask for the time: access lists, rate limits and keys, on both ways in, over reloads."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from asking import Asker
from loading import generator, load_on, under_way
from ntp_macs import KEYS, Key, key_file, sound_mac
from ntp_requests import Request
from peers import measured_offset
from serving import QUEUES, WAYS_IN, XDPKIT, Server, attached, reload, serving, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

CONFIG = """
[interface]
name = "server0"
queues = [2]
[ntp]
"""

PLAIN = b"\x23" + bytes(39)


def numbered(count: int, key: Key | None = None) -> list[bytes]:
    """Version 4 requests, each with a different transmit timestamp."""
    made = [PLAIN + struct.pack("!II", 7, number) for number in range(1, count + 1)]
    return [message + key.mac(message) for message in made] if key else made


def answers(lab: Lab, way_in: str, family: int, payloads: Sequence[bytes]) -> list[bytes | None]:
    """Answers to requests sent one at a time: a sentinel may be refused, too."""
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    with Asker(lab.client, address) as asker:
        return asker.answers([Request(payload, "numbered") for payload in payloads])


def silence(lab: Lab, server: Server, way_in: str, family: int, verdict: str, count: int) -> None:
    """Checks that this many requests get no answer, and are counted by reason."""
    before = server.verdicts()[verdict]
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    with Asker(lab.client, address) as asker:
        for payload in numbered(count):
            asker.sockets[0].send(payload)
        while server.verdicts()[verdict] < before + count:
            pass
        asker.assert_quiet()
    assert server.verdicts()[verdict] == before + count


class TestAccess:
    @pytest.mark.parametrize("way_in", WAYS_IN)
    def test_by_the_longest_prefix_and_over_a_reload(
        self, lab: Lab, tmp_path: Path, way_in: str
    ) -> None:
        lists = 'allow = ["192.0.2.0/24", "2001:db8::/32"]\ndeny = ["192.0.2.2"]\n'
        with serving(lab, tmp_path, CONFIG + lists) as server:
            silence(lab, server, way_in, 4, "ntp_denied", 3)
            assert None not in answers(lab, way_in, 6, numbered(3))

            write_config(tmp_path, CONFIG + 'deny = ["2001:db8::2/128"]\n')
            assert reload(lab).returncode == 0
            assert None not in answers(lab, way_in, 4, numbered(3))
            silence(lab, server, way_in, 6, "ntp_denied", 3)

            write_config(tmp_path, CONFIG + 'deny = ["2001:db8::2/64"]\n')
            done = reload(lab)
            assert done.returncode == 2
            assert f"{tmp_path}/xdpkit.toml:6:" in done.stderr
            silence(lab, server, way_in, 6, "ntp_denied", 3)


class TestLimit:
    @pytest.mark.parametrize("family", [4, 6])
    @pytest.mark.parametrize("way_in", WAYS_IN)
    def test_a_burst_and_then_silence(
        self, lab: Lab, tmp_path: Path, way_in: str, family: int
    ) -> None:
        limit = "[ntp.limit]\ninterval = 12\nburst = 5\nleak = 0\n"
        with serving(lab, tmp_path, CONFIG + limit) as server:
            # Four, and the sentinel.
            first = answers(lab, way_in, family, numbered(4))
            assert None not in first
            # At least the limit's interval.
            assert {reply[2] for reply in first if reply} == {12}
            silence(lab, server, way_in, family, "ntp_limited", 20)

    @pytest.mark.parametrize("way_in", WAYS_IN)
    def test_taken_out_and_put_in_by_a_reload(self, lab: Lab, tmp_path: Path, way_in: str) -> None:
        limit = "[ntp.limit]\ninterval = 12\nburst = 5\nleak = 0\n"
        with serving(lab, tmp_path, CONFIG) as server:
            assert None not in answers(lab, way_in, 4, numbered(60))
            for _ in range(2):
                write_config(tmp_path, CONFIG + limit)
                assert reload(lab).returncode == 0
                lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
                before = server.verdicts()["ntp_limited"]
                with Asker(lab.client, lab.server.ipv4) as asker:
                    for payload in numbered(60):
                        asker.sockets[0].send(payload)
                    while server.verdicts()["ntp_limited"] < before + 55:
                        pass
                write_config(tmp_path, CONFIG)
                assert reload(lab).returncode == 0
                assert None not in answers(lab, way_in, 4, numbered(60))

    @pytest.mark.parametrize("way_in", WAYS_IN)
    def test_some_leak_and_some_get_a_kod(self, lab: Lab, tmp_path: Path, way_in: str) -> None:
        limit = "[ntp.limit]\ninterval = 12\nburst = 1\nleak = 1\nkod = 1\n"
        with serving(lab, tmp_path, CONFIG + limit) as server:
            lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
            with Asker(lab.client, lab.server.ipv4) as asker:
                sock = asker.sockets[0]
                for payload in numbered(200):
                    sock.send(payload)
                while sum(counts := self.counts(server)) < 200:
                    pass
                answered, kods_sent, _ = counts
                replies = [sock.recv(100) for _ in range(answered + kods_sent)]
                asker.assert_quiet()
        # Half leak; half of the rest get a KoD: 99.9999 % of draws are within these bounds.
        assert 60 < answered < 145
        assert 20 < kods_sent < 85
        kods = [reply for reply in replies if reply[12:16] == b"RATE"]
        assert len(kods) == kods_sent
        # LI 3, version 4, mode 4, stratum 0: RFC 5905 section 7.4.
        assert {(reply[0], reply[1], len(reply)) for reply in kods} == {(0xE4, 0, 48)}

    @staticmethod
    def counts(server: Server) -> list[int]:
        verdicts = server.verdicts()
        return [verdicts[name] for name in ("ntp_answered", "ntp_kod", "ntp_limited")]


class TestKeys:
    FIRST, SECOND = KEYS[1:3]

    def config(self, directory: Path, *keys: Key) -> str:
        file = directory / "ntp.keys"
        file.write_text(key_file(keys))
        file.chmod(0o600)
        return CONFIG + 'keys = "ntp.keys"\n'

    @pytest.mark.parametrize("way_in", WAYS_IN)
    def test_reloaded_without_a_pause(self, lab: Lab, tmp_path: Path, way_in: str) -> None:
        lab.server.send_on_queue(WAYS_IN[way_in], QUEUES)
        with (
            serving(lab, tmp_path, self.config(tmp_path, self.FIRST)) as server,
            load_on(lab, [WAYS_IN[way_in]]) as load,
        ):
            requests = generator(lab, load, WAYS_IN[way_in], "ntp", 4)
            with under_way(requests, rate=20_000):
                for keys in ([self.SECOND], [self.FIRST, self.SECOND], [self.FIRST]) * 2:
                    self.config(tmp_path, *keys)
                    assert reload(lab).returncode == 0
            counters = requests.counters()
            assert counters["answered"] == counters["sent"] > 1000
            assert [counters[fault] for fault in ("wrong", "lost", "duplicate")] == [0, 0, 0]
            assert set(server.status()["ntp"]["keys"]) == {"1", "2"}

    @pytest.mark.parametrize("way_in", WAYS_IN)
    def test_new_keys_are_used_and_a_broken_file_is_not(
        self, lab: Lab, tmp_path: Path, way_in: str
    ) -> None:
        with serving(lab, tmp_path, self.config(tmp_path, self.FIRST)) as server:
            self.works(lab, way_in, self.FIRST, not_this=self.SECOND)
            self.config(tmp_path, self.SECOND)
            assert reload(lab).returncode == 0
            self.works(lab, way_in, self.SECOND, not_this=self.FIRST)

            with (tmp_path / "ntp.keys").open("a") as file:
                file.write("7 AES128 HEX:00\n")
            done = reload(lab)
            assert done.returncode == 2
            assert f"{tmp_path}/ntp.keys:2:10: " in done.stderr
            assert done.stderr.count("\n") == 1
            self.works(lab, way_in, self.SECOND, not_this=self.FIRST)
            assert server.status()["ntp"]["keys"] == {"1": 3, "2": 6}

    @pytest.mark.parametrize("way_in", WAYS_IN)
    def test_chronyd_accepts_every_type(self, lab: Lab, tmp_path: Path, way_in: str) -> None:
        with serving(lab, tmp_path, self.config(tmp_path, *KEYS)):
            lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
            keyfile = f"keyfile {tmp_path}/ntp.keys"
            for key in KEYS:
                source = f"server {lab.server.ipv4} iburst maxsamples 1 xleave key {key.id}"
                offset = measured_offset(lab.client, tmp_path, source, keyfile)
                assert offset is not None and abs(offset) < 1, key
            (tmp_path / "ntp.keys").write_text(key_file([Key(self.FIRST.id, "MD5", b"not ours")]))
            source = f"server {lab.server.ipv4} iburst maxsamples 1 key {self.FIRST.id}"
            assert measured_offset(lab.client, tmp_path, source, keyfile, limit=3) is None

    def works(self, lab: Lab, way_in: str, key: Key, not_this: Key) -> None:
        replies = answers(lab, way_in, 4, numbered(3, key))
        assert all(reply and sound_mac([key], reply, 48) for reply in replies)
        assert answers(lab, way_in, 4, numbered(3, not_this)) == [None] * 3

    def test_a_broken_file_at_start(self, tmp_path: Path) -> None:
        path = write_config(tmp_path, self.config(tmp_path, self.FIRST))
        with (tmp_path / "ntp.keys").open("a") as file:
            file.write("1 MD5 another-secret\n")
        for verb in ("run", "check"):
            with Lab() as lab:
                done = lab.server.run(XDPKIT, verb, "-c", str(path))
                assert done.returncode == 2
                assert f"{tmp_path}/ntp.keys:2:1: key 1 " in done.stderr
                assert len(done.stderr.splitlines()) == 1
                assert attached(lab.server) is None

"""Key files: chrony's format, what is rejected and how, and that no secret is ever printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xdpkit._core._keys import ALGORITHMS
from xdpkit.errors import ConfigError, ConfigErrors
from xdpkit.services.ntp.keys import CHRONY_ONLY_TYPES, Key, KeyFile, read_keys

LAST_ID = 2**32 - 1
SECRET = b"do-not-say-this"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "chrony.keys"


def read(path: Path, text: bytes, mode: int = 0o640) -> KeyFile:
    path.write_bytes(text)
    path.chmod(mode)
    return read_keys(path)


def one(path: Path, line: bytes) -> Key:
    [key] = read(path, line).keys
    return key


def refusal(path: Path, text: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, text)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.startswith(f"{path}:") and "\n" not in message
    return message.removeprefix(f"{path}:")


@pytest.mark.parametrize(
    "line,key",
    [
        (b"10 tulips-in-may", Key(10, "MD5", b"tulips-in-may")),
        (b"11 HEX:00ff0A", Key(11, "MD5", b"\x00\xff\n")),
        (b"20 MD5 ASCII:crocus", Key(20, "MD5", b"crocus")),
        (b"21 SHA1 ASCII:HEX:41", Key(21, "SHA1", b"HEX:41")),
        (b"22 SHA256 hex:41", Key(22, "SHA256", b"hex:41")),
        (b" \t023\x0bSHA384\x0c HEX:aBcD \r", Key(23, "SHA384", b"\xab\xcd")),
        (b"24 SHA512 #not;a%comment!", Key(24, "SHA512", b"#not;a%comment!")),
        (b"25 SHA1 \xc3\xa9t\xc3\xa9\xff", Key(25, "SHA1", b"\xc3\xa9t\xc3\xa9\xff")),
        (b"30 AES128 sixteen-bytes...", Key(30, "AES128", b"sixteen-bytes...")),
        (b"31 AES256 HEX:" + b"5a" * 32, Key(31, "AES256", b"Z" * 32)),
        (b"1 x", Key(1, "MD5", b"x")),
        (b"4294967295 SHA1 " + b"y" * 2031, Key(LAST_ID, "SHA1", b"y" * 2031)),
    ],
    ids=lambda value: value.decode("latin-1")[:30] if isinstance(value, bytes) else None,
)
def test_a_line(path: Path, line: bytes, key: Key) -> None:
    assert one(path, line) == key


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"\r\n \t\n", b"# one\n; two\n! three\n  % four with any number of words"]
)
def test_no_key(path: Path, text: bytes) -> None:
    assert read(path, text) == KeyFile(path, (), ())


def test_the_order_of_the_file_is_kept(path: Path) -> None:
    text = b"# ours\r\n7 first-of-them\r\n\r\n3 SHA1 second-of-them\r\n; end"
    assert [key.id for key in read(path, text).keys] == [7, 3]


@pytest.mark.parametrize(
    "line,expected",
    [
        (b"1", "key 1: the secret is missing: write 1 [TYPE] SECRET"),
        (b"1 SHA1", "key 1: a type, but no secret after it: write 1 SHA1 SECRET"),
        (b"1 WHIRLPOOL", "key 1: a type, but no secret after it: write 1 WHIRLPOOL SECRET"),
        (b"1 MD5 do-not-say-this # mine", "key 1: more than three words"),
        (b"0 MD5 do-not-say-this", f"the key's ID, a number in 1..{LAST_ID}"),
        (b"4294967296 MD5 do-not-say-this", f"the key's ID, a number in 1..{LAST_ID}"),
        (b"-1 do-not-say-this", "the key's ID, a number"),
        (b"+1 do-not-say-this", "the key's ID, a number"),
        (b"1x do-not-say-this", "the key's ID, a number"),
        ("\N{ARABIC-INDIC DIGIT ONE} do-not-say-this".encode(), "the key's ID, a number"),
        (b"\xef\xbb\xbf1 do-not-say-this", "the key's ID, a number"),
        (b"9" * 2000 + b" do-not-say-this", "the key's ID, a number"),
        (b"MD5 do-not-say-this", "the key's ID, a number"),
        (b"do-not-say-this", "the key's ID, a number"),
        (b"5 sha1 do-not-say-this", "key 5: unknown type: did you mean SHA1?"),
        (b"5 SHA-512 do-not-say-this", "key 5: unknown type: did you mean SHA512?"),
        (b"5 AES128CMAC do-not-say-this", "key 5: unknown type: did you mean AES128?"),
        (b"5 do-not-say-this tail", "key 5: unknown type: valid: MD5, SHA1, SHA256, SHA384"),
        (b"5 \xff\xfe do-not-say-this", "key 5: unknown type: valid: MD5"),
        *[
            (b"5 %s do-not-say-this" % kind.encode(), f"key 5: {kind} is not supported: use one of")
            for kind in CHRONY_ONLY_TYPES
        ],
        (b"5 MD5 HEX:", "key 5: the secret is empty"),
        (b"5 MD5 ASCII:", "key 5: the secret is empty"),
        (b"5 ASCII:", "key 5: the secret is empty"),
        (b"5 MD5 HEX:abc", "key 5: HEX: must be followed by pairs of hex digits"),
        (b"5 MD5 HEX:xy", "key 5: HEX: must be followed by pairs of hex digits"),
        (
            b"5 AES128 do-not-say-this",
            "key 5: an AES128 secret has 16 bytes, but this one 15: write",
        ),
        (b"5 AES128 HEX:" + b"00" * 17, "but this one 17: write HEX: and 32 digits"),
        (
            b"5 AES256 HEX:" + b"00" * 16,
            "an AES256 secret has 32 bytes, but this one 16: write",
        ),
        (b"5 MD5 do-not\0say-this", "is this a key file?"),
        (b"5 MD5 " + b"x" * 2042, "not a text line of at most 2047 bytes"),
    ],
    ids=lambda value: value.decode("latin-1")[:30] if isinstance(value, bytes) else None,
)
def test_refused(path: Path, line: bytes, expected: str) -> None:
    text = b"# a comment, and a good key\n77 SHA1 a-good-secret\n" + line + b"\n88 another-secret"
    words = refusal(path, text)
    assert re.match(r"3:\d+: ", words)
    assert expected in words
    assert "say-this" not in words and "a-good-secret" not in words


def test_a_duplicate_id(path: Path) -> None:
    words = refusal(path, b"\n7 the-first-secret\n8 another-secret\n007 SHA1 the-last-secret\n")
    assert words == "4:1: key 7 is on line 2 too: remove one of them"


def test_every_error_with_its_column(path: Path) -> None:
    text = (
        b"1 a-good-secret\n"
        b"x do-not-say-this\n"
        b"  2  SHA-512  do-not-say-this\n"
        b"3 AES128 HEX:00\n"
        b"4 MD5 do-not say-this\n"
        b"\t1 SHA1 do-not-say-this\n"
        b"5 SHA1\n"
        b"6 HEX:0\n"
    )
    with pytest.raises(ConfigErrors) as caught:
        read(path, text)
    found = [line.removeprefix(f"{path}:").split(": ")[0] for line in caught.value.lines()]
    assert found == ["2:1", "3:6", "4:10", "5:14", "6:2", "7:3", "8:3"]
    assert not any("do-not" in line for line in caught.value.lines())


def test_not_more_than_twenty_lines(path: Path) -> None:
    """And not endlessly many of a file that is something else."""
    with pytest.raises(ConfigErrors) as caught:
        read(path, b"lorem\n" * 25)
    assert len(caught.value.lines()) == 21
    assert caught.value.lines()[-1] == f"{path}: and 5 more errors"
    with pytest.raises(ConfigErrors) as caught:
        read(path, b"lorem\n" * 100_000)
    assert caught.value.lines()[-1] == f"{path}: and at least 980 more errors"


@pytest.mark.parametrize("size", [64 << 20, (64 << 20) + 1])
def test_a_file_that_is_no_key_file(path: Path, size: int) -> None:
    path.write_bytes(b"")
    os.truncate(path, size)
    with pytest.raises(ConfigError, match=r"larger than|is this a key file"):
        read_keys(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.keys: no such key file: create it"):
        read_keys(tmp_path / "none.keys")
    with pytest.raises(ConfigError, match="cannot be read: it is a directory"):
        read_keys(tmp_path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660, 0o641])
def test_nobody_else_can_read_it(path: Path, mode: int) -> None:
    assert read(path, b"1 a-long-enough-one", mode).warnings == ()


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o642, 0o666])
def test_everybody_can_read_it(path: Path, mode: int) -> None:
    [warning] = read(path, b"1 a-long-enough-one", mode).warnings
    assert warning == (
        f"{path}: every user on this machine can read or change it: chmod o-rwx {path}"
    )


def test_short_secrets(path: Path) -> None:
    text = b"#\n1 SHA1 ten--bytes\n2 SHA1 nine-byte\n3 HEX:00\n4 AES128 HEX:" + b"00" * 16
    [warning] = read(path, text).warnings
    assert warning.startswith(f"{path}:3: key 2 and 1 more: a secret of fewer than 10 bytes")
    assert "nine-byte" not in warning
    [warning] = read(path, b"3 HEX:00").warnings
    assert warning.startswith(f"{path}:1: key 3: a secret of fewer than 10 bytes")


def test_a_key_does_not_show_its_secret(path: Path) -> None:
    file = read(path, b"1 do-not-say-this")
    assert "do-not-say-this" not in repr(file)
    assert file.keys[0].secret == SECRET


# No blanks or NUL, and no prefix with a meaning.
WORDS = st.binary(min_size=1, max_size=40).map(
    lambda raw: bytes(byte for byte in raw if byte not in b" \t\n\r\x0b\x0c\0") or b"_"
)


@st.composite
def keys(draw: st.DrawFn) -> tuple[Key, bytes]:
    """A key and a line that represents it."""
    kind = draw(st.sampled_from(ALGORITHMS))
    length = {"AES128": 16, "AES256": 32}.get(kind)
    if draw(st.booleans()):
        sizes = {"min_size": length or 1, "max_size": length or 60}
        secret = draw(st.binary(**sizes))
        digits = secret.hex() if draw(st.booleans()) else secret.hex().upper()
        word = b"HEX:" + digits.encode()
    else:
        secret = draw(WORDS) if length is None else draw(WORDS).ljust(length, b"_")[:length]
        prefixed = secret.startswith((b"HEX:", b"ASCII:")) or draw(st.booleans())
        word = (b"ASCII:" if prefixed else b"") + secret
    key = Key(draw(st.integers(1, LAST_ID)), kind, secret)
    blanks = st.text(" \t\r\x0b\x0c", min_size=1, max_size=3).map(str.encode)
    words = [str(key.id).encode(), *([kind.encode()] if kind != "MD5" else []), word]
    assume(not (len(words) == 2 and word.decode("latin-1") in ALGORITHMS + CHRONY_ONLY_TYPES))
    return key, b"".join(draw(blanks) + word for word in words) + draw(blanks)


@given(st.lists(keys(), max_size=8, unique_by=lambda pair: pair[0].id))
def test_what_is_written_is_read(path: Path, pairs: list[tuple[Key, bytes]]) -> None:
    text = b"\n# between them\n\n".join(line for _, line in pairs)
    assert read(path, text).keys == tuple(key for key, _ in pairs)


@given(
    before=st.binary(max_size=12),
    between=st.sampled_from([b" ", b"", b" x ", b" MD5 ", b" SHA1 HEX:", b" HEX:", b"\n"]),
    after=st.binary(max_size=12),
)
def test_no_message_holds_a_secret(path: Path, before: bytes, between: bytes, after: bytes) -> None:
    """Whatever is wrong, and wherever the secret ends up."""
    try:
        file = read(path, before + between + SECRET + after)
    except ConfigError as error:
        assert SECRET.decode() not in str(error)
    else:
        assert SECRET.decode() not in repr(file)


def test_what_openssl_does_not_allow_is_refused(path: Path) -> None:
    """As under FIPS: the default property query matches no algorithm of the default provider."""
    path.write_bytes(b"\n5 MD5 do-not-say-this\n")
    configuration = path.with_name("openssl.cnf")
    configuration.write_text(
        "openssl_conf = init\n[init]\nalg_section = query\n[query]\ndefault_properties = fips=yes\n"
    )
    script = (
        "import sys; from pathlib import Path; from xdpkit.errors import ConfigError\n"
        "from xdpkit.services.ntp.keys import read_keys\n"
        "try: read_keys(Path(sys.argv[1]))\n"
        "except ConfigError as error: print(error)\n"
        "from xdpkit._core._keys import Keys\n"
        "try: Keys([(5, 'AES128', bytes(16), 0)])\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        env=os.environ | {"OPENSSL_CONF": str(configuration)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{path}:2:3: key 5: this system's OpenSSL does not allow MD5; it allows none\n"
        "key 5: libcrypto does not offer its algorithm\n"
    )

"""What is wrong with a line of a master file: what was found, what was expected, the fix.

dnspython's exceptions say it for programmers, and often not at all ("Text input is malformed").
"""

from __future__ import annotations

import errno
import re
from difflib import get_close_matches

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.ttl
from dns.tokenizer import Token

from xdpkit.config.toml_document import quoted
from xdpkit.services.dns.zonefile.limits import TOO_LONG

TTL_MAX = 0x7FFFFFFF

DIRECTIVES = ("$GENERATE", "$INCLUDE", "$ORIGIN", "$TTL")

IPV4 = "is not an IPv4 address: write four numbers from 0 to 255, as in 192.0.2.1"
IPV6 = "is not an IPv6 address: write it as in 2001:db8::1"
NO_CLASS = "zones are of class IN here: remove the class, or write IN"
NO_TTL = "no TTL: write $TTL SECONDS above the first record, or a TTL before the type"
GENERATE = (
    "$GENERATE is incomplete: write $GENERATE START-STOP NAME TYPE DATA, as in 1-9 h$ A 10.0.0.$"
)
QUOTE = 'a quote (") that is not closed on its line: close it, or write \\" for one in a text'
OPEN = "a parenthesis that is never closed: write ) after the record's last line"
CLOSED = "a ) without a ( before it: remove it, or write \\) in a name"

ESCAPE = r"has an invalid escape: write \DDD with three digits up to 255, or \CHARACTER"
# What the tokenizer fails at, which is no token.
DELIMITERS = {
    "quote": QUOTE,
    "(": OPEN,
    ")": CLOSED,
    "\\": "a \\ at the end of the line: remove it, or write \\\\ for one; a record goes on in ( )",
}

# The data of each type as a line has it: RFC 1035 section 3.3, and the RFC of each type.
FORMS = {
    "A": "ADDRESS, as in 192.0.2.1",
    "AAAA": "ADDRESS, as in 2001:db8::1",
    "AFSDB": "SUBTYPE NAME",
    "CAA": 'FLAGS TAG VALUE, as in 0 issue "ca.example.net"',
    "CDNSKEY": "FLAGS PROTOCOL ALGORITHM KEY",
    "CDS": "KEYTAG ALGORITHM DIGESTTYPE DIGEST",
    "CNAME": "NAME",
    "DNAME": "NAME",
    "DNSKEY": "FLAGS PROTOCOL ALGORITHM KEY",
    "DS": "KEYTAG ALGORITHM DIGESTTYPE DIGEST",
    "HINFO": '"CPU" "OS"',
    "HTTPS": "PRIORITY NAME [KEY=VALUE ...], as in 1 . alpn=h2",
    "LOC": "D1 [M1 [S1]] N|S D2 [M2 [S2]] E|W ALTITUDE [SIZE [HP [VP]]]",
    "MX": "PREFERENCE NAME, as in 10 mail",
    "NAPTR": 'ORDER PREFERENCE "FLAGS" "SERVICE" "REGEXP" NAME',
    "NS": "NAME",
    "NSEC": "NAME TYPE ...",
    "NSEC3": "ALGORITHM FLAGS ITERATIONS SALT NEXT TYPE ...",
    "NSEC3PARAM": "ALGORITHM FLAGS ITERATIONS SALT",
    "PTR": "NAME",
    "RP": "MAILBOX NAME",
    "RRSIG": "TYPE ALGORITHM LABELS TTL EXPIRATION INCEPTION KEYTAG SIGNER SIGNATURE",
    "SOA": "PRIMARY MAILBOX SERIAL REFRESH RETRY EXPIRE MINIMUM",
    "SRV": "PRIORITY WEIGHT PORT NAME, as in 0 0 5060 sip",
    "SSHFP": "ALGORITHM TYPE FINGERPRINT",
    "SVCB": "PRIORITY NAME [KEY=VALUE ...]",
    "TLSA": "USAGE SELECTOR TYPE DATA",
    "TXT": 'TEXT ..., in quotes if there are blanks in it, as in "v=spf1 -all"',
    "URI": 'PRIORITY WEIGHT "TARGET"',
}

_NUMBER = re.compile(r"(\d+) is not an? (?:octal )?unsigned (\d+)-bit integer")

# dnspython's words, and what they mean of the token that was read last.
_OF_A_TOKEN = (
    ("label is > 63", "has a label of more than 63 bytes: put a dot into it, or shorten it"),
    ("name is > 255", "is a name of more than 255 bytes: shorten it"),
    ("label is empty", "has an empty label, from two dots in a row or one in front: remove a dot"),
    ("escape code", ESCAPE),
    ("escaped code", ESCAPE),
    ("Text input ended unexpectedly", ESCAPE),
    ("string too long", "is longer than 255 bytes: split it into several texts"),
    ("expecting an integer", "is not a number"),
    ("Non-hexadecimal digit", "is not hexadecimal: write pairs of 0 to 9 and a to f"),
    ("Odd-length string", "has an odd number of hexadecimal digits: write pairs of them"),
    ("base64", "is not base64: copy it again, whole"),
    ("Incorrect padding", "is not whole base64: copy it again, with the = at its end"),
    ("number of data characters", "is not whole base64: copy it again, with the = at its end"),
    ("unknown unit", "is not a time: write seconds, or 1w2d3h4m5s"),
    ("trailing integer", "is not a time: write seconds, or 1w2d3h4m5s"),
    ("Time in DNS SIG", "is not a time: write YYYYMMDDHHMMSS"),
    ("IDNA", "cannot be written as a domain name (IDNA): write its xn-- form"),
)


def explain(error: Exception, tokens: list[Token], bad: Token, missing: bool) -> str:
    """The reason and the fix for an exception in a record, of which ``tokens`` were read.

    ``bad`` is the one that is blamed; ``missing`` is whether a token was not what the reader
    expected, rather than the data as a whole.
    """
    if isinstance(error, RecursionError):
        return "too deeply nested"
    first = str(tokens[0].value).upper()
    if isinstance(error, OSError):
        if tokens[1].is_eol_or_eof():
            return "$INCLUDE without a path: write one"
        # Whole: it is what must be fixed.
        path = " ".join(str(error.filename).split("\n"))
        relative = ": its path begins in the directory of the zones"
        return f"$INCLUDE {path}: {error.strerror}{relative * (error.errno == errno.ENOENT)}"
    words = " ".join(str(error).split())
    # The reader puts its location in front, and the name of other exceptions.
    words = re.sub(r"^.*?:\d+: (?=\S|$)", "", words)
    words = re.sub(r"^caught exception <class '[^']*'>: ", "", words)
    if words in (dns.exception.SyntaxError.__doc__, "None"):
        words = ""
    if words == TOO_LONG:
        return words
    if bad.is_delimiter():
        return DELIMITERS[bad.value]
    if bad.has_escape and not words:
        words = "escape code"
    if first.startswith("$"):
        return _directive(first, tokens, words)
    return _record(tokens, bad, words, missing)


def _directive(name: str, tokens: list[Token], words: str) -> str:
    last = tokens[-1]
    found = "" if last.is_eol_or_eof() else quoted(last.value)
    if name not in DIRECTIVES:
        close = get_close_matches(name, DIRECTIVES, n=1)
        fix = f"did you mean {close[0]}?" if close else f"valid: {', '.join(DIRECTIVES)}"
        return f"unknown directive {name}: {fix}"
    if name == "$GENERATE":
        kind = record_type(tokens[3:])
        if not kind or not found:
            return f"{words}: {GENERATE}" if words else GENERATE
        return f"$GENERATE: {found} does not give the data of {kind} records: {GENERATE}"
    if len(tokens) > 2 and "expected EOL" in words:
        return f"{found} after the end of {name}: remove it, or write ; before a comment"
    if name == "$TTL":
        what = f"$TTL {found} is not a number of seconds" if found else "$TTL without a number"
        return f"{what}: write it as in $TTL 3600, or 1h, at most {TTL_MAX}"
    if found:
        return f"{name}: {_of_a_token(found, words)}"
    return f"{name} without a domain name: write one"


def _record(tokens: list[Token], bad: Token, words: str, missing: bool) -> str:
    last = tokens[-1]
    kind = record_type(tokens[1:])
    if words == "Missing default TTL value":
        return NO_TTL
    if words == "RR class is not zone's class":
        return f"{quoted(last.value)}: {NO_CLASS}"
    if words.startswith("unknown rdatatype"):
        return _unknown_type(last.value)
    if kind is None:
        if last.is_eol_or_eof():
            return "the record ends before its type: write NAME [TTL] TYPE DATA"
        return _of_a_token(quoted(bad.value), words)
    form = f"{kind} {FORMS[kind]}" if kind in FORMS else ""
    if bad.is_eol_or_eof() and missing:
        fix = f"write {form}" if form else "write all of its fields"
        return f"the {kind} record ends too early: {fix}"
    if words.startswith("expected EOL or EOF"):
        fix = "remove it, or write ; before a comment"
        return f"{quoted(bad.value)} after the end of the {kind} record: {fix}"
    if kind in ("A", "AAAA") and not _known(words):
        return f"{quoted(bad.value)} {IPV4 if kind == 'A' else IPV6}"
    text = _of_a_token(quoted(bad.value), words)
    return f"{kind} record: {text}" + (f": write {form}" if form and ": " not in text else "")


def _known(words: str) -> bool:
    return any(known in words for known, _ in _OF_A_TOKEN)


def _of_a_token(found: str, words: str) -> str:
    if number := _NUMBER.search(words):
        return f"{number[1]} is too large: at most {(1 << int(number[2])) - 1}"
    for known, text in _OF_A_TOKEN:
        if known in words:
            return f"{found} {text}"
    return f"{found} is malformed" + (f" ({words})" if words else "")


def _unknown_type(word: str) -> str:
    found = quoted(word)
    if word[:1].isdigit() and not word.isdigit():
        return f"{found} is neither a TTL nor a record type: write a TTL as in 3600 or 1h"
    if word.isdigit():
        return f"the TTL {word} is too large: at most {TTL_MAX} (RFC 2181 section 8)"
    names = [kind.name for kind in dns.rdatatype.RdataType if 0 < kind < 128 or kind > 255]
    close = get_close_matches(word.upper(), names, n=1, cutoff=0.7)
    fix = (
        f"did you mean {close[0]}?"
        if close
        else "write NAME [TTL] TYPE DATA, as in www A 192.0.2.1"
    )
    return f"{found} is not a record type: {fix}"


def record_type(tokens: list[Token]) -> str | None:
    """The type of a record, from its words after the owner; None if it did not get that far."""
    for token in tokens[:4]:
        if not token.is_identifier():
            continue
        try:
            return dns.rdatatype.RdataType.to_text(dns.rdatatype.from_text(token.value))
        except Exception:
            # TTL and class come before it.
            if not _before_type(token.value):
                return None
    return None


def _before_type(word: str) -> bool:
    try:
        dns.ttl.from_text(word)
    except dns.ttl.BadTTL:
        pass
    else:
        return True
    try:
        dns.rdataclass.from_text(word)
    except Exception:
        return False
    return True

"""What only a zone as a whole shows: what cannot be served, and what may not be meant."""

from __future__ import annotations

from collections.abc import Mapping

import dns.rdatatype

from xdpkit.config.toml_document import quoted
from xdpkit.services.dns.geo.alias_graph import check_aliases
from xdpkit.services.dns.geo.json_text import Report
from xdpkit.services.dns.geo.model import Label, draw_weights
from xdpkit.services.dns.geo.names import above
from xdpkit.services.dns.geo.targets import Targeting, split_target
from xdpkit.services.dns.zonefile.records import RDATA_MAX, RECORD_FIXED, TOO_MANY
from xdpkit.services.dns.zonefile.zone import AAAA, CNAME, DS, NS, A


def delegations(labels: Mapping[str, Label], targeting: Targeting) -> frozenset[str]:
    """The names that are delegated: they have NS records, and are no variants of others."""
    return frozenset(
        key
        for key, label in labels.items()
        if key and NS in label.records and not split_target(key, targeting)
    )


def check_labels(
    report: Report, labels: Mapping[str, Label], names: frozenset[str], targeting: Targeting
) -> None:
    """Reports what is wrong, or doubtful, with the labels together."""
    check_aliases(report, labels, targeting)
    cuts = delegations(labels, targeting)
    if "" not in labels or NS not in labels[""].records:
        report.doubt(("data", ""), 'no name servers: write "": {"ns": [NAME, ...]} into "data"')
    for key, label in labels.items():
        _check_key(report, label, targeting)
        _check_types(report, label)
        if key and NS in label.records:
            _check_servers(report, label, key in cuts)
        if cuts:
            _check_below(report, label, cuts)
        for index, alias in enumerate(label.aliases):
            if alias.key not in names:
                # Not refused: GeoDNS goes on to the next level, and so do we.
                at = (*label.place, "alias", *([index] if len(label.aliases) > 1 else []))
                reason = f"alias: no label {quoted(alias.key)}, so it is passed over: add it"
                report.doubt(at, reason)


def _check_key(report: Report, label: Label, targeting: Targeting) -> None:
    key, place = label.key, label.place
    if key == "@":
        reason = 'the label "@" is a name of its own: write "" for the zone\'s'
        report.doubt(place, reason, at_key=True)
    elif key.endswith("]") and not split_target(key, targeting):
        fix = (
            "write [ADDRESS]"
            if Targeting.IP in targeting
            else 'add "ip" to "targeting" for it to be tried'
        )
        report.doubt(place, f"the label {quoted(key)} is no client's: {fix}", at_key=True)


def _check_types(report: Report, label: Label) -> None:
    records = label.records
    if not label.key and DS in records:
        report.wrong((*label.place, "ds"), "ds: it belongs in the zone above: move it there")
    if CNAME in records and (len(records) > 1 or not label.key):
        what = "everything else of the zone's own name" if not label.key else "the other records"
        reason = f"cname: it hides {what}: remove it, or use an alias"
        report.doubt((*label.place, "cname"), reason)
    for rdtype, each in records.items():
        # The largest that can be drawn together.
        sizes = sorted((len(record.rdata) + RECORD_FIXED for record in each), reverse=True)
        if draw_weights(rdtype, [record.weight for record in each]) is not None:
            sizes = sizes[: 1 if rdtype == CNAME else label.max_hosts]
        if sum(sizes) > RDATA_MAX:
            name = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rdtype)).lower()
            report.wrong((*label.place, name), f"{name}: {TOO_MANY}, or lower max_hosts")


def _check_servers(report: Report, label: Label, cut: bool) -> None:
    path = (*label.place, "ns")
    if label.key.startswith("*."):
        # RFC 4592 section 4.2 leaves the meaning of such a delegation undefined.
        report.wrong(path, "ns: a wildcard cannot be delegated: put them at each name")
    elif not cut:
        reason = (
            "ns: the label is also a target of clients, so it is answered and not delegated:"
            ' remove that kind from "targeting" to delegate it'
        )
        report.doubt(path, reason)


def _check_below(report: Report, label: Label, cuts: frozenset[str]) -> None:
    """Below a delegation only addresses of its servers count (RFC 1034 section 4.2.1)."""
    here = label.key in cuts
    name = above(label.key)
    while not here and name and name not in cuts:
        name = above(name)
    if not here and not name:
        return
    allowed = {NS, DS} if here else {A, AAAA}
    if set(label.records) - allowed or label.aliases:
        name = label.key if here else name
        reason = f"hidden by the delegation of {quoted(name)}: remove it, or the ns there"
        report.doubt(label.place, f"the label {quoted(label.key)}: {reason}", at_key=True)

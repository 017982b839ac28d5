"""The ``xdpkit`` command: runs the verb, and turns an exception into one line and an exit status.

Each verb imports what it needs when it is called: bcc, pyroute2 or rich would make ``--help`` and
``status`` slow.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xdpkit.cli.parser import parser
from xdpkit.errors import ConfigError, UsageError, XdpkitError

# A reload compiles every zone: a million names take a minute.
_RELOAD_SECONDS = 900.0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 1 (failed), 2 (usage, configuration)."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in arguments
    try:
        try:
            return _run(arguments)
        finally:
            _flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except (XdpkitError, OSError) as error:
        return _report([error], error, debug)
    except BaseExceptionGroup as group:
        # Services run in task groups, which wrap even a lone error.
        known, unknown = group.split((XdpkitError, OSError))
        if known is None or unknown is not None:
            raise
        return _report(_leaves(known), group, debug)


def _flush() -> None:
    """Flushes standard output while a full disk or closed pipe can still change the status."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes again at exit, and must not fail again on what could not be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _run(arguments: list[str]) -> int:
    try:
        options = parser().parse_args(arguments)
    except SystemExit:
        # --help and --version exit like this; errors are UsageErrors.
        return 0
    return _VERBS[options.verb](options)


def _report(errors: Sequence[BaseException], whole: BaseException, debug: bool) -> int:
    if debug:
        traceback.print_exception(whole)
    for error in errors:
        for line in error.lines() if isinstance(error, XdpkitError) else [_line(error)]:
            print(f"xdpkit: {line}", file=sys.stderr)
    return max(error.exit_code if isinstance(error, XdpkitError) else 1 for error in errors)


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return str(error).replace("\n", " ")


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _print_json(facts: Any) -> int:
    print(json.dumps(facts, indent=2))
    return 0


def _print_lines(lines: Sequence[str]) -> int:
    print(*lines, sep="\n")
    return 0


def _verb_run(options: Namespace) -> int:
    from xdpkit import config

    loaded = config.load(options.config)
    from xdpkit.instance import server as daemon

    return daemon.run(loaded, options.takeover, options.yes, options.wait)


def _verb_check(options: Namespace) -> int:
    from xdpkit import config
    from xdpkit.cli import check

    facts = check.facts(config.load(options.config))
    return _print_json(facts) if options.json else _print_lines(check.lines(facts))


def _verb_doctor(options: Namespace) -> int:
    from xdpkit.doctor import run as doctor

    return doctor.main(options)


def _verb_plan(options: Namespace) -> int:
    from xdpkit import config

    loaded = config.load(options.config)
    from xdpkit.cli import plan as plan_view

    facts = plan_view.plan_facts(loaded)
    return _print_json(facts) if options.json else _print_lines(plan_view.plan_lines(facts))


def _verb_restore(options: Namespace) -> int:
    from xdpkit.cli import plan as plan_view

    facts = plan_view.restore_facts(options.interface)
    if options.json:
        _print_json(facts)
    else:
        _print_lines(plan_view.restore_lines(facts))
    return int(plan_view.has_failed(facts))


def _verb_status(options: Namespace) -> int:
    from xdpkit.control import client as control_client

    document = control_client.request(options.interface, "status")
    if options.json:
        return _print_json(document)
    from xdpkit._core._stats import VERDICTS
    from xdpkit.errors import ControlError
    from xdpkit.status import view as status_view

    if "slow_path" not in document:
        raise ControlError(
            f"{document['interface']}: another version of xdpkit is running, whose status only "
            "--json shows: restart it with this one (run --takeover)"
        )
    status_view.show(document, VERDICTS)
    return 0


def _verb_reload(options: Namespace) -> int:
    from xdpkit.cli import check
    from xdpkit.control import client as control_client

    reply = control_client.request(options.interface, "reload", time_limit=_RELOAD_SECONDS)
    if options.json:
        return _print_json(reply)
    changed = reply.get("zones_changed", True)
    done = "reloaded" if changed else "reloaded; zones unchanged, nothing was compiled"
    return _print_lines([done, *check.zone_lines(reply.get("zones", {}))])


def _verb_query(options: Namespace) -> int:
    from dataclasses import asdict
    from ipaddress import ip_address

    from xdpkit import config

    try:
        client = ip_address(options.client)
    except ValueError as error:
        raise UsageError(f"--client: {error}: write an IPv4 or IPv6 address") from error
    dns = config.load(options.config).dns
    if dns is None:
        raise ConfigError(Path(options.config), "[dns] is missing: query needs its zones")
    from xdpkit.services import access_list
    from xdpkit.services.dns.query import query

    limit = dns.limit(client.version)
    found = query.explain(
        dns.zones,
        options.name,
        options.type,
        options.client,
        limit,
        dns.cache_directory(),
        access_list.access(access_list.rules(dns.allow, dns.deny)),
    )
    return _print_json(asdict(found)) if options.json else _print_lines([str(found)])


def _verb_blast(options: Namespace) -> int:
    from xdpkit.loadgen import run as loadgen

    loadgen.check_numbers(options)
    return loadgen.main(options)


def _verb_bench(options: Namespace) -> int:
    from xdpkit.bench import run as bench

    return bench.main(options)


def _verb_demo(options: Namespace) -> int:
    if options.interface:
        from xdpkit.demo import interface as demo_interface

        wanted = demo_interface.Wanted(
            options.interface, options.queue, options.mode, options.requests, options.debug
        )
        return demo_interface.main(wanted, json=options.json)
    from xdpkit.demo import lab as demo

    return demo.main(json=options.json, debug=options.debug)


_VERBS: dict[str, Callable[[Namespace], int]] = {
    "run": _verb_run,
    "check": _verb_check,
    "plan": _verb_plan,
    "doctor": _verb_doctor,
    "restore": _verb_restore,
    "status": _verb_status,
    "reload": _verb_reload,
    "query": _verb_query,
    "blast": _verb_blast,
    "bench": _verb_bench,
    "demo": _verb_demo,
}

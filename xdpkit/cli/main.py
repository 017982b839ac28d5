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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from xdpkit.cli.parser import parser
from xdpkit.errors import ConfigError, UsageError, XdpkitError
from xdpkit.escape import escape
from xdpkit.runtime import child

# A reload compiles every zone: a million names take a minute.
_RELOAD_SECONDS = 900.0

# Lines about zones that do not load; --json has all.
_FAILING = 100

# Python's RuntimeError for pthread_create(3), whose errno it does not keep.
_NO_THREAD = "can't start new thread"
_THREAD_FIX = (
    "see the limits on processes (ulimit -u, TasksMax= in the unit) and on memory, and whether a "
    "seccomp filter is on (SystemCallFilter=)"
)


def command() -> int:
    """The program: nothing in its environment decides about the code that its children run."""
    child.clean_environment()
    child.keep_modules()
    return main()


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
    except (XdpkitError, OSError, RuntimeError) as error:
        if not _is_known(error):
            raise
        return _report([error], error, debug)
    except BaseExceptionGroup as group:
        # Services run in task groups, which wrap even a lone error.
        known, unknown = group.split(_is_known)
        if known is None or unknown is not None:
            raise
        return _report(_leaves(known), group, debug)


def _is_known(error: BaseException) -> bool:
    """Whether it is a failure of the world around us, not of our code."""
    return isinstance(error, XdpkitError | OSError) or str(error) == _NO_THREAD


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
    """An error that nothing below has put into words: the kernel's answer, and where."""
    if not isinstance(error, OSError) or not error.strerror:
        text = escape(str(error).replace("\n", " "))
        return f"{text}: {_THREAD_FIX}" if text == _NO_THREAD else text
    from xdpkit.runtime.reasons import failed

    text = failed("", error)
    place = "" if error.filename else _place(error)
    return f"{place}: {escape(text)} (--debug shows the call)" if place else escape(text)


def _place(error: BaseException) -> str:
    """The innermost function of ours that an error came through, below this module; or ""."""
    place = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        if module.startswith("xdpkit.") and module != __name__:
            # Cython's names have the module in front.
            place = f"{module}.{frame.f_code.co_name.removeprefix(f'{module}.')}"
    return place


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _print_json(facts: Any) -> int:
    print(json.dumps(facts, indent=2))
    return 0


def _print_lines(lines: Sequence[str]) -> int:
    print(*map(escape, lines), sep="\n")
    return 0


def _verb_run(options: Namespace) -> int:
    from xdpkit import config

    loaded = config.load(options.config)
    from xdpkit.instance.run import run

    return run(loaded, options.takeover, options.yes, options.wait)


def _import(options: Namespace) -> int:
    if options.json:
        raise UsageError("--import prints TOML: leave out --json")
    from xdpkit.services.dns.geo.geodns_conf import import_geodns_conf

    print(import_geodns_conf(Path(options.imported)), end="")
    return 0


def _verb_check(options: Namespace) -> int:
    if options.imported is not None:
        return _import(options)
    from xdpkit import config
    from xdpkit.cli import check

    facts = check.facts(config.load(options.config))
    if options.json:
        return _print_json(facts)
    _print_lines(check.lines(facts))
    _flush()
    for line in check.warning_lines(facts):
        print(escape(line), file=sys.stderr)
    return 0


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


def _current(ifname: str | None) -> str | None:
    """The name of an interface that may have been given by an altname."""
    from xdpkit.nic.os import names

    return ifname and names.current(ifname)


def _verb_status(options: Namespace) -> int:
    from xdpkit.cli.status import status
    from xdpkit.control import client as control_client

    def ask() -> dict[str, Any]:
        return control_client.request(_current(options.interface), "status")

    with _understanding(options.interface):
        return status(options, ask)


@contextmanager
def _understanding(ifname: str | None) -> Iterator[None]:
    """Turns what an instance says and we do not understand into an error.

    It may be another version, or of a user who means harm: its document may have any form.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        from xdpkit.errors import ControlError

        which = f"{ifname}: " if ifname else ""
        raise ControlError(
            f"{which}another version of xdpkit is running, whose status only --json shows: restart "
            "it with this one (run --takeover)"
        ) from error


def _verb_reload(options: Namespace) -> int:
    from xdpkit.cli import check
    from xdpkit.control import client as control_client

    ifname, zone = _reloaded(options.interface, options.zone)
    verb = "reload" if zone is None else "reload-zone"
    reply = control_client.request(_current(ifname), verb, _RELOAD_SECONDS, zone)
    with _understanding(ifname):
        failing: dict[str, list[str]] = reply.get("zones_failed", {})
        status = ConfigError.exit_code if failing else 0
        if options.json:
            _print_json(reply)
            return status
        changed = reply.get("zones_changed", True)
        done = "reloaded" if changed else "reloaded; zones unchanged, nothing was compiled"
        _print_lines([done, *check.zone_lines(reply.get("zones", {}))])
        # What several zones do not load for is said once.
        _print_failing(list(dict.fromkeys(chain.from_iterable(failing.values()))))
        return status


def _reloaded(first: str | None, second: str | None) -> tuple[str | None, str | None]:
    """Interface and zone, from one argument that may be either, or both."""
    from xdpkit.nic.os import names

    if first is None or second is not None:
        return first, second
    try:
        names.index_of(first)
    except (OSError, ValueError):
        return None, first
    return first, None


def _print_failing(lines: Sequence[str]) -> None:
    """What is wrong with zones, all others of which were taken."""
    for line in lines[:_FAILING]:
        print(f"xdpkit: {escape(line)}", file=sys.stderr)
    if len(lines) > _FAILING:
        print(f"xdpkit: and {len(lines) - _FAILING} more errors", file=sys.stderr)


def _verb_query(options: Namespace) -> int:
    from xdpkit.cli import query

    facts, lines, status = query.facts(options)
    if options.json:
        _print_json(facts)
    else:
        _print_lines(lines)
    return status


def _verb_dump(options: Namespace) -> int:
    from xdpkit.capture import run as capture

    options.interface = _current(options.interface)
    return capture.main(options)


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
    "dump": _verb_dump,
    "blast": _verb_blast,
    "bench": _verb_bench,
    "demo": _verb_demo,
}

"""Help of the verbs that examine a NIC or restore its settings: ``plan, doctor, restore``."""

from __future__ import annotations

# Name, summary, description, notes.
PLAN = (
    "plan",
    "show what run would change on the interface, and how to undo it",
    """\
Print every change that run would make to the interface, in order, as a shell command
with the reason, and the commands that undo them. Settings that already have the right
value are marked. Nothing is changed. A shell can run the output.""",
    """\
steering, [interface] steering = "...":
  ntuple  a rule in the NIC for each address and port; other traffic avoids the queues
  rss     everything that the interface receives arrives on the chosen queues
  none    the chosen queues answer the share that they get; the slow path the rest
  auto    ntuple where the driver supports it, else none

needs:
  no root; the interface

with --json:
  interface, driver, steering, notes [...], steps [{setting, value, line, undo, why,
  done}], where done is true if the setting already has the value

exit status:
  0 printed; 1 cannot be done as configured; 2 configuration

example:
  xdpkit plan -c /etc/xdpkit/xdpkit.toml""",
)

RESTORE = (
    "restore",
    "undo what a crashed run left on the interface",
    """\
A run undoes its changes to the interface when it exits. If it was killed, restore undoes
them from the run's journal, last change first. Anything that somebody has changed since
is left as it is, and reported. The next run does the same before it starts.
Without IFACE every interface of this network namespace is restored. One that has come
from another namespace is restored as well, if the run saw it leave, or if it is named.""",
    """\
needs:
  root

files:
  /run/xdpkit/INDEX@NUMBER.journal  changes, written before they are made: the index of
                                    the interface and the network namespace's number

with --json:
  {"eth1": {said, changes [{setting, line, result, why}]}}, where result is undone, left
  or failed

exit status:
  0 nothing is left to undo; 1 something could not be undone, xdpkit still runs, or the
  interface is not the one that was changed

example:
  sudo xdpkit restore eth1""",
)

DOCTOR = (
    "doctor",
    "show what NIC, driver and kernel can do, and what to change",
    """\
Examine the interface, its driver, the kernel and the machine, and report what prevents
serving ("blocking"), what makes it slower or less accurate than it could be ("could be
better") and what is good to know, each with its consequence and the command to run.
Nothing is changed, no module is loaded. Without IFACE: the interface in the
configuration, or all that are served or, else, all that look like physical devices;
of several, only what is blocking is shown in full.""",
    """\
needs:
  no root; what it cannot read without root is listed (unknown). The network namespace
  of the interface: ip netns exec NAME xdpkit doctor

with --json:
  interfaces [{interface, serves, expected (the mode that a start would get),
  findings [{id, severity (blocks, costs, note), what, consequence, command, source}],
  fine [what is as it should be], unknown {name of a fact: reason},
  facts {link, device, xdp, kernel, privileges, host}}]; in facts, null is what driver or
  kernel does not support, {"unknown": reason} what could not be read

exit status:
  0 it can be served (without IFACE: one of them can); 1 it cannot, or does not exist;
  2 configuration

example:
  xdpkit doctor eth1 -c xdpkit.toml
  xdpkit doctor eth1 --json | jq -r '.interfaces[].findings[].command'""",
)

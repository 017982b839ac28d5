"""Help of the verbs that tell of a NIC and put its settings back: ``plan, doctor, restore``."""

from __future__ import annotations

# Name, summary, description, notes.
PLAN = (
    "plan",
    "what run would change on the interface, and how it is undone",
    """\
Print every change that run would make to the interface, in its order, as the line that
a person would type, with the reason, and the lines that undo it. What is so already is
marked. Nothing is changed. The output can be run by a shell.""",
    """\
steering, [interface] steering = "...":
  ntuple  a rule of the NIC for each address and port; other traffic avoids the queues
  rss     everything that the interface receives comes over the chosen queues
  none    the chosen queues answer the share that they get; the slow path the rest
  auto    ntuple where the driver has it, else none

needs:
  no root; the interface

with --json:
  interface, driver, steering, notes [...], steps [{setting, value, line, undo, why,
  done}], where done is true for what is so already

exit status:
  0 printed; 1 cannot be done as configured; 2 configuration

example:
  xdpkit plan -c /etc/xdpkit/xdpkit.toml""",
)

RESTORE = (
    "restore",
    "undo what a run that crashed has left on the interface",
    """\
A run undoes its changes to the interface when it ends. Where it was killed, restore does
that, by the journal that it kept, from the last change to the first. What somebody has
changed since is left as it is, and named. The next run does the same before it starts.
Without IFACE every interface of this network namespace is restored.""",
    """\
needs:
  root

files:
  /run/xdpkit/IFACE@NUMBER.journal  the changes, noted before they are made; NUMBER is
                                    that of the network namespace

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
    "what NIC, driver and kernel can do, and what to change",
    """\
Look at the interface, its driver, the kernel and the machine, and say what stands in the
way of serving ("in the way"), what makes it slower or less exact than it could be ("could
be better") and what is good to know, each with its consequence and the line to type.
Nothing is changed, no module is loaded. Without IFACE: the interface of the configuration,
or what is served, or in short every interface that looks like a device.""",
    """\
needs:
  no root; what it cannot see without, it names (unknown). The network namespace of
  the interface: ip netns exec NAME xdpkit doctor

with --json:
  interfaces [{interface, serves, expected (the mode that a start would get),
  findings [{id, severity (blocks, costs, note), what, consequence, command, source}],
  fine [what is as it should be], unknown {name of a fact: reason},
  facts {link, device, xdp, kernel, privileges, host}}]; in facts, null is what driver or
  kernel do not have, {"unknown": reason} what could not be read

exit status:
  0 it can be served (without IFACE: one of them can); 1 it cannot, or is not there;
  2 configuration

example:
  xdpkit doctor eth1 -c xdpkit.toml
  xdpkit doctor eth1 --json | jq -r '.interfaces[].findings[].command'""",
)

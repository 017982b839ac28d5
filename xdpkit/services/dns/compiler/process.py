"""What the zone compiler's process and the server that starts it agree on."""

from __future__ import annotations

# Nice value relative to answering threads: a third of their share of a CPU (sched(7)), and they
# preempt it as soon as they wake. With a much lower priority, a reload on a machine that is busy
# with other work would never finish.
BACKGROUND_NICE = 5

# The exit status after a zone that needed too much memory.
OUT_OF_MEMORY = 3

#!/bin/sh
# Runs xdpkit with its bundled libraries, and nothing from the caller's working or home directory.
# Set in the environment, because xdpkit starts Python again to compile its eBPF program.
export PYTHONPATH=/usr/lib/xdpkit:/usr/lib/xdpkit/vendor PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1
unset PYTHONHOME
exec /usr/bin/python3 -m xdpkit "$@"

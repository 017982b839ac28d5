#!/bin/sh
# Runs xdpkit with the libraries that came with it, and nothing from the directory or the home of who
# calls. In the environment, since xdpkit starts Python again to compile its eBPF program.
export PYTHONPATH=/usr/lib/xdpkit:/usr/lib/xdpkit/vendor PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1
unset PYTHONHOME
exec /usr/bin/python3 -m xdpkit "$@"

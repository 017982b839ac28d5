#!/bin/bash
# The demo on the VM's eth1: xdpkit serves one queue there, this host sends 4000 requests, and the counts of
# both sides are checked.
#
# usage: vagrant/demo.sh [QUEUE [MODE]]    default: queue 2, mode auto; MODE is auto, copy or generic
# environment: XDPKIT_SSH_CONFIG, for a VM that Vagrant did not start: a file as `vagrant ssh-config` prints it
set -euo pipefail

queue=${1:-2}
mode=${2:-auto}
address=192.168.77.2 # eth1, as in the Vagrantfile
requests=4000
[[ $queue =~ ^[0-9]+$ && $mode =~ ^[a-z]+$ && $# -le 2 ]] || {
    sed -n 's/^# \(usage: .*\)/\1/p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
config=$(mktemp)
trap 'rm -f "$config"' EXIT
if [[ -n ${XDPKIT_SSH_CONFIG:-} ]]; then
    cp "$XDPKIT_SSH_CONFIG" "$config"
else
    vagrant ssh-config >"$config"
fi

in_vm() { ssh -F "$config" default "$@" </dev/null; }

status=0
asker=''
exec {guest}< <(in_vm "sudo xdpkit demo --interface eth1 --queue $queue --mode $mode --requests $requests" 2>&1)
demo=$!
while IFS= read -r -u "$guest" line; do
    printf '%s\n' "$line"
    if [[ $line == "ready: "* ]]; then
        ./ask.py "$address" "$requests" &
        asker=$!
        # A new connection, over eth0, while eth1 is being served.
        in_vm true && echo "ssh: alive" || status=1
    fi
done
wait "$demo" || status=1
[[ -n $asker ]] && wait "$asker" || status=1
((status == 0)) || echo "demo.sh: queue $queue, mode $mode: failed, see above" >&2
exit "$status"

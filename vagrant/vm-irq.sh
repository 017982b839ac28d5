#!/bin/bash
# In the VM, as root: irq_cpus moves the interrupt of eth1's queue 3 to another CPU and back (vm-checks.sh).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

fail() {
    printf 'vm-irq.sh: %s\n' "$*" >&2
    cat "$work/log" >&2
    exit 1
}

irq=$(awk -F: '/-input\.3$/ { gsub(" ", "", $1); print $1 }' /proc/interrupts)
cpus=/proc/irq/$irq/smp_affinity_list
before=$(<"$cpus")
other=$((before == 1 ? 0 : 1))
printf '[interface]\nname = "eth1"\nqueues = [3]\nirq_cpus = [%d]\n[echo]\n' "$other" >"$work/xdpkit.toml"

xdpkit run -c "$work/xdpkit.toml" >"$work/log" 2>&1 &
server=$!
until grep -q 'stop with SIGTERM' "$work/log"; do
    kill -0 "$server" 2>/dev/null || fail "the server has exited"
    sleep 0.5
done
during=$(<"$cpus")
kill "$server"
wait "$server" || fail "the server exited with status $?"
after=$(<"$cpus")
echo "interrupt $irq: CPU $before before, $during while serving, $after after"
[[ $during == "$other" && $after == "$before" ]] || fail "the interrupt did not move to CPU $other and back"

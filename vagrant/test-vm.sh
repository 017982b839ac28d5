#!/bin/bash
# What `vagrant/provision.sh test-vm` runs: a Debian VM from the Vagrantfile, under software emulation,
# provisioned by provision.sh, and the demo on its four-queue NIC.
#
# libvirtd, QEMU, the bridges and the mounts live in namespaces that end with their first process
# (vm-inside.sh), and their programs in a tree below .cache/vm (make-box.sh): the machine's interfaces, routes,
# firewall, services and packages stay as they are, which is checked here before and after.
set -euo pipefail

checkout=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
work=$checkout/.cache/vm
minutes=60 # for everything that runs inside, on a busy machine

fail() {
    printf 'test-vm: %s\n' "$*" >&2
    exit 1
}

# What must not change, without the counters and lifetimes, which do.
machine() {
    ip -brief link
    ip -brief address
    ip route show table all
    ip -6 route show table all | sed 's/ expires [0-9]*sec//'
    ip rule
    grep -s . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding || true
    if command -v iptables-save >/dev/null; then iptables-save 2>&1 | sed '/^#/d; s/\[[0-9:]*\]//' || true; fi
    if command -v nft >/dev/null; then nft --stateless list ruleset 2>&1 || true; fi
    grep " $work" /proc/mounts || true
}

# Processes whose root directory is the tree of tools.
left_running() {
    find /proc/[0-9]*/root -maxdepth 0 -lname "$work/*" -printf '%h\n' 2>/dev/null || true
}

((EUID == 0)) || fail "needs root: run vagrant/provision.sh test-vm"
mkdir -p "$work"
exec 8>"$work/lock"
flock -n 8 || fail "another test-vm is running in this checkout: wait until it has ended"

machine >"$work/machine.before"
echo "test-vm: making the box, its tools and wheels in .cache/vm (logs of the Debian trees: $work/*.log)"
"$checkout/vagrant/make-box.sh" "$checkout" "$work" "$checkout/.venv/bin/pip"
echo "test-vm: made after $SECONDS s"

exec 9</proc/self/ns/net
status=0
timeout --foreground --kill-after=10 "${minutes}m" \
    unshare --net --mount --pid --fork --kill-child=SIGKILL nice -n 10 "$checkout/vagrant/vm-inside.sh" "$checkout" "$work" ||
    status=$?
exec 9<&-

[[ -z $(left_running) ]] || fail "processes are still running: $(left_running)"
rm -rf "$work/run/var/lib/libvirt/images"
machine >"$work/machine.after"
diff -u "$work/machine.before" "$work/machine.after" >&2 || fail "this machine's network has changed, see the diff above"
((status == 0)) || fail "failed with status $status after $SECONDS s, see above; logs are in $work/run"
echo "test-vm: all good after $SECONDS s; this machine's interfaces, routes and firewall are as they were"

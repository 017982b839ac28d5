#!/bin/bash
# The steps of test-vm.sh that use the VM; run in the tree of make-box.sh, next to libvirtd (vm-inside.sh).
#
# usage: vm-checks.sh vagrant|qemu    with the Vagrantfile, or with QEMU by hand where libvirt does not start
set -euo pipefail

how=$1
here=/checkout/vagrant
run=/mnt/run
export XDPKIT_SSH_CONFIG=$run/ssh-config

step() { printf '\n=== %s (at %d s)\n' "$*" "$SECONDS"; }

fail() {
    printf 'test-vm: %s\n' "$*" >&2
    exit 1
}

in_vm() { ssh -F "$XDPKIT_SSH_CONFIG" default "$@" </dev/null; }

# ------------------------------------------------------------------------------------------ up and down

up_by_vagrant() {
    step "vagrant validate, box add"
    vagrant validate
    tar -C /mnt/box -cf "$run/box.tar" metadata.json Vagrantfile box.img
    vagrant box add --no-tty --name "$XDPKIT_BOX" "$run/box.tar" >/dev/null
    rm "$run/box.tar"
    step "vagrant up: boots, runs provision.sh, then the demo on queue 2"
    # Drops what a progress bar has overwritten.
    env -u XDPKIT_SSH_CONFIG vagrant up --no-tty --provider=libvirt 2>&1 | sed -u 's/.*\r//'
    vagrant ssh-config >"$XDPKIT_SSH_CONFIG"
}

down_by_vagrant() {
    vagrant destroy -f
    [[ -z $(virsh list --all --name) ]] || fail "a domain is left: $(virsh list --all --name)"
}

# The VM of the Vagrantfile without Vagrant, at the addresses that libvirt uses.
up_by_qemu() {
    step "QEMU by hand: libvirt does not start here (see libvirtd.log)"
    ip tuntap add dev tap0 mode tap
    ip tuntap add dev tap1 mode tap multi_queue
    ip addr add 192.168.121.1/24 dev tap0
    ip addr add 192.168.77.1/24 dev tap1
    ip link set tap0 up
    ip link set tap1 up
    dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --interface=tap0 --bind-interfaces --leasefile-ro \
        --dhcp-range=192.168.121.2,192.168.121.2,24h 2>"$run/dnsmasq.log" &
    qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 2048 -smp "$XDPKIT_VM_CPUS" -display none -no-reboot -nodefaults \
        -serial "file:$run/console.log" -snapshot -kernel "$XDPKIT_KERNEL" -initrd "$XDPKIT_INITRD" \
        -append "root=/dev/vda rw console=ttyS0 net.ifnames=0" \
        -drive file=/mnt/box/box.img,format=qcow2,if=none,id=disk -device virtio-blk-pci,drive=disk \
        -netdev tap,id=eth0,ifname=tap0,script=no,downscript=no,vhost=off -device virtio-net-pci,netdev=eth0 \
        -netdev tap,id=eth1,ifname=tap1,script=no,downscript=no,vhost=off,queues=4 \
        -device virtio-net-pci,netdev=eth1,mq=on,vectors=10 -device virtio-rng-pci &
    qemu=$!
    install -m 600 /usr/share/rubygems-integration/all/gems/vagrant-*/keys/vagrant "$run/key"
    cat >"$XDPKIT_SSH_CONFIG" <<CONFIG
Host default
  HostName 192.168.121.2
  User vagrant
  IdentityFile $run/key
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ConnectTimeout 10
CONFIG
    local tries=60
    until in_vm true 2>/dev/null; do
        ((tries-- > 0)) || fail "the VM does not answer ssh, see console.log"
        kill -0 "$qemu" || fail "QEMU has exited, see console.log"
        sleep 3
    done
    step "provision.sh"
    in_vm "sudo sh -c 'ip addr add 192.168.77.2/24 dev eth1 && ip link set eth1 up; install -d -o vagrant /vagrant /wheels'"
    rsync -a -e "ssh -F $XDPKIT_SSH_CONFIG" --exclude=.git --exclude=.cache/ --exclude=.venv/ --exclude='*.so' /checkout/ default:/vagrant
    rsync -a -e "ssh -F $XDPKIT_SSH_CONFIG" "$XDPKIT_WHEELS/" default:/wheels
    in_vm APT_PROXY="$APT_PROXY" XDPKIT_WHEELS=/wheels /vagrant/vagrant/provision.sh
    in_vm sudo ethtool -L eth1 combined 4
    step "the demo on queue 2"
    "$here/demo.sh" 2
}

down_by_qemu() {
    kill "$qemu"
    wait "$qemu" || true
}

# ------------------------------------------------------------------------------------------ the checks

nothing_left() {
    local link names
    link=$(in_vm ip -o link show eth1)
    names=$(in_vm cat /proc/net/unix)
    [[ $link == *" state UP "* && $link != *xdp* ]] || fail "the demo left something behind on eth1: $link"
    [[ $names != *@xdpkit/* ]] || fail "the demo left its control socket behind"
}

queues() { in_vm /sbin/ethtool -l eth1 | awk '/^Combined/ { now = $2 } END { print now }'; }

refused() { # refused QUEUE MODE WORDS
    local output
    output=$("$here/demo.sh" "$1" "$2" 2>&1) && fail "queue $1, mode $2 was not refused: $output"
    printf '%s\n' "$output"
    grep -qF "$3" <<<"$output" || fail "the refusal does not say: $3"
    [[ $output != *Traceback* ]] || fail "the refusal is a traceback"
    nothing_left
}

checks() {
    step "the VM: kernel and queues"
    in_vm 'uname -r; /sbin/ethtool -i eth1 | grep driver; /sbin/ethtool -l eth1'
    nothing_left
    step "the demo on queue 3, native"
    "$here/demo.sh" 3 auto
    nothing_left
    step "the demo on queue 1, generic"
    "$here/demo.sh" 1 generic
    nothing_left
    step "the interrupt of queue 3 on another CPU, and back"
    in_vm sudo /vagrant/vagrant/vm-irq.sh
    nothing_left
    step "refused: no such queue"
    refused 9 auto "eth1 has no RX queue 9"
    step "queue 3 while only two are switched on: all are, and two again afterwards"
    in_vm sudo ethtool -L eth1 combined 2
    "$here/demo.sh" 3 auto
    nothing_left
    [[ $(queues) == 2 ]] || fail "the demo left eth1 with $(queues) queues instead of 2"
    step "provision.sh again has nothing to do"
    in_vm APT_PROXY=http://192.0.2.1:1 XDPKIT_WHEELS=/wheels /vagrant/vagrant/provision.sh
}

cd "$here"
"up_by_$how"
checks
step "destroy"
"down_by_$how"
step "done"

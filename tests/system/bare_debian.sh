#!/bin/sh
# The stranger's commands, proven in a bare Debian: bare_debian.sh [SUITE [COMMAND]]
#
# SUITE is bookworm unless given, COMMAND what to try there; without it: demo twice, demo-down twice, what must be gone,
# and the tests. Makes the root with debootstrap, clones this repository's HEAD into it, and works there in mount, process
# and network namespaces of its own, so that nothing of it outlives this script and no other Docker engine is met. Needs
# root, debootstrap, iproute2, iptables and git. Packages come from where this machine gets them: apt's first mirror,
# apt's and pip's settings, the proxies and certificates of the environment.
#
#   BARE_ROOT  a root made by debootstrap before, to be copied instead of making one anew

set -eu
suite=${1:-bookworm}
source=$(cd -- "$(dirname -- "$0")/../.." && pwd)
work=$(mktemp -d /tmp/bare.XXXXXX)
root=$work/root
space=bare$$
net=10.99.$((($$ % 250) + 1))

clean() {
    ip netns delete "$space" 2>/dev/null || true
    iptables -t nat -D POSTROUTING -s "$net.0/30" -j MASQUERADE 2>/dev/null || true
    iptables -D FORWARD -s "$net.0/30" -j ACCEPT 2>/dev/null || true
    iptables -D FORWARD -d "$net.0/30" -j ACCEPT 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

make_root() {
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' | grep -v security | head -n 1)
    if [ -n "${BARE_ROOT:-}" ]; then
        cp -a "$BARE_ROOT" "$root"
    else
        debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
            { tail -n 5 "$work/debootstrap.log" >&2; exit 1; }
    fi
    echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
    rm -rf "$root"/var/lib/apt/lists/*
    for settings in /etc/apt/apt.conf.d /etc/apt/auth.conf.d /usr/local/share/ca-certificates; do
        [ ! -d "$settings" ] || { mkdir -p "$root$settings" && cp -a "$settings/." "$root$settings/"; }
    done
    for settings in /etc/apt/apt.conf /etc/resolv.conf /etc/pip.conf /root/.config/pip/pip.conf /root/.pip/pip.conf; do
        [ ! -f "$settings" ] || { mkdir -p "$root$(dirname "$settings")" && cp -L "$settings" "$root$settings"; }
    done
    git clone -q --no-local "$source" "$root/root/spinney"
}

make_network() {
    ip netns add "$space"
    ip link add "$space" type veth peer name outside netns "$space"
    ip address add "$net.1/30" dev "$space"
    ip link set "$space" up
    ip -n "$space" address add "$net.2/30" dev outside
    ip -n "$space" link set outside up
    ip -n "$space" link set lo up
    ip -n "$space" route add default via "$net.1"
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo 1 >/proc/sys/net/ipv4/ip_forward
    iptables -t nat -A POSTROUTING -s "$net.0/30" -j MASQUERADE
    iptables -I FORWARD -s "$net.0/30" -j ACCEPT
    iptables -I FORWARD -d "$net.0/30" -j ACCEPT
}

# Folders that pip's settings name are the machine's package index: they are shown in the root, read only.
pip_folders() {
    { pip config list 2>/dev/null; env | grep '^PIP_'; } | grep -o "[/][^' ]*" |
        sed 's#^//*#/#' | while read -r path; do
        # A folder above, as an index consists of a folder that refers to others beside it.
        [ ! -d "$path" ] || echo "${path%/simple}"
    done | sort -u
}

cat >"$work/enter" <<'END'
set -eu
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind -o ro "$1" "$root$1"
    shift
done
exec chroot "$root" /usr/bin/env HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c "$2"
END

# shellcheck disable=SC2016 # expands where it is run
try='
set -eu
cd /root/spinney
step() { echo; echo "######## $*"; }
step ./run demo; ./run demo
step ./run demo, again; ./run demo
step ./run demo-down; ./run demo-down
step ./run demo-down, again; ./run demo-down
step what is left
for comm in /proc/[0-9]*/comm; do
    case $(cat "$comm" 2>/dev/null) in
    dockerd | containerd* | spinney | docker-proxy) echo "left behind: $(tr "\0" " " <"${comm%comm}cmdline")"; exit 1 ;;
    esac
done
[ ! -e .state ] || { echo "left behind: .state"; exit 1; }
[ -z "$(ls -d /run/spinney-demo-* 2>/dev/null)" ] || { echo "left behind in /run"; exit 1; }
! iptables-save | grep DOCKER || { echo "left behind in iptables"; exit 1; }
[ -z "$(git status --porcelain 2>/dev/null)" ] || { echo "left behind in the checkout"; exit 1; }
echo nothing
step ./run test; ./run test
'

make_root
make_network
# shellcheck disable=SC2046 # a list of folders
nsenter --net="/run/netns/$space" unshare --mount --pid --fork --kill-child \
    sh "$work/enter" "$root" $(pip_folders) -- "${2:-$try}"

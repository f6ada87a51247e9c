#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The units load without a complaint, and the service keeps to its sandbox.
if ! command -v systemd-analyze >/dev/null; then
        echo "1..0 # SKIP systemd-analyze is not installed"
        exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cp "${top_builddir:?}"/units/*.service "$top_builddir"/units/*.socket "${top_srcdir:?}"/units/*.socket "$work"
cp "${top_srcdir:?}"/units/*.slice "$top_srcdir"/units/*.target "$top_srcdir"/units/*.timer "$work"
# The programs are not installed yet, and an instance gets its ports when it is created.
sed -i 's|^ExecStart=/[^ ]*/scenekeep[^ ]*|ExecStart=/bin/true|' "$work"/*.service
port=5565
for socket in scenekeep scenekeep-data scenekeep-ttl; do
        mkdir "$work/$socket@x.socket.d"
        printf '[Socket]\nListenStream=%d\n' $port >"$work/$socket@x.socket.d/ports.conf"
        port=$((port + 1))
done

n=0
status=0
result()
{
        n=$((n + 1))
        if [ "$1" -eq 0 ]; then
                echo "ok $n - $2"
        else
                printf '%s\n' "$report" | sed 's/^/# /'
                echo "not ok $n - $2"
                status=1
        fi
}

# verify prints complaints, also about lines that it merely ignores, with status 0
verify()
{
        report=$(systemd-analyze verify --man=no "$work/$1" 2>&1 | grep -F scenekeep)
        [ -z "$report" ]
        result $? "$1 loads"
}

report=$(grep -l '@[A-Za-z_]*@' "$work"/*.service "$work"/*.socket)
[ -z "$report" ]
result $? "every path and port is filled in"
for unit in "$work"/*.service "$work"/*.socket "$work"/*.timer "$work"/*.target "$work"/*.slice; do
        name=$(basename "$unit")
        case $name in
        *@.*) verify "${name%@.*}@x.${name##*.}" ;;
        *) verify "$name" ;;
        esac
done
for service in scenekeep scenekeep@x; do
        report=$(systemd-analyze security --no-pager --offline=true --threshold=5 "$work/$service.service" 2>&1)
        result $? "the exposure of $service.service is at most 0.5"
done
echo "1..$n"
exit $status

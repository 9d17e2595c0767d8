#!/bin/sh
# Installs what the tests and the demo need besides Go, on Debian and its
# relatives: a C compiler (race detector), Postgres 14 or later, HAProxy and
# promtool. Quick when everything is there. Services that it installs are not
# started: tests start servers of their own.
set -eu

missing=
need() { missing="$missing $1"; }

command -v make >/dev/null || need make
echo '#include <stdlib.h>' | gcc -E -x c - >/dev/null 2>&1 || need build-essential

found=
for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    major=$(basename "$(dirname "$bin")" | tr -cd 0-9)
    [ -x "$bin/postgres" ] && [ "${major:-0}" -ge 14 ] && found=$bin
done
[ -n "$found" ] || env | grep -q '^PGFED_PG_BIN_' || need postgresql

PATH=$PATH:/usr/sbin
command -v haproxy >/dev/null || need haproxy
command -v localedef >/dev/null && [ -e /usr/share/i18n/locales/ja_JP ] || need locales
command -v promtool >/dev/null || need prometheus

[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || {
    echo "$0: please install what these Debian packages hold, this is no Debian:$missing" >&2
    exit 1
}
root=
[ "$(id -u)" = 0 ] || root=sudo
echo "installing:$missing"

# The packages' own services stay off, now and after the next start of the
# machine. Somebody's own policy is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
    $root chmod +x "$policy"
    trap '$root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
fi

install() {
    # shellcheck disable=SC2086 # a list of packages
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}
if ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || ! install; then
    $root apt-get update -q
    install
fi

if command -v systemctl >/dev/null; then
    for package in $missing; do
        case $package in
        postgresql | haproxy | prometheus) $root systemctl disable "$package" >/dev/null 2>&1 || true ;;
        esac
    done
fi

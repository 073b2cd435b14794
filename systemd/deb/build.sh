#!/bin/sh
# Builds relay-bridge_VERSION_ARCH.deb for this machine's architecture and Debian release.
#
#   build.sh FOLDER PIP...      where to put it, and a command that runs pip 22.3 or newer
#
# The package holds a virtual environment of the distribution's Python, made here and corrected to where it
# will be: only that is what pip tests, and no other package's Python library can break it. Wheels with native
# code belong to one minor version of Python, so the package depends on exactly that one.
set -eu
cd "$(dirname "$0")/../.."

python=/usr/bin/python3
home=/usr/lib/relay-bridge
source=systemd/deb
folder=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/root

command -v dpkg-deb >/dev/null || { echo "dpkg-deb is needed: apt install dpkg" >&2; exit 1; }
[ -x $python ] || { echo "$python is needed: apt install python3" >&2; exit 1; }

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' bridge/version.py)
architecture=$(dpkg --print-architecture)
umask 022
mkdir -p "$stage/DEBIAN" "$folder"

# The environment
$python -m venv --without-pip "$stage$home"
PIP_CONSTRAINT=constraints.txt "$@" --python "$stage$home/bin/python" install \
  --quiet --disable-pip-version-check --no-compile --no-warn-script-location .
find "$stage$home/bin" -type f ! -name relay-bridge -delete
find "$stage$home/lib" -name direct_url.json -delete  # where it was built is nobody's business
sed -i "s|$stage||g" "$stage$home/bin/relay-bridge" "$stage$home/pyvenv.cfg"
# Only dpkg changes these files, so a start needs no look at the sources.
"$stage$home/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash \
  -s "$stage" -p / "$stage$home/lib"

# What belongs elsewhere
mkdir -p "$stage/usr/share/doc/relay-bridge" "$stage/etc/relay-bridge" "$stage/usr/bin"
mv "$stage$home/share/relay-bridge/config" "$stage/usr/share/relay-bridge"
rm -r "$stage$home/share" "$stage$home/include"
ln -s ../lib/relay-bridge/bin/relay-bridge "$stage/usr/bin/relay-bridge"
ln -s /usr/share/relay-bridge/relay-bridge.schema.json "$stage/etc/relay-bridge/relay-bridge.schema.json"
install -m 640 config/bridge.yaml "$stage/etc/relay-bridge/bridge.yaml"
install -D -m 644 -t "$stage/lib/systemd/system" systemd/*.service
install -D -m 644 -t "$stage/usr/lib/sysusers.d" systemd/sysusers.d/relay-bridge.conf
install -D -m 644 -t "$stage/usr/lib/tmpfiles.d" systemd/tmpfiles.d/relay-bridge.conf
install -m 644 docs/*.md CHANGELOG.md "$stage/usr/share/doc/relay-bridge"
install -m 644 LICENSE "$stage/usr/share/doc/relay-bridge/copyright"

# What dpkg reads
minor=$("$stage$home/bin/python" -c 'import sys; print(sys.version_info.minor)')
libc=$(dpkg-query -W -f '${Version}' libc6 | cut -d - -f 1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$architecture/" -e "s/@SIZE@/$(du -sk "$stage" | cut -f 1)/" \
  -e "s/@PYTHON@/3.$minor/" -e "s/@NEXT_PYTHON@/3.$((minor + 1))/" -e "s/@LIBC@/$libc/" $source/control.in > "$stage/DEBIAN/control"
echo /etc/relay-bridge/bridge.yaml > "$stage/DEBIAN/conffiles"
install -m 755 -t "$stage/DEBIAN" $source/postinst $source/prerm $source/postrm
(cd "$stage" && find etc lib usr -type f -exec md5sum {} + > DEBIAN/md5sums)

dpkg-deb --build --root-owner-group "$stage" "$folder"

#!/bin/sh
# Makes sure that programs are there: by the system's package manager where that may be used, otherwise by
# one clear line that says what to install. Each argument is a command, or command:package.
PATH="$PATH:/usr/sbin:/usr/local/sbin"

missing=""
for wanted in "$@"; do
  command -v "${wanted%%:*}" >/dev/null || missing="$missing ${wanted##*:}"
done
[ -z "$missing" ] && exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
  echo "installing$missing with apt-get"
  $as_root apt-get update -qq >/dev/null 2>&1
  # The tests start what they need themselves: a service that a package would start is not wanted.
  # shellcheck disable=SC2086  # several packages
  DEBIAN_FRONTEND=noninteractive $as_root env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1
fi
for wanted in "$@"; do
  command -v "${wanted%%:*}" >/dev/null && continue
  echo "'${wanted%%:*}' is needed: install the package '${wanted##*:}' (apt install ${wanted##*:}) and run this again." >&2
  exit 1
done

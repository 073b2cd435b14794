#!/bin/sh
# Makes sure that Mosquitto is there: by the system's package manager where that may be used,
# otherwise by one clear line that says what to install.
PATH="$PATH:/usr/sbin:/usr/local/sbin"
command -v mosquitto >/dev/null && exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
  echo "installing mosquitto with apt-get"
  $as_root apt-get update -qq >/dev/null 2>&1
  # The tests start brokers of their own: the service that the package would start is not wanted.
  DEBIAN_FRONTEND=noninteractive $as_root env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends mosquitto >/dev/null 2>&1
  command -v mosquitto >/dev/null && exit 0
fi
echo "Mosquitto is needed: install the package 'mosquitto' (apt install mosquitto) and run this again." >&2
exit 1

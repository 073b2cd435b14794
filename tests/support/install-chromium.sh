#!/bin/sh
# Makes sure that Chromium is there, for the tests of the console's page: by the system's package
# manager where that may be used, otherwise by one clear line that says what to install.
command -v chromium >/dev/null && exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
  echo "installing chromium with apt-get"
  $as_root apt-get update -qq >/dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1
  command -v chromium >/dev/null && exit 0
fi
echo "Chromium is needed: install the package 'chromium' (apt install chromium) and run this again." >&2
exit 1

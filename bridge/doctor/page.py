"""`docs/doctor.md`, made of the checks: `python -m bridge.doctor.page > docs/doctor.md`."""

import sys
from typing import Final

from bridge.doctor.finding import Check

HEAD: Final = """\
# Doctor

```sh
relay-bridge doctor
```

looks at everything that a webhook needs on its way, and says for each what is wrong and how to mend it:

```
✓ relay-reached       https://my.webhookrelay.com
✗ broker-acl          mqtt:home at 127.0.0.1:1883: publishing is denied on home/doorbell/ring
    → give the bridge's user `topic write` on it in the broker's ACL (`systemctl reload mosquitto`)
\N{EN DASH} memory-cgroup       relay-bridge.service: no limit is set
```

`\N{EN DASH}` stands before what doesn't apply, or can't be known. The exit status is 0, or 1 where
something is wrong; `--format json` prints the same for machines. The checks run side by side: it takes a
second, or most of a minute where somebody doesn't answer.

Run it as the user of the bridge, or with `sudo` where it is a service, as root can read its credentials.

Nothing is changed. The relay is asked whether it takes the credentials, and not for webhooks, so that none
goes astray. No MQTT subscriber gets anything, nothing is retained, and no HTTP service gets more than `HEAD
/`.

| check | it is well if | if it isn't |
|---|---|---|
"""


def page() -> str:
    """The page, as Markdown."""
    rows = (
        f"| `{check.label}` | {check.meaning} | {check.remedy.replace('{}', 'FILE')} |\n" for check in Check
    )
    return HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())

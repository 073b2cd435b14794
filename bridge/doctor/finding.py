"""What is checked, what that means, and what to do about it. `docs/doctor.md` is made of this."""

from dataclasses import dataclass
from enum import Enum


class Check(Enum):
    """Every check: its name, what it means, and the remedy, in which {} stands for what was looked at."""

    ROUTING_FILE = (
        "routing-file",
        "The routing file has no error.",
        "mend what `relay-bridge check` names",
    )

    RELAY_REACHED = (
        "relay-reached",
        "The relay answers at `relay.url`: its name is known, and a WebSocket can be opened.",
        (
            "look at the network, the name server and a proxy; for a relay of your own also at "
            "`relay.url`, and whether it runs"
        ),
    )
    RELAY_TLS = (
        "relay-tls",
        "The relay's certificate is valid and of an authority that this machine trusts.",
        (
            "set the clock if the certificate is out of date here alone; `apt install ca-certificates`; "
            "for an authority of your own, copy it to /usr/local/share/ca-certificates and run "
            "`update-ca-certificates`"
        ),
    )
    RELAY_CREDENTIALS = (
        "relay-credentials",
        "The relay takes the key and the secret.",
        (
            "compare `relay.key` and `relay.secret` (or `relay.api_key`) with the relay's token, or make "
            "a new one; then `relay-bridge reload`, or restart the service where they are systemd "
            "credentials"
        ),
    )
    RELAY_BUCKETS = (
        "relay-buckets",
        "Every bucket that the routes name exists at the relay, and the token may see it.",
        "correct `bucket` in the routes, make the bucket at the relay, or let the token see it",
    )
    RELAY_CLOCK = (
        "relay-clock",
        (
            "This machine's clock and the relay's `Date` are less than 30 s apart. With a wrong clock, "
            "signed webhooks are refused and messages expire at the wrong time."
        ),
        "`timedatectl set-ntp true`, and let the time service through the firewall (UDP port 123)",
    )
    RELAY_SUBSCRIBERS = (
        "relay-subscribers",
        (
            "Nobody else subscribes to the same buckets. Each subscriber gets every webhook, so two "
            "bridges deliver each twice."
        ),
        "stop the other subscriber, or give it buckets of its own",
    )

    BROKER_REACHED = (
        "broker-reached",
        "The broker answers at its `url`, with TLS where that says so.",
        (
            "start the broker (`systemctl status mosquitto`), and compare the broker's `url` and `ca` "
            "with its `listener`"
        ),
    )
    BROKER_CREDENTIALS = (
        "broker-credentials",
        "The broker takes the user name and the password, or the certificate.",
        (
            "correct `username` and `password` of the broker, or set the password anew: `mosquitto_passwd"
            " /etc/mosquitto/passwords bridge`"
        ),
    )
    BROKER_LIMITS = (
        "broker-limits",
        (
            "The broker takes messages of 1 MB (what is larger than it takes becomes a dead letter), the "
            "QoS and `retain` that routes ask for (messages go without, else)."
        ),
        "raise `max_packet_size` (and `max_qos`, `retain_available`) in the broker's settings",
    )
    BROKER_PERSISTENCE = (
        "broker-persistence",
        (
            "A Mosquitto on this machine keeps sessions and retained messages across a restart. That of "
            "another broker can't be seen from here."
        ),
        "write `persistence true` into /etc/mosquitto/conf.d/webhooks.conf and restart Mosquitto",
    )
    BROKER_ACL = (
        "broker-acl",
        (
            "The broker lets the bridge publish on the topics of the routes. A probe at QoS 2 asks that "
            "and is withdrawn before anybody gets it; a broker that would hand it on at once is not "
            "asked. For `{{ … }}`, the probe has `relay-bridge-doctor`."
        ),
        "give the bridge's user `topic write` on it in the broker's ACL (`systemctl reload mosquitto`)",
    )
    BROKER_SUBSCRIBERS = (
        "broker-subscribers",
        (
            "Somebody subscribed to what the running daemon published: the broker said so of each message"
            " (MQTT 5 reason code 16 where nobody did)."
        ),
        (
            "compare the subscriber's topic with `mqtt` in the routes, letter by letter: `mosquitto_sub "
            "-v -t '#'` shows what is published"
        ),
    )

    HTTP_REACHED = (
        "http-reached",
        "Something answers HTTP at the address of each HTTP target. It is sent `HEAD /`.",
        "start the service, and compare its address and `ca` with the routing file",
    )

    SECRET_FILES = (
        "secret-files",
        "Nobody else can read a file that holds a secret, or change it or the routing file.",
        "`chmod o-rwx,g-w {}`",
    )
    STATE_FOLDER = (
        "state-folder",
        "The journal's folder can be written to.",
        (
            "give it to the user that runs the bridge (`chown`); if the file system has become read-only,"
            " look at `dmesg`: the SD card may be worn out"
        ),
    )
    DISK_SPACE = (
        "disk-space",
        "The journal's disk has room for all that the journal may hold, and 64 MiB more.",
        "make room (`journalctl --vacuum-size=100M`, `apt clean`), or set `journal.max_bytes` lower",
    )
    MEMORY_CGROUP = (
        "memory-cgroup",
        (
            "Where a limit such as `MemoryMax=` is set for the service, the kernel keeps to it. Raspberry"
            " Pi OS turns that off. The bridge's own limits need none."
        ),
        "add `cgroup_enable=memory` to the line in /boot/firmware/cmdline.txt and restart the machine",
    )

    def __init__(self, label: str, meaning: str, remedy: str) -> None:
        self.label = label
        self.meaning = meaning
        self.remedy = remedy


class State(Enum):
    """What a check came to."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"
    """Not applicable, or it can't be known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to. It holds no secret; peers' text in it is as it came."""

    check: Check
    state: State
    subject: str
    """What was looked at: a target, a file, a URL."""
    detail: str = ""

    @property
    def remedy(self) -> str:
        """What to do; "" where nothing is wrong."""
        return self.check.remedy.replace("{}", self.subject) if self.state is State.BAD else ""


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes findings about one subject."""

    subject: str

    def good(self, check: Check, detail: str = "") -> Finding:
        """It is as it should be."""
        return Finding(check, State.GOOD, self.subject, detail)

    def bad(self, check: Check, detail: str) -> Finding:
        """It is not."""
        return Finding(check, State.BAD, self.subject, detail)

    def skipped(self, check: Check, detail: str) -> Finding:
        """It can't be known, or doesn't matter here."""
        return Finding(check, State.SKIPPED, self.subject, detail)

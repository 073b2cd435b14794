"""Deliberate defects, one at a time, each with the tests that must notice it.

A defect is an exact replacement of text, so it fails loudly where its text is not there any more.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement; `before` stands in the file exactly once."""

    file: str
    before: str
    after: str

    def apply(self, root: Path) -> None:
        """Do it. Raises LookupError where the text isn't there once."""
        path = root / self.file
        path.write_text(self.applied(path.read_text()))

    def applied(self, text: str) -> str:
        """The file's text with the defect."""
        if text.count(self.before) != 1:
            raise LookupError(f"{self.file} has {text.count(self.before)} times: {self.before}")
        return text.replace(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Defect:
    """What somebody may get wrong one day."""

    name: str
    row: str
    """Of the fault matrix: what it breaks."""
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    """Below `tests/`: one of them has to fail."""


def _defect(name: str, row: str, file: str, before: str, after: str, *tests: str) -> Defect:
    return Defect(name, row, (Edit(f"bridge/{file}", before, after),), tests)


_COMMIT = "            usage = await self.call(Store.commit, batch) if batch else self.usage\n"
_MACHINE = "chaos/test_machine.py"
_HTTP = "test_targets_http_faults.py"

DEFECTS: Final = (
    _defect(
        "synchronous=NORMAL",
        "P2",
        "journal/database.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
        "chaos/powercut/test_powercut.py::test_a_power_cut_loses_nothing_that_was_confirmed",
    ),
    _defect(
        "acknowledged before the commit",
        "P1",
        "journal/writer.py",
        _COMMIT,
        "            for deliveries, committed in batch.committed:\n"
        "                committed(deliveries)\n"
        "            batch.committed = []\n" + _COMMIT,
        "chaos/test_journal_kills.py::test_a_crash_at_the_worst_moment_loses_nothing_that_was_accepted",
    ),
    _defect(
        "deduplicated by body",
        "R19",
        "delivery/repeats.py",
        'dedupe_digest("identity", "\\0".join(frame))',
        'dedupe_digest("identity", webhook.text)',
        "e2e/test_resend.py::"
        "test_what_is_pending_at_a_kill_is_delivered_once_though_the_relay_sends_it_again",
    ),
    _defect(
        "back-off reset on connect",
        "R20",
        "relay/client.py",
        "        self._connects += 1\n",
        "        self._connects += 1\n        self._backoff = Backoff(random.random)\n",
        "test_relay_client.py::test_accepting_and_closing_does_not_reset_the_back_off",
        "test_relay_client.py::test_a_subscription_that_does_not_last_does_not_reset_it_either",
    ),
    _defect(
        "reason code ignored",
        "M3",
        "targets/mqtt_codes.py",
        "    if code < 0x80:\n",
        "    if code < 0x100:\n",
        "chaos/test_rows.py::test_m3_what_an_acl_refuses_is_held_until_it_is_mended",
    ),
    _defect(
        "whole response read",
        "H9",
        "targets/http.py",
        "while left > 0 and (chunk := await response.content.read(left)):",
        "while chunk := await response.content.readany():",
        f"{_HTTP}::test_an_endless_body_is_cut_after_a_little",
    ),
    _defect(
        "only ValueError caught",
        "R6",
        "relay/frames.py",
        "    except (orjson.JSONEncodeError, RecursionError):\n",
        "    except UnicodeError:\n",
        "chaos/test_rows.py::test_r3_r6_r7_r8_bad_frames_cost_nothing_but_themselves",
    ),
    # Asked for a file, watchdog 7 watches its folder: what that tells of other names has to go, too.
    Defect(
        "file watched instead of its folder",
        "C6",
        (
            Edit(
                "bridge/watch.py",
                "for folder in {place.parent for place in places}:",
                "for folder in places:",
            ),
            Edit("bridge/watch.py", 'frozenset({"created", "deleted", "moved"})', "frozenset[str]()"),
        ),
        ("chaos/test_rows.py::test_c6_every_replacement_of_the_file_is_noticed",),
    ),
    _defect(
        "timers on the wall clock",
        "P9",
        "daemon.py",
        "        self.started = time.monotonic()\n",
        "        self.started = time.monotonic()\n"
        "        setattr(asyncio.get_running_loop(), 'time', time.time)\n",
        f"{_MACHINE}::test_p9_a_clock_that_jumps_changes_nothing",
        f"{_MACHINE}::test_p9_timers_do_not_wait_for_a_clock_that_was_set_back",
    ),
    _defect(
        "dead letter and lane in two transactions",
        "P1",
        "journal/store.py",
        '            crash_at("journal.burying")\n',
        '            self._db.execute("COMMIT")\n'
        '            self._db.execute("BEGIN IMMEDIATE")\n'
        '            crash_at("journal.burying")\n',
        "chaos/test_journal_kills.py::test_a_crash_at_the_worst_moment_loses_nothing_that_was_accepted",
    ),
    Defect(
        "relay told before anybody has it",
        "P1",
        (
            Edit(
                "bridge/daemon.py",
                "        if not self.dispatcher.receipts.owes(webhook.id):\n",
                "        if webhook.id:\n",
            ),
            Edit(
                "bridge/relay/session.py",
                "ACKNOWLEDGE_SECONDS: Final = 0.02\n",
                "ACKNOWLEDGE_SECONDS = 0.0\n",
            ),
        ),
        ("e2e/test_gaps.py::test_what_is_not_accepted_yet_is_not_acknowledged",),
    ),
    _defect(
        "delivered when it is written",
        "M7",
        "targets/mqtt.py",
        "        elif publication.qos:\n",
        "        elif publication.qos > 2:\n",
        "test_targets_mqtt_faults.py::test_a_lost_acknowledgement_means_a_new_connection_and_a_repeat",
        "test_targets_mqtt.py::test_a_frozen_broker_is_found_and_what_was_in_flight_is_sent_again",
    ),
    _defect(
        "deaths not counted",
        "P6",
        "journal/store.py",
        "FATAL = 3\n",
        "FATAL = 1_000\n",
        "chaos/test_kill_cycles.py::test_p6_a_webhook_that_kills_the_process_becomes_a_dead_letter",
    ),
    _defect(
        "reserve not given up",
        "S1",
        "journal/keeper.py",
        "        files.free_ballast(self._path)\n",
        "        return\n",
        "test_journal_writer.py::test_a_journal_opens_on_a_full_disk",
    ),
    _defect(
        "a failing disk tried for ever",
        "S3",
        "journal/keeper.py",
        "                self._repair(error)\n                result = work(self._store, *args, **kwargs)\n",
        "                raise JournalFull(str(error)) from error\n",
        f"{_MACHINE}::test_s2_s3_a_disk_that_fails_is_a_restart_and_loses_nothing",
    ),
    _defect(
        "checksum not looked at",
        "S5",
        "journal/rows.py",
        "    if not intact:\n",
        "    if intact is None:\n",
        "test_journal_rows.py::test_any_flipped_bit_is_found",
    ),
    _defect(
        "a refused webhook follows a redirect",
        "H3",
        "targets/http.py",
        "allow_redirects=False",
        "allow_redirects=True",
        f"{_HTTP}::test_a_redirect_is_not_followed",
    ),
    _defect(
        "answers unpacked",
        "H10",
        "targets/http.py",
        "auto_decompress=False",
        "auto_decompress=True",
        f"{_HTTP}::test_a_compressed_answer_is_not_unpacked",
    ),
    _defect(
        "order given up",
        "X3",
        "targets/http.py",
        "    lane_window = 1\n",
        "    lane_window = 10\n",
        "chaos/test_kill_cycles.py",
        "chaos/test_scenarios.py::test_nothing_is_lost",
    ),
)

"""The fault matrix: every fault that the bridge promises to survive, and the tests that show it.

`python -m tests.chaos.matrix` prints the table of docs/guarantee.md.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault."""

    fault: str
    answer: str
    """What the bridge does, in plain words."""
    tests: tuple[str, ...]
    """Each is named `file::function`, below `tests/`."""


SCENARIOS: Final = "chaos/test_scenarios.py::test_nothing_is_lost"

MATRIX: Final[dict[str, Row]] = {
    # Process and power
    "P1": Row(
        "kill -9 at each step",
        "It starts again and delivers what it owed. At most what was in flight comes twice.",
        (
            "chaos/test_journal_kills.py::test_kill_9_loses_nothing_that_was_accepted",
            "chaos/test_journal_kills.py::test_a_crash_at_the_worst_moment_loses_nothing_that_was_accepted",
            "chaos/test_kill_cycles.py::test_p1_the_daemon_dies_at_a_step",
            "chaos/test_kill_cycles.py::test_p1_the_daemon_dies_again_and_again",
            SCENARIOS,
        ),
    ),
    "P2": Row(
        "power cut",
        "What was confirmed as stored is there after the cut, whichever of the later writes are "
        "gone or torn.",
        ("chaos/powercut/test_powercut.py::test_a_power_cut_loses_nothing_that_was_confirmed",),
    ),
    "P3": Row(
        "SIGTERM while draining, twice, with a hung target or hung DNS",
        "It takes nothing new, lets what is in flight finish for 8 s at most, stores the rest and "
        "exits with 0. A second signal ends it now.",
        (
            "e2e/test_daemon.py::test_a_stop_waits_for_nobody_that_hangs_and_loses_nothing",
            "e2e/test_daemon.py::test_a_stop_does_not_wait_for_name_servers_that_hang",
            "chaos/test_rows.py::test_p3_a_second_signal_ends_it_now",
            SCENARIOS,
        ),
    ),
    "P4": Row(
        "two instances",
        "The second one exits with 75 and says why; the first is not disturbed.",
        ("e2e/test_daemon.py::test_a_second_instance_is_75_and_leaves_the_first_alone",),
    ),
    "P5": Row(
        "event loop stuck",
        "systemd's watchdog is not fed any more and ends it; the log says where it was stuck.",
        ("chaos/test_machine.py::test_p5_an_event_loop_that_is_stuck_is_not_fed",),
    ),
    "P6": Row(
        "a webhook that kills the process",
        "Deaths are counted against what was in flight. After the third, that delivery is a dead "
        "letter with the code `crash`; what was next to it is delivered.",
        (
            "chaos/test_kill_cycles.py::test_p6_a_webhook_that_kills_the_process_becomes_a_dead_letter",
            "e2e/test_daemon.py::test_a_webhook_that_kills_the_process_ends_as_a_dead_letter",
        ),
    ),
    "P7": Row(
        "memory short",
        "Queues are bounded: an outage takes disk, not memory. If the process ends or hangs for "
        "want of memory, nothing that was stored is lost; the watchdog ends one that hangs.",
        (
            "chaos/test_machine.py::test_p7_an_outage_takes_disk_and_not_memory",
            "chaos/test_machine.py::test_p7_what_ends_for_want_of_memory_loses_nothing",
        ),
    ),
    "P8": Row(
        "descriptors used up",
        "What is connected goes on; it comes back by itself when there are descriptors again.",
        ("chaos/test_machine.py::test_p8_without_descriptors_it_waits_for_some",),
    ),
    "P9": Row(
        "the wall clock jumps",
        "Nothing expires and no timer waits because of the jump: timers run on the monotonic clock.",
        (
            "chaos/test_machine.py::test_p9_a_clock_that_jumps_changes_nothing",
            "chaos/test_machine.py::test_p9_timers_do_not_wait_for_a_clock_that_was_set_back",
            "test_journal_clock.py::test_in_the_same_session_a_jump_of_the_wall_clock_changes_nothing",
            "test_journal_clock.py::test_a_clock_behind_the_high_water_mark_leaves_what_was_left",
            "test_journal_clock.py::test_a_clock_that_was_set_after_the_row_was_stored_does_not_age_it",
        ),
    ),
    # Relay
    "R1": Row(
        "close, RST, 1001, 1011, 1012",
        "It connects again after a random pause that grows to a minute, and starts over with "
        "short pauses only after a minute of being subscribed.",
        (
            "test_relay_client.py::test_it_comes_back_after_a_close",
            "test_relay_client.py::test_it_comes_back_after_a_reset",
            "test_relay_backoff.py::test_the_ceiling_doubles_up_to_a_minute",
            SCENARIOS,
        ),
    ),
    "R2": Row(
        "half-open TCP",
        "It is found within 45 s by unanswered pings, or after 150 s without a message where "
        "pings are answered; then it connects again.",
        (
            "test_relay_client.py::test_a_peer_that_stopped_answering_is_found_by_its_pings",
            "test_relay_client.py::test_silence_is_a_failure_even_where_pings_are_answered",
            "chaos/test_times.py::test_r2_a_relay_that_fell_silent_is_found",
            SCENARIOS,
        ),
    ),
    "R3": Row(
        "garbage, binary, unknown type",
        "The message is counted and set aside; the connection stays.",
        (
            "test_relay_client.py::test_frames_that_are_no_messages_are_counted_and_the_connection_kept",
            "chaos/test_rows.py::test_r3_r6_r7_r8_bad_frames_cost_nothing_but_themselves",
            "chaos/test_fuzz.py::test_frames",
            SCENARIOS,
        ),
    ),
    "R4": Row(
        "not UTF-8",
        "It connects again; where that repeats, it waits up to a minute and the status raises an alarm.",
        ("test_relay_client.py::test_a_malformed_message_that_comes_every_time_raises_the_alarm",),
    ),
    "R5": Row(
        "oversize",
        "As R4. What exceeds the limit is not read any further.",
        (
            "test_relay_client.py::test_a_malformed_message_that_comes_every_time_raises_the_alarm",
            "test_relay_session.py::test_a_message_over_the_limit_ends_it",
        ),
    ),
    "R6": Row(
        "nesting bomb",
        "The message is set aside.",
        ("chaos/test_rows.py::test_r3_r6_r7_r8_bad_frames_cost_nothing_but_themselves",),
    ),
    "R7": Row(
        "duplicate keys",
        "The message is set aside: which of the two was meant, nobody knows.",
        (
            "test_relay_frames.py::test_a_key_said_twice_is_always_found",
            "chaos/test_rows.py::test_r3_r6_r7_r8_bad_frames_cost_nothing_but_themselves",
        ),
    ),
    "R8": Row(
        "NaN, 1e400, long integers, surrogates, NUL",
        "The message is set aside, or taken exactly as it was written where it is valid.",
        (
            "test_relay_frames.py::test_a_lone_surrogate_in_the_text_is_refused",
            "chaos/test_rows.py::test_r3_r6_r7_r8_bad_frames_cost_nothing_but_themselves",
        ),
    ),
    "R9": Row(
        "memory bomb",
        "A message has a limit, also inflated; a body is parsed only where a route looks into it.",
        (
            "chaos/test_rows.py::test_r9_a_body_that_no_route_looks_into_is_not_parsed",
            "test_relay_session.py::test_a_message_that_inflates_over_the_limit_ends_it",
        ),
    ),
    "R11": Row(
        "flood",
        "It disconnects cleanly while the journal can't follow, and comes back. The relay's "
        "connection is never left unread.",
        (
            "test_delivery_dispatcher.py::test_the_intake_is_held_while_the_journal_cannot_follow",
            "test_relay_client.py::test_hold_disconnects_cleanly_and_loses_nothing_on_the_way",
            "chaos/test_rows.py::test_r11_a_flood_with_everything_down",
        ),
    ),
    "R12": Row(
        "slow drip",
        "Handshakes and messages have time limits; what is merely slow is taken.",
        (
            "test_relay_client.py::test_a_handshake_without_an_answer_is_given_up",
            SCENARIOS,
        ),
    ),
    "R13": Row(
        "empty fragments",
        "The number of pieces of a message is limited; beyond it the connection ends.",
        ("test_relay_session.py::test_a_message_in_endless_pieces_ends_it",),
    ),
    "R14": Row(
        "unauthorized",
        "It stays up, delivers what it has, tries again every 30 s to 15 min, and at once with "
        "new credentials. The secret is never logged.",
        (
            "test_relay_client.py::test_credentials_may_be_refused_later",
            "test_relay_link.py::test_mended_credentials_are_used_at_once",
            "test_relay_client.py::test_the_secret_is_nowhere_but_in_its_frame",
            SCENARIOS,
        ),
    ),
    "R15": Row(
        "429 and 503 with Retry-After",
        "It waits for as long as the relay asks.",
        (
            "test_relay_transport.py::test_what_the_relay_asks_for_is_passed_on",
            SCENARIOS,
        ),
    ),
    "R16": Row(
        "redirect",
        "Refused, since another host would get the credentials.",
        ("test_relay_transport.py::test_a_redirect_to_another_origin_is_refused",),
    ),
    "R17": Row(
        "TLS",
        "It never skips the verification; it tries again.",
        ("test_relay_transport.py::test_certificates_are_verified",),
    ),
    "R18": Row(
        "DNS fails or hangs",
        "A lookup has a time limit and a thread of its own; a hanging one is not repeated.",
        ("test_relay_resolver.py::test_a_lookup_that_hangs_is_not_repeated_before_it_ends",),
    ),
    "R19": Row(
        "resend",
        "What is known by (bucket, input, output, ID) is not delivered again. Two webhooks with "
        "equal bodies are two.",
        (
            "e2e/test_resend.py::test_what_was_delivered_long_before_a_kill_is_not_delivered_again",
            SCENARIOS,
        ),
    ),
    "R20": Row(
        "accepted, never subscribed, closed",
        "A failure like any other: the pauses grow.",
        (
            "test_relay_client.py::test_a_relay_that_never_confirms_is_a_failure",
            "test_relay_client.py::test_accepting_and_closing_does_not_reset_the_back_off",
            SCENARIOS,
        ),
    ),
    # MQTT
    "M1": Row(
        "down, restart, refuses",
        "Everything is held and stored; no attempts are spent. It tries again with pauses of up to a minute.",
        (
            "test_targets_mqtt.py::test_a_restart_loses_nothing_and_keeps_the_order",
            "chaos/test_times.py::test_m1_a_broker_that_is_back_is_found_soon",
            SCENARIOS,
        ),
    ),
    "M2": Row(
        "broker frozen",
        "The keepalive finds it; what was in flight is sent again on the next connection.",
        (
            "test_targets_mqtt.py::test_a_frozen_broker_is_found_and_what_was_in_flight_is_sent_again",
            SCENARIOS,
        ),
    ),
    "M3": Row(
        "ACL refuses",
        "The broker's reason code is read: the delivery is held, tried slowly, and a dead letter "
        "when it expires.",
        (
            "test_targets_mqtt.py::test_a_topic_that_the_broker_denies_is_refused",
            "chaos/test_rows.py::test_m3_what_an_acl_refuses_is_held_until_it_is_mended",
        ),
    ),
    "M4": Row(
        "too big",
        "What the broker said is too large for it is never sent: a dead letter at once, and "
        "nothing behind it waits.",
        (
            "test_targets_mqtt.py::test_what_the_broker_would_not_take_is_not_sent",
            "chaos/test_rows.py::test_m4_what_is_too_big_is_a_dead_letter_and_holds_up_nothing",
        ),
    ),
    "M5": Row(
        "quota, busy",
        "It sends less at once, and later; it never has more in flight than the broker allows.",
        (
            "test_targets_mqtt_faults.py::test_a_busy_broker_gets_less_at_once",
            "test_targets_mqtt_faults.py::test_receive_maximum_is_respected",
        ),
    ),
    "M6": Row(
        "session taken over",
        "It waits for 30 s at least and raises an alarm: two clients don't throw each other out for ever.",
        ("test_targets_mqtt_faults.py::test_a_session_taken_over_waits_and_alarms",),
    ),
    "M7": Row(
        "PUBACK slow or lost",
        "It connects again and sends again.",
        (
            "test_targets_mqtt_faults.py::test_a_lost_acknowledgement_means_a_new_connection_and_a_repeat",
            SCENARIOS,
        ),
    ),
    "M8": Row(
        "no subscriber",
        "That is delivered, and counted so that the status shows it.",
        ("test_targets_mqtt.py::test_nobody_listening_is_delivered_and_counted",),
    ),
    "M9": Row(
        "rendered topic invalid",
        "Nothing is sent: a dead letter with the reason. A value from a webhook can't add a level.",
        (
            "test_targets_mqtt.py::test_an_invalid_topic_is_never_sent",
            "test_routing_confine.py::test_a_topic_keeps_its_levels_and_has_no_wildcard_or_control_character",
        ),
    ),
    "M10": Row(
        "CONNACK refuses",
        "It tries again slowly; the status says why.",
        ("test_targets_mqtt_faults.py::test_a_refused_connection_is_tried_again_slowly",),
    ),
    # HTTP targets
    "H1": Row(
        "slow, hanging, endless 1xx",
        "A connection has 5 s, an answer the target's `timeout`; then it is tried again.",
        (
            "test_targets_http_faults.py::test_a_hanging_service_is_given_up_and_spends_an_attempt",
            "test_targets_http_faults.py::test_endless_interim_answers_end_with_the_timeout",
            SCENARIOS,
        ),
    ),
    "H3": Row(
        "3xx",
        "A failure; it is not followed.",
        ("test_targets_http_faults.py::test_a_redirect_is_not_followed",),
    ),
    "H4": Row(
        "400, 413, 415, 422",
        "The service won't ever take it: a dead letter.",
        (
            "test_targets_http_faults.py::test_a_status_has_its_consequence",
            SCENARIOS,
        ),
    ),
    "H5": Row(
        "401, 403, 404",
        "Tried slowly, with an alarm, since somebody can mend that; a dead letter when it expires.",
        ("test_targets_http_faults.py::test_a_status_has_its_consequence",),
    ),
    "H6": Row(
        "408, 425, 429, 5xx",
        "Tried again; `Retry-After` is obeyed within 1 s to 24 h.",
        (
            "test_targets_http_status.py::test_retry_after_is_honoured_where_waiting_helps",
            SCENARIOS,
        ),
    ),
    "H7": Row(
        "410",
        "The target pauses with its queue kept, until an operator resumes it.",
        ("test_targets_http_faults.py::test_gone_pauses_the_target_until_it_is_resumed",),
    ),
    "H8": Row(
        "reset after the 2xx status line",
        "Success: the status was said.",
        (
            "test_targets_http_faults.py::test_an_end_after_the_status_changes_nothing",
            SCENARIOS,
        ),
    ),
    "H9": Row(
        "endless body",
        "It reads a little of it and closes.",
        (
            "test_targets_http_faults.py::test_an_endless_body_is_cut_after_a_little",
            SCENARIOS,
        ),
    ),
    "H10": Row(
        "gzip bomb",
        "It is not unpacked.",
        ("test_targets_http_faults.py::test_a_compressed_answer_is_not_unpacked",),
    ),
    "H11": Row(
        "huge headers, CL+TE, garbage",
        "The connection ends, and it is tried again.",
        (
            "test_targets_http_faults.py::test_endless_headers_are_cut",
            "test_targets_http_faults.py::test_an_answer_that_is_not_http_is_tried_again",
            SCENARIOS,
        ),
    ),
    "H12": Row(
        "stale keep-alive",
        "The delivery is tried again by the bridge, counted; the library repeats nothing by itself.",
        ("test_targets_http_faults.py::test_a_post_that_meets_a_dying_connection_is_sent_once",),
    ),
    "H13": Row(
        "hop-by-hop headers, CR and LF",
        "Headers of the connection are dropped; a value with a line break is refused.",
        (
            "test_routing_headers.py::test_no_webhook_adds_a_line_or_frames_the_message",
            "test_targets_http.py::test_a_control_character_in_a_header_is_never_written",
        ),
    ),
    # Journal
    "S1": Row(
        "disk full",
        "It disconnects from the relay. A reserve of 512 KiB is freed, so that deliveries go on "
        "and are marked as done. It comes back by itself when there is room.",
        (
            "chaos/test_machine.py::test_s1_a_full_disk_stops_the_intake_and_not_the_delivery",
            "test_journal_writer.py::test_a_full_disk_takes_removals_and_recovers",
            "test_journal_writer.py::test_a_journal_opens_on_a_full_disk",
            "test_delivery_dispatcher.py::test_the_intake_is_held_while_the_journal_cannot_follow",
        ),
    ),
    "S2": Row(
        "read-only file system",
        "What can't be stored is not accepted; the journal is opened again, and where that fails, "
        "too, the process ends for a restart.",
        (
            "chaos/test_machine.py::test_s2_s3_a_disk_that_fails_is_a_restart_and_loses_nothing",
            "test_journal_keeper.py::test_a_failure_is_repaired_once_and_not_hidden_when_it_stays",
        ),
    ),
    "S3": Row(
        "EIO on fsync",
        "As S2; a single failure is repaired at once.",
        (
            "chaos/test_machine.py::test_s2_s3_a_disk_that_fails_is_a_restart_and_loses_nothing",
            "chaos/test_machine.py::test_s3_one_failure_of_the_disk_is_repaired_at_once",
            "test_journal_writer.py::test_a_disk_that_keeps_failing_ends_the_journal_and_loses_nothing",
        ),
    ),
    "S4": Row(
        "corrupt database",
        "The file is set aside as `*.corrupt-<time>`, its good rows are saved, and it starts.",
        (
            "test_journal_keeper.py::test_a_file_of_garbage_is_set_aside",
            "test_journal_salvage.py::test_damage_anywhere_never_stops_the_start_and_invents_nothing",
        ),
    ),
    "S5": Row(
        "flipped bits",
        "Each row has a checksum that is verified before it is sent; a damaged row is set aside and counted.",
        (
            "test_journal_rows.py::test_any_flipped_bit_is_found",
            "test_journal_store.py::test_a_flipped_bit_costs_that_delivery_only",
        ),
    ),
    "S6": Row(
        "over the cap",
        "Old deduplication keys go first, dead letters keep to a fifth, then `when_full` decides: "
        "wait, or drop and count.",
        (
            "test_journal_store.py::test_over_its_limit_old_keys_go_first",
            "test_journal_store.py::test_dead_letters_keep_to_their_share",
            "test_delivery_full.py::test_the_oldest_give_way_and_the_rest_arrives_in_order",
            "test_delivery_full.py::test_the_newest_give_way_and_the_first_arrive_in_order",
            "test_delivery_full.py::test_the_relay_is_held_where_nothing_may_give_way",
        ),
    ),
    "S7": Row(
        "file deleted while running",
        "The file is written anew from what is still open.",
        ("test_journal_keeper.py::test_a_deleted_file_is_written_anew",),
    ),
    "S8": Row(
        "older or newer schema",
        "An older one is brought up to date in one transaction; a newer one is refused and left as it is.",
        (
            "test_journal_schema.py::test_an_older_journal_gets_the_steps_it_lacks",
            "test_journal_schema.py::test_a_newer_journal_is_refused",
        ),
    ),
    # Configuration
    "C1": Row(
        "torn file",
        "A file is read until two reads are equal, and checked as a whole; half a file changes nothing.",
        (
            "test_config_files.py::test_a_file_is_read_until_it_rests",
            "e2e/test_reload_under_load.py::test_two_hundred_edits_lose_nothing_and_mix_nothing",
        ),
    ),
    "C2": Row(
        "deleted, unreadable",
        "The last good one stays in use, and the status says so.",
        (
            "test_reload.py::test_a_file_that_is_gone_is_rejected",
            "e2e/test_daemon.py::test_reloads_by_hand_by_signal_and_by_the_files_change",
        ),
    ),
    "C3": Row(
        "huge file",
        "Refused above 256 KiB.",
        ("test_config_files.py::test_a_large_file",),
    ),
    "C4": Row(
        "alias bomb, recursive alias",
        "Refused, and not expanded.",
        (
            "test_config_nodes.py::test_an_alias_bomb_is_refused_and_not_expanded",
            "test_config_nodes.py::test_depth_is_limited",
        ),
    ),
    "C5": Row(
        "duplicate keys, no, 12:30, 0123",
        "A key said twice is an error; scalars mean what YAML 1.2 says.",
        (
            "test_config_nodes.py::test_scalars_mean_what_yaml_1_2_says",
            "test_config_nodes.py::test_what_is_refused",
        ),
    ),
    "C6": Row(
        "vim, mv, sed -i, symlink swap",
        "The folder is watched, so every way of replacing a file is noticed; without inotify it is polled.",
        (
            "test_watch.py::test_a_change_is_noticed",
            "chaos/test_rows.py::test_c6_every_replacement_of_the_file_is_noticed",
            "test_watch.py::test_kubernetes_swaps_a_link_to_a_folder",
            "test_watch.py::test_without_inotify_the_poll_serves_and_one_line_says_so",
        ),
    ),
    "C7": Row(
        "rapid edits",
        "One change.",
        ("test_watch.py::test_a_burst_is_one_change",),
    ),
    "C8": Row(
        "a template that fails",
        "Refused when the file is loaded where that can be known; else only that delivery is a dead letter.",
        ("test_intake.py::test_a_template_that_fails_is_a_dead_letter_and_costs_only_its_delivery",),
    ),
    # Isolation
    "X1": Row(
        "a dead target delays no other",
        "Others are delayed by 100 ms at most (99 of 100 webhooks).",
        (
            "chaos/test_times.py::test_x1_a_dead_target_delays_no_other",
            "test_targets_http.py::test_a_dead_target_delays_no_other",
        ),
    ),
    "X2": Row(
        "a poison key blocks no other key",
        "Other keys are delivered.",
        (
            "test_delivery_dispatcher.py::test_one_key_that_fails_holds_back_no_other",
            "test_delivery_dispatcher.py::test_poisoned_keys_that_fill_the_memory_hold_back_no_other",
        ),
    ),
    "X3": Row(
        "a fan-out half done at a crash",
        "Only the other half is sent again.",
        ("chaos/test_kill_cycles.py::test_x3_of_a_fan_out_half_done_only_the_other_half_is_sent_again",),
    ),
}
"""By row."""


def table() -> str:
    """The matrix as Markdown: the row, its fault, the bridge's answer, and the tests by file."""
    lines = ["| Row | Fault | What the bridge does | Shown by |", "|---|---|---|---|"]
    for name, row in MATRIX.items():
        tests = "<br>".join(f"`{test}`" for test in row.tests)
        lines.append(f"| {name} | {row.fault} | {row.answer} | {tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201  # a command's output

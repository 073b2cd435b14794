"""What subscribers are told of a webhook: short, harmless, and without secrets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.home import digest
from bridge.home.digest import LONGEST, alert, clean, dead, event, event_type, packed
from bridge.passages import BYTES, Passage, Passages
from bridge.routing.table import Routed
from bridge.silence import Alarm
from tests.support.deliveries import webhook


def passage(body: bytes = b"{}", **fields: Any) -> Passage:
    passages = Passages()
    passages.taken(webhook(body, **fields), Routed((), ("route",)))
    (one,) = passages
    return one


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "webhook"),
        ({"x-github-event": ("push",)}, "push"),
        ({"x-gitlab-event": ("Push Hook",)}, "Push Hook"),
        ({"ce-type": ("com.example.made",)}, "com.example.made"),
        ({"x-github-event": ("",), "x-gitea-event": ("issues",)}, "issues"),
        ({"x-github-event": ("pu\x1b[31msh\n",)}, "pu [31msh"),
        ({"authorization": ("Bearer s3cret",)}, "webhook"),
    ],
)
def test_the_type_is_the_providers_word(headers: dict[str, tuple[str, ...]], expected: str) -> None:
    assert event_type(passage(headers=headers)) == expected


def test_a_webhook_too_large_to_be_kept_is_a_webhook_all_the_same() -> None:
    large = passage(b"x" * (BYTES + 1), headers={"x-github-event": ("push",)})
    assert event(large, "route")["event_type"] == "webhook"


def test_an_event_says_what_came_and_nothing_secret() -> None:
    said = event(
        passage(
            b'{"password": "s3cret"}',
            headers={"authorization": ("s3cret",)},
            destination="/hooks/s3cret",
            query_string="token=s3cret",
        ),
        "route",
    )
    assert "s3cret" not in json.dumps(said)
    assert said == {
        "event_type": "webhook",
        "id": "log-1",
        "time": "2023-11-14T22:13:20Z",
        "route": "route",
        "bucket": "doorbell",
        "input": "Default public endpoint",
        "method": "POST",
        "late": False,
    }


@given(st.text())
def test_strangers_text_is_bounded_and_steers_nothing(text: str) -> None:
    shown = clean(text)
    assert len(shown) <= LONGEST
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in shown)
    assert json.loads(packed({"text": shown})) == {"text": shown}


@given(st.text(st.characters(), max_size=50), st.text(st.characters(), max_size=50))
def test_an_event_can_always_be_packed(name: str, bucket: str) -> None:
    one = passage(id=name, bucket=bucket, headers={"x-github-event": (name,)})
    assert b"\n" not in packed(event(one, "route"))


def test_a_dead_letter_says_what_to_do() -> None:
    letter = {
        "id": 7,
        "route": "ring",
        "target": "http:shop",
        "place": "http://127.0.0.1/s3cret",
        "code": "http-400",
        "reason": "400 \x1b[0mBad",
        "attempts": 1,
        "at": 0.0,
        "generation": 1,
    }
    assert dead(letter) == {
        "id": 7,
        "time": "1970-01-01T00:00:00Z",
        "route": "ring",
        "target": "http:shop",
        "code": "http-400",
        "reason": "400  [0mBad",
    }


def test_an_alarm_begins_and_ends() -> None:
    alarm = Alarm("meter", 0.0, 60.0, 5.0)
    assert alert(alarm, begins=True)["state"] == "on"
    assert alert(alarm, begins=False) == {
        "alert": "silence",
        "state": "off",
        "route": "meter",
        "silent_since": "1970-01-01T00:00:00Z",
        "every_seconds": 60.0,
        "grace_seconds": 5.0,
    }


def test_header_names_are_in_lower_case() -> None:
    assert list(digest.EVENT_HEADERS) == [name.lower() for name in digest.EVENT_HEADERS]

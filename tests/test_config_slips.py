"""What people get to read where they slip: the message, and the help."""

import pytest

from bridge.config import grammar
from bridge.config.reference import records_in
from bridge.config.slips import OTHER_WORDS
from tests.support.routing_files import config_of, loaded, with_routes

RELAY = "relay: {key: a, secret: b}\n"
ROUTES = "routes: [{name: a, send: [{mqtt: t}]}]\n"


def said(text: str) -> list[tuple[str, str | None]]:
    """Each problem as `3:5 E0102 message`, with its help."""
    return [(f"{p.line}:{p.column} {p.code.number} {p.message}", p.help) for p in loaded(text).problems]


SEND = "    send: [{mqtt: t}]"
BRACES = "E0005 YAML reads an unquoted {{ as the start of a mapping"
QUOTE = 'put the whole value in quotes: "{{ … }}"'
TAB = "E0005 a tab, which YAML does not allow here"
SPACES = "indent with spaces"
INSIDE = "while parsing a block collection that starts at line 3"
LIKE_SIBLINGS = "indent this line as the others that belong together with it"
NO_BROKER = "E0104 this URL can't be used: it has to start with mqtt://, mqtts://, ws:// or wss://"


def test_a_slip_as_it_is_shown() -> None:
    text = with_routes("  - name: a\n    when: {{ body.x }}\n    send: [{mqtt: t}]\n").replace("\n", "\r\n")
    assert loaded(text).report() == (
        "bridge.yaml:4:11: error[E0005]: YAML reads an unquoted {{ as the start of a mapping\n"
        "      when: {{ body.x }}\n"
        "            ^\n"
        '  help: put the whole value in quotes: "{{ … }}"\n'
        "1 error"
    )


@pytest.mark.parametrize(
    ("route", "problem", "hint"),
    [
        (f"    when: {{{{ body.x }}}}\n{SEND}", f"4:11 {BRACES}", QUOTE),
        ("    send: [{mqtt: t, payload: {{ raw }}}]", f"4:31 {BRACES}", QUOTE),
        ("\tsend: [{mqtt: t}]", f"4:1 {TAB}", SPACES),
        (f"    match:\n\t  bucket: a\n{SEND}", f"5:1 {TAB}", SPACES),
        (
            f'    when: "{{{{ body.x }}}}\n{SEND}',
            "4:11 E0005 found unexpected end of stream",
            "close this quote",
        ),
        (
            f"    match: {{bucket: [a, b}}\n{SEND}",
            "4:26 E0005 did not find expected ',' or ']'",
            "close the list with ]",
        ),
        (
            f"   final: true\n{SEND}",
            f"4:4 E0005 did not find expected '-' indicator ({INSIDE})",
            LIKE_SIBLINGS,
        ),
        (
            f"    verify:x\n{SEND}",
            "5:5 E0005 could not find expected ':' (while scanning a simple key that starts at line 4)",
            "put a space after the colon in the line before",
        ),
        (
            f"    match: {{bucket:a}}\n{SEND}",
            "4:13 E0102 unknown source 'bucket:a'; did you mean 'bucket'?",
            "put a space after the colon",
        ),
        (
            f"    match: {{bukcet: a}}\n{SEND}",
            "4:13 E0102 unknown source 'bukcet'; did you mean 'bucket'?",
            None,
        ),
        (
            f"    match: {{buckets: a}}\n{SEND}",
            "4:13 E0102 unknown source 'buckets'; did you mean 'bucket'?",
            None,
        ),
        (
            f"    match: [bucket: a]\n{SEND}",
            "4:12 E0101 expected a mapping of conditions such as `bucket: doorbell`, found a list",
            "remove the dashes: all conditions of a mapping must hold",
        ),
        (
            f"    match: {{header.x: 5}}\n{SEND}",
            "4:23 W0502 'header.x' is always text, which never equals 5",
            'write "5" in quotes',
        ),
        (f"    match: {{method: post}}\n{SEND}", "4:21 W0502 methods are in capitals", "write POST"),
        (f"    match: {{path: x}}\n{SEND}", "4:19 W0502 a path starts with /", "write /x"),
        (
            f"    match: {{content_type: text/html; charset=utf-8}}\n{SEND}",
            "4:27 W0502 this is compared without parameters, in small letters",
            "write text/html",
        ),
        (
            f"    match: {{body.x-github-event: push}}\n{SEND}",
            "4:13 W0505 this looks for a header in the body",
            "did you mean 'header.x-github-event'?",
        ),
        (
            f"    match: {{body.x: '{{{{ query.x }}}}'}}\n{SEND}",
            "4:21 W0507 a condition's value is no template",
            "write the whole condition as `when:`",
        ),
        (
            f"    match: {{path: {{regex: '(a+)+'}}}}\n{SEND}",
            "4:27 E0302 a repeated group holds a repeat or a choice, which can take for ever",
            "repeat the group or what is in it, not both; or use startswith, contains, glob",
        ),
        (
            f"    when: body.x == 1\n{SEND}",
            "4:11 W0506 this is the same for every webhook",
            'write "{{ body.x == 1 }}"',
        ),
        (
            f"    when: '{{{{ true }}}}'\n{SEND}",
            "4:11 W0506 this is the same for every webhook",
            "let it depend on the webhook, or remove it",
        ),
        (
            "    send: {mqtt: t}",
            "4:11 E0101 expected a list, found a mapping",
            "start each item with a dash: `- mqtt: …`",
        ),
        (
            "    send: {mqtt: {topic: t}}",
            "4:11 E0101 expected a list, found a mapping",
            "start each item with a dash",
        ),
        ("    send: t", "4:11 E0101 expected a list, found a text", "put it into brackets: […]"),
        (
            "    send: [{topic: t}]",
            "4:12 E0103 a send item is a mapping with `mqtt:` or `http:`",
            "`mqtt:` holds the topic",
        ),
        (
            "    send: [{mqtt: home/+/ring}]",
            "4:24 E0301 a wildcard, which can't be published to: '+'",
            "only subscribers use + and #; write the level, or a {{ … }} that yields it",
        ),
        (
            "    send: [{mqtt: '{{ body.x }}/ring'}]",
            "4:20 E0301 a topic starts with literal text, so that no webhook can choose its first level",
            "put a level of your own before it: webhooks/{{ … }}",
        ),
        (
            "    send: [{mqtt: 'a/{{ header.x-door }}'}]",
            "4:34 E0301 unknown name 'door'",
            "write header['x-door']: a dash means minus",
        ),
        (
            "    send: [{mqtt: home/ring, retain: true}]",
            "4:19 W0504 this looks like an event; every new subscriber gets a retained message once more",
            "write `kind: event`; or `kind: state`, if it is one",
        ),
        (
            "    send: [{mqtt: t, retain: yes}]",
            "4:30 E0101 expected true or false, found the text 'yes'",
            "write true",
        ),
        (
            "    send: [{mqtt: t, qos: '1'}]",
            "4:27 E0101 expected a whole number from 0 to 2, found the text '1'",
            "remove the quotes",
        ),
        ("    send: [{mqtt: t, QoS: 1}]", "4:22 E0102 unknown key 'QoS' in mqtt item", "did you mean 'qos'?"),
        (
            "    send: [{mqtt: t, expire_after: 1}]",
            "4:36 E0101 expected a duration from 1s to 8760h, found 1",
            "write the unit: 1s",
        ),
        (
            "    send: [{http: '127.0.0.1:1880/x'}]",
            "4:19 E0104 expected a URL (http:// or https://), or a path that starts with /",
            "write http://127.0.0.1:1880/x",
        ),
        (
            "    send: [{http: 'http://me:pw@h/'}]",
            "4:19 E0104 this URL can't be used: it can't hold credentials, as URLs are shown in logs",
            "send a header `Authorization`",
        ),
        (
            f"    on: a\n{SEND}",
            "4:5 E0102 unknown key 'on' in route",
            "`match:` says which webhooks the route takes",
        ),
        (f"    bucket: a\n{SEND}", "4:5 E0102 unknown key 'bucket' in route", "put it under `match:`"),
        (f"    mqtt: a\n{SEND}", "4:5 E0102 unknown key 'mqtt' in route", "put it into an item of `send:`"),
    ],
)
def test_slips_in_a_route(route: str, problem: str, hint: str | None) -> None:
    assert said(with_routes(f"  - name: a\n{route}\n")) == [(problem, hint)]


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        (
            "brokers: {home: {url: 127.0.0.1}}",
            f"2:23 {NO_BROKER}",
            "write mqtt://127.0.0.1",
        ),
        (
            "brokers: {home: {url: 'tcp://h'}}",
            f"2:23 {NO_BROKER}",
            "write mqtt://…",
        ),
        (
            "brokers: {home: {url: 'mqtt://h:\"1883\"'}}",
            "2:23 E0104 this URL can't be used: it has no valid host and port",
            "remove the quotes inside of it",
        ),
        (
            "brokers: {home: {url: mqtt://h, port: '1883'}}",
            "2:33 E0102 unknown key 'port' in broker",
            "it is a part of `url`: mqtt://host:1883",
        ),
        (
            "journal: {max_bytes: 268435456}",
            "2:22 E0101 expected a size from 1MiB to 1024GiB, found 268435456",
            "write the unit: 268435456B",
        ),
        (
            "node: !secret name",
            "2:7 E0008 the YAML tag '!secret' is not allowed in a routing file",
            'write "${NAME}" or "${file:/path}"',
        ),
        (
            "include: routes.d/*.yaml",
            "2:10 E0101 expected a list, found a text",
            "put it into brackets: […]",
        ),
        ("journal: [max_bytes: 1GiB]", "2:10 E0101 expected a mapping, found a list", "remove the dashes"),
    ],
)
def test_slips_beside_routes(text: str, problem: str, hint: str | None) -> None:
    assert said(f"{RELAY}{text}\n{ROUTES}") == [(problem, hint)]


def test_a_name_without_braces_is_only_text() -> None:
    text = f"relay: {{key: a, secret: $RELAY_SECRET}}\n{ROUTES}"
    message = "1:25 W0507 this is only text, nothing is filled in"
    assert said(text) == [(message, "write ${NAME}, with braces")]
    assert config_of(text).relay.secret.reveal() == "$RELAY_SECRET"


def test_no_space_after_the_colon_of_a_secret_does_not_show_it() -> None:
    report = loaded(f"relay:\n  secret:hunter2\n{ROUTES}").report()
    assert "expected a mapping, found a text" in report
    assert "help: put a space after the colon" in report
    assert "hunter2" not in report


def test_what_was_filled_in_is_no_part_of_the_help() -> None:
    text = f"{RELAY}brokers: {{home: {{url: '${{HOST}}'}}}}\n{ROUTES[:-3]}, when: '${{SWITCH}}'}}]\n"
    [problem] = loaded(text, {"HOST": "hunter2.local", "SWITCH": "on"}).problems
    assert problem.code.number == "E0104"
    assert problem.help is None


def test_windows_line_ends_and_a_byte_order_mark_are_fine() -> None:
    assert said(f"\ufeff{RELAY}{ROUTES}".replace("\n", "\r\n")) == []


def test_on_and_yes_are_text_where_text_belongs() -> None:
    config = config_of(
        with_routes("  - {name: a, match: {body.on: yes}, send: [{mqtt: t/on, payload: off}]}\n")
    )
    assert [route.name for route in config.table.routes] == ["a"]


def test_words_of_other_tools_are_not_words_of_ours() -> None:
    records = {record.title: record for _, record in records_in(grammar.FILE, "")}
    assert OTHER_WORDS.keys() - records.keys() == {"a send item"}
    for title, words in OTHER_WORDS.items():
        if title in records:
            assert not words.keys() & {key.name for key in records[title].keys}

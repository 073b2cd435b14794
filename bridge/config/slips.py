"""Help with the slips that people make most: other tools' words, YAML's traps, templates out of place.

Plain words in, help out: where a slip is noticed is the business of those who read the file.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bridge.config.problems import did_you_mean

_MATCH: Final = "put it under `match:`"
_MATCH_SAYS: Final = "`match:` says which webhooks the route takes"
_SEND: Final = "put it into an item of `send:`"
_SEND_SAYS: Final = "`send:` says where a webhook goes"
_PAYLOAD: Final = "write `payload:`"
_ONE_NAME_EACH: Final = "write `brokers:`, and in it a name for each: `home: {url: mqtt://…}`"

OTHER_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "routing file": {
        **dict.fromkeys(("mqtt", "broker"), _ONE_NAME_EACH),
        **dict.fromkeys(("rules", "flows", "automation", "webhooks"), "write `routes:`"),
        "version": "leave it out",
    },
    "relay": {
        "token": "write `key` and `secret`, or `api_key`",
        "username": "write `key`",
        "password": "write `secret`",
    },
    "broker": {
        **dict.fromkeys(("host", "port", "server", "address"), "it is a part of `url`: mqtt://host:1883"),
        **dict.fromkeys(("tls", "ssl"), "write mqtts:// in `url`"),
        "user": "write `username`",
        "pass": "write `password`",
        "version": "write `protocol`",
    },
    "service": {
        **dict.fromkeys(("host", "port", "server", "address"), "it is a part of `url`: http://host:1880"),
        **dict.fromkeys(("token", "auth", "username", "password"), "send a header `Authorization`"),
    },
    "route": {
        **dict.fromkeys(("bucket", "input", "output", "method", "path", "content_type"), _MATCH),
        **dict.fromkeys(("on", "if", "where", "filter", "trigger", "triggers", "condition"), _MATCH_SAYS),
        **dict.fromkeys(("mqtt", "http", "topic", "url", "payload", "qos", "retain", "format"), _SEND),
        **dict.fromkeys(("to", "target", "targets", "action", "actions", "publish", "then"), _SEND_SAYS),
        **dict.fromkeys(("throttle", "rate_limit", "limit"), "write `rate:`"),
        "id": "write `name:`",
    },
    "a send item": {
        "topic": "`mqtt:` holds the topic",
        **dict.fromkeys(("url", "uri", "webhook"), "`http:` holds the URL"),
    },
    "mqtt item": {
        "topic": "`mqtt:` holds the topic",
        **dict.fromkeys(("body", "data", "message", "template", "value"), _PAYLOAD),
    },
    "http item": {
        **dict.fromkeys(("url", "uri"), "`http:` holds the URL"),
        **dict.fromkeys(("body", "data", "json", "template"), _PAYLOAD),
    },
}
"""Keys that other tools have, by the title of the record they are put into, with what to write instead."""

_TAGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("!secret", "!env_var", "!env", "!vault"), 'write "${NAME}" or "${file:/path}"'),
    **dict.fromkeys(("!include", "!include_dir_list"), "`include:` at the top names files with more routes"),
}
_SYNTAX_HELP: Final = (
    ("did not find expected ',' or ']'", "close the list with ]"),
    ("did not find expected ',' or '}'", "close the mapping with }"),
    ("did not find expected", "indent this line as the others that belong together with it"),
    ("found unexpected end of stream", "close this quote"),
    ("mapping values", "put a value that holds `: ` in quotes"),
)
_TEMPLATE_HELP: Final = (
    ("a wildcard", "only subscribers use + and #; write the level, or a {{ … }} that yields it"),
    ("a topic starts with literal", "put a level of your own before it: webhooks/{{ … }}"),
    ("topics that start with '$'", "start it with a word of your own"),
)
_CONDITION_HELP: Final = (
    ("a repeated group", "repeat the group or what is in it, not both; or use startswith, contains, glob"),
    ("more than", "use fewer, or say {0,20} instead of *"),
)
_OTHER_SCHEMES: Final = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts", "http": "ws", "https": "wss"}
_WELL_KNOWN_HEADERS: Final = frozenset(
    {"authorization", "content-type", "content-length", "stripe-signature", "user-agent", "webhook-id"}
)


def unknown_key(title: str, key: str, known: Iterable[str]) -> str | None:
    """Help with a key that a record doesn't have."""
    return OTHER_WORDS.get(title, {}).get(key.lower()) or without_space(key) or did_you_mean(key, known)


def tag(name: str) -> str:
    """Help with a YAML tag."""
    return _TAGS.get(name, "quote the value to make it text")


def syntax(message: str, line_before: str) -> str | None:
    """Help with a mistake that YAML's parser found."""
    if message.startswith(("mapping values", "could not find expected ':'")) and without_space(
        line_before.lstrip(" -")
    ):
        return "put a space after the colon in the line before"
    return _first(_SYNTAX_HELP, message)


def template(message: str, text: str) -> str | None:
    """Help with a template that can't be compiled.

    Args:
        message: what is wrong with it.
        text: the template.
    """
    dashed = _DASHED_NAME.search(text)
    if message.startswith("unknown name") and dashed:
        return f"write {dashed['source']}['{dashed['name']}']: a dash means minus"
    return _first(_TEMPLATE_HELP, message)


def condition(message: str) -> str | None:
    """Help with a condition that can't be compiled."""
    return _first(_CONDITION_HELP, message)


def url(problem: str, text: str, schemes: tuple[str, ...], credentials: str) -> str | None:
    """Help with a URL that can't be used.

    Args:
        problem: what is wrong with it.
        text: as it stands in the file.
        schemes: what it may start with.
        credentials: what to do with credentials.
    """
    if "credentials" in problem:
        return credentials
    if '"' in text or "'" in text:
        return "remove the quotes inside of it"
    if problem.startswith("it has to start"):
        meant = _OTHER_SCHEMES.get(text.partition("://")[0].lower())
        if meant in schemes:
            return f"write {meant}://…"
        if _PLAIN_HOST.fullmatch(text):
            return f"write {schemes[0]}://{text}"
    return None


def header_in_body(source: str) -> str | None:
    """Help where a condition on the body asks for what is a header: `body.x-github-event`."""
    name = source.removeprefix("body.")
    lower = name.lower()
    if name != source and (lower.startswith("x-") or lower in _WELL_KNOWN_HEADERS):
        return f"did you mean 'header.{lower}'?"
    return None


def never_equal(source: str, text: str) -> tuple[str, str] | None:
    """What is wrong with a text that a source never equals, and help; None where it can."""
    if "${" in text:
        return None
    match source:
        case "method" if text != text.upper():
            return "methods are in capitals", f"write {text.upper()[:20]}"
        case "path" if not text.startswith("/"):
            return "a path starts with /", f"write /{text[:60]}"
        case "content_type" if ";" in text or text != text.lower():
            kind = text.partition(";")[0].strip().lower()
            return "this is compared without parameters, in small letters", f"write {kind[:60]}"
    return None


def without_braces(text: str) -> str | None:
    """Help where `$NAME` stands, which is filled in by a shell, but not here."""
    return "write ${NAME}, with braces" if _SHELL_NAME.fullmatch(text) else None


def without_space(text: str) -> str | None:
    """Help where a mapping was expected, and `key:value` is one text."""
    return "put a space after the colon" if _NO_SPACE.match(text) else None


def constant_condition(text: str) -> str:
    """Help with a `when` that is the same for every webhook."""
    if "{{" in text or len(text) > 60:
        return "let it depend on the webhook, or remove it"
    return f'write "{{{{ {text} }}}}"'


def _first(helps: Iterable[tuple[str, str]], message: str) -> str | None:
    return next((hint for start, hint in helps if message.startswith(start)), None)


_DASHED_NAME = re.compile(r"\b(?P<source>header|query|form|body)\.(?P<name>\w+(?:-\w+)+)")
_PLAIN_HOST = re.compile(r"[\w.-]+(?::[0-9]{1,5})?(?:/[\w./-]*)?")
_SHELL_NAME = re.compile(r"\$[A-Z_][A-Z0-9_]*")
_NO_SPACE = re.compile(r"[\w.-]+:[^\s/]")

from pathlib import Path

import pytest

from bridge.config.values import parse_duration, parse_listen, parse_size, parse_url

BROKER = ("mqtt", "mqtts", "ws", "wss")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20ms", 0.02), ("15s", 15), ("5m", 300), ("72h", 259200), ("1.5s", 1.5), ("0ms", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "15", "s", "15 s", "-1s", "1d", "1h30m", "1e3s", "15S", "\u0661s", "9" * 10 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a number with ms, s, m or h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "number"), [("512B", 512), ("64KiB", 65536), ("256MiB", 268435456), ("1GiB", 1073741824)]
)
def test_sizes(text: str, number: int) -> None:
    assert parse_size(text) == number


@pytest.mark.parametrize("text", ["", "64", "64KB", "64kib", "1.5MiB", "-1B", "64 KiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole number with B, KiB, MiB or GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "path"),
    [
        ("mqtt://127.0.0.1", "mqtt", "127.0.0.1", 1883, ""),
        ("mqtts://broker.example", "mqtts", "broker.example", 8883, ""),
        ("ws://h/mqtt", "ws", "h", 80, "/mqtt"),
        ("wss://h:9001/", "wss", "h", 9001, "/"),
        ("MQTT://Home:1884", "mqtt", "home", 1884, ""),
        ("mqtt://[::1]:1884", "mqtt", "::1", 1884, ""),
        ("mqtt://raspberry_pi.local", "mqtt", "raspberry_pi.local", 1883, ""),
    ],
)
def test_urls(text: str, scheme: str, host: str, port: int, path: str) -> None:
    url = parse_url(text, BROKER)
    assert (url.scheme, url.host, url.port, url.path) == (scheme, host, port, path)
    assert url.text == text.rstrip("/")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "spaces"),
        ("127.0.0.1:1883", "start with mqtt://, mqtts://, ws:// or wss://"),
        ("http://h", "start with mqtt://"),
        ("mqtt:h", "start with mqtt://"),
        ("mqtt://", "start with mqtt://"),
        ("mqtt://me:hunter2@h", "credentials"),
        ("mqtt://hunter2@h", "credentials"),
        ("mqtt://:1883", "no valid host"),
        ("mqtt://h:0", "no valid host"),
        ("mqtt://h:hunter2", "no valid host"),
        ("mqtt://h:99999", "no valid host"),
        ("mqtt://[::1", "no valid host"),
        ("mqtt://a,b", "no valid host"),
        ("mqtt://h/?hunter2", "query"),
        ("mqtt://h/#hunter2", "query"),
        ("mqtt://h\n", "spaces"),
        ("mqtt://{{h}}", "braces"),
    ],
)
def test_what_is_no_url_here(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_url(text, BROKER)
    assert "hunter2" not in str(caught.value)


def test_where_the_console_listens() -> None:
    assert parse_listen("127.0.0.1:8765") == ("127.0.0.1", 8765)
    assert parse_listen("[::1]:8765") == ("::1", 8765)
    assert (
        parse_listen("/run/console.sock")
        == parse_listen("unix:/run/console.sock")
        == Path("/run/console.sock")
    )
    assert parse_listen("localhost:0") == ("localhost", 0)


@pytest.mark.parametrize("text", ["", "8765", "host", "h:70000", "::1:8765", "/a\0", "http://h:1"])
def test_where_nothing_can_listen(text: str) -> None:
    with pytest.raises(ValueError, match="an address and a port"):
        parse_listen(text)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.resources import Rate
from bridge.selfhosted.values import (
    BadValue,
    check_host,
    check_path,
    check_url,
    parse_rate,
    rate_text,
)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 1.0)),
        ("60/5m", Rate(60, 300.0)),
        ("1/24h", Rate(1, 86400.0)),
        ("7/90s", Rate(7, 90.0)),
    ],
)
def test_rates(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@given(st.integers(1, 999_999), st.integers(1, 9999), st.sampled_from("smh"))
def test_a_rate_is_written_as_it_is_read(count: int, number: int, unit: str) -> None:
    rate = parse_rate(f"{count}/{number}{unit}")
    assert parse_rate(rate_text(rate)) == rate


@pytest.mark.parametrize("text", ["", "10", "0/s", "10/0s", "10/d", "-1/s", "1.5/s", "10/s "])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(BadValue):
        parse_rate(text)


@pytest.mark.parametrize("text", ["/github", "/a/b.c", "/%20"])
def test_paths(text: str) -> None:
    check_path(text)


@pytest.mark.parametrize(
    "text", ["", "/", "github", "/a/", "//a", "/v1", "/v1/x", "/healthz", "/a b", "/a?b", "/ä"]
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(BadValue):
        check_path(text)


@pytest.mark.parametrize("text", ["hooks.example.org", "localhost", "a-b.c"])
def test_hosts(text: str) -> None:
    check_host(text)


@pytest.mark.parametrize(
    "text", ["", "Hooks.example.org", "a..b", "-a", "a:80", "a/b", "a." + "b" * 64, "a." * 130]
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(BadValue):
        check_host(text)


@pytest.mark.parametrize(
    "text",
    ["", "ftp://a", "http://", "http://a:0", "http://a:x", "/a", "http://a b", "http://a\r\nb", "http://[::"],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(BadValue):
        check_url(text)

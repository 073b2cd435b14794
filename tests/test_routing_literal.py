import pytest

from bridge.errors import TemplateError
from bridge.routing.template import Place, compile_template


@pytest.mark.parametrize(
    ("topic", "words", "offset"),
    [
        ("", "can't be empty", 0),
        ("{{ body.x }}/a", "starts with literal text", 0),
        ("$SYS/a", "belong to the broker", 0),
        ("home/+/a", "wildcard", 5),
        ("{{ '+' }}", "starts with literal text", 0),
        ("a{{ body.x + 1 }}/#", "wildcard", 18),
        ("a/\x00", "brokers refuse", 2),
        ("a/\x85", "brokers refuse", 2),
        ("a/\uffff", "brokers refuse", 2),
        ("a/" + "x" * 1023, "over 1024 bytes", 0),
        ("a" + "/b" * 32, "over 32 levels", 0),
        ("a" + "/{{ body.x }}" * 32, "over 32 levels", 0),
    ],
)
def test_topics_that_are_refused(topic: str, words: str, offset: int) -> None:
    with pytest.raises(TemplateError, match=words) as caught:
        compile_template(topic, Place.TOPIC)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "topic", ["a", "/a", "a/", "a b/ü", "a$b", "a" + "/b" * 31, "a{{ body.x }}", "a-{{ body.x }}/b"]
)
def test_topics_that_are_taken(topic: str) -> None:
    assert compile_template(topic, Place.TOPIC).source == topic


@pytest.mark.parametrize(
    "url",
    [
        "",
        "{{ body.url }}",
        "http://{{ body.host }}/",
        "{{ 'http' }}://h/",
        "http://h{{ body.x }}",
        "http://h:80{{ body.x }}/",
        "http://h:{{ body.port }}/",
        "http://u:p@h/",
        "http://{{ body.u }}@h/",
        "ftp://h/",
        "HTTP://h/",
        "//h/a",
        "/a",
        "http:///a",
        "http://h:0/",
        "http://h:65536/",
        "http://h:8x/",
        "http://h/a b",
        "http://h/a\r\nb",
        "http://h/a#b",
        "http://h\\@evil/",
        "http://h/a\\b",
        "http://h/%",
        "http://h/%{{ body.x }}",
        "http://h/%2{{ body.x }}",
        "http://h/../a",
        "http://h/a/.",
        "http://h/%2E%2e/{{ body.x }}",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(url, Place.URL)
    assert 0 <= caught.value.offset <= len(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://h.example:8443/a/b?c=d&e",
        "http://[::1]:1880/x",
        "http://127.0.0.1:1880/{{ body.x }}",
        "http://h/a.b/..c/{{ body.x }}.json",
        "http://h?q={{ body.x }}",
        "http://h/a?q=/../",
        "http://h/%20",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    template = compile_template(url, Place.URL)
    assert template.source == url
    if template.constant:
        assert template.render(None) == url  # type: ignore[arg-type]  # a constant reads no webhook


def test_a_literal_part_that_is_not_ascii_is_encoded() -> None:
    assert compile_template("http://h/tür", Place.URL).render(None) == "http://h/t%C3%BCr"  # type: ignore[arg-type]  # a constant


def test_headers_that_are_refused() -> None:
    with pytest.raises(TemplateError, match="control character") as caught:
        compile_template("a\x00b", Place.HEADER)
    assert caught.value.offset == 1

import re
import time

import pytest

from bridge.errors import ConditionError
from bridge.routing.patterns import LONGEST_TEXT, compile_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a*)*b",
        "(a|aa)+$",
        "(a|b|ab)*c",
        "(a?a)+b",
        "((ab)+c?)*",
        "(?:x+x+)+y",
        "(?P<n>a+){2,}",
        "(a{1,9})*",
        "(a+){9}",
        "((a+))*",
        r"([\w]+\.)+x",
        "(a+?)+",
        "(?i)(a+)+",
        "(?#()(a+)+",
        "[(](a+)+",
        "a*a*a*a*a*b",
        ".{0,5000}.{0,5000}.{0,5000}.{0,5000}.{0,5000}x",
        "(?x) a # (",
        "(?ix: a)",
        "(",
        "a{2,1}",
        "*",
        "(?P<x",
        "a{99999999999999999999}",
    ],
)
def test_refused(pattern: str) -> None:
    with pytest.raises(ConditionError):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "repeats"),
    [
        ("", 0),
        ("abc", 0),
        ("^(push|tag)$", 0),
        ("(ab){3}", 0),
        ("a?b?", 0),
        ("a{3}", 0),
        (r"(\d{1,3}\.){3}\d{1,3}", 0),
        (r"[*+]\*\+\(", 0),
        (r"[]*+)(]", 0),
        (r"[^]*+)(]", 0),
        ("{x}", 0),
        ("(?=a)(?!b)(?<=c)", 0),
        ("(?#a+b*)", 0),
        ("a+", 1),
        ("a+?", 1),
        ("a++", 1),
        ("(ab)*", 1),
        ("(a+)?", 1),
        ("a{2,}", 1),
        ("a{0,100}", 1),
        ("^refs/(.+)/(.+)$", 2),
        ("(a+){2}", 2),
        (r"^[\w.]+@[\w.]+\.\w+$", 3),
    ],
)
def test_taken_with_a_limit_for_the_text(pattern: str, repeats: int) -> None:
    compiled, longest = compile_pattern(pattern)
    assert compiled.pattern == pattern
    assert longest == LONGEST_TEXT[repeats]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\s+$", " "),
        (r"(\w+)@", "a"),
        (".*x.*y", "x"),
        (r"\w+\s+\w+$", "a"),
        (r"\w*\w*\w*$", "a"),
        ("a*a*a*a*b", "a"),
        ("(ab)*c", "ab"),
        (r"(?:\w{0,99}){3}!", "a"),
    ],
)
def test_the_worst_text_takes_no_second_of_work(pattern: str, text: str) -> None:
    compiled, longest = compile_pattern(pattern)
    hard = (text * longest)[: longest - 1] + "?"
    started = time.process_time()
    assert compiled.search(hard) is None or pattern == r"\w*\w*\w*$"
    assert time.process_time() - started < 2.0


def test_a_pattern_is_what_re_makes_of_it() -> None:
    assert compile_pattern("(?i)door")[0] == re.compile("(?i)door")

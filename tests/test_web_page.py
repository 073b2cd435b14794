"""What each page promises: it is small, whole, and lets nothing run that is not its own."""

import base64
import hashlib
import re

import pytest

from bridge.console import app as console
from bridge.selfhosted import management
from bridge.web import page

PAGES = [(console.PAGES, "console", *console.SCRIPTS), (console.PAGES, "login"), management.PAGE]
LIGHT = 60_000
"""Bytes of a page that a phone opens at once."""


@pytest.fixture(params=PAGES, ids=lambda one: str(one[1]))
def found(request: pytest.FixtureRequest) -> page.Page:
    return page.load(*request.param)


def test_it_is_light_and_whole(found: page.Page) -> None:
    assert 500 < len(found.html.encode()) < LIGHT
    assert "/*s" not in found.html
    assert not re.search(r"(?:src|href|action)=\"(?!data:|#|login|metrics|readyz)", found.html)
    assert not re.search(r"@import|url\(|https?://(?!www\.w3\.org/2000/svg|localhost)", found.html)


def test_the_policy_allows_its_own_style_and_script_and_nothing_else(found: page.Page) -> None:
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (allowed,) = re.findall(rf"{directive} '(sha256-[^']+)'", found.policy)
        for content in re.findall(rf"<{tag}>(.*?)</{tag}>", found.html, re.DOTALL):
            assert allowed == f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
    assert "unsafe" not in found.policy
    assert "default-src 'none'" in found.policy
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", found.html)


def test_text_never_becomes_markup(found: page.Page) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc",
        found.html,
    )
    assert "require-trusted-types-for 'script'" in found.policy

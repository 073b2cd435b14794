"""The page as one document: its style and script stand in it, and its policy lets nothing else run."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "page"
POLICY: Final = (
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; connect-src 'self'; "
    "img-src data:; style-src '{style}'; script-src '{script}'; require-trusted-types-for 'script'"
)


class Page(NamedTuple):
    """A document, and the content security policy that fits it."""

    html: str
    policy: str


@cache
def load(name: str) -> Page:
    """A page by its name: `console` or `login`."""
    style, script = _read("style.css"), _read(f"{name}.js")
    html = _read(f"{name}.html").replace("/*style*/", style).replace("/*script*/", script)
    return Page(html, POLICY.format(style=_hash(style), script=_hash(script)))


def _read(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _hash(text: str) -> str:
    """As a policy names an inline element: by its content."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

"""A page as one document: its style and script stand in it, and its policy lets nothing else run."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

_SHARED: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; connect-src 'self'; "
    "img-src data:; style-src '{style}'; script-src '{script}'; require-trusted-types-for 'script'"
)


class Page(NamedTuple):
    """A document, and the content security policy that fits it."""

    html: str
    policy: str


@cache
def load(folder: Path, name: str, *parts: str) -> Page:
    """A page of a folder: `name.html`, with `name.css` and `name.js` where they are there.

    What all pages share comes before these: the look, and for a page with a script the building of nodes.

    Args:
        folder: of the page.
        name: of its files.
        parts: names of further scripts, which come before its own.
    """
    style = _read(_SHARED / "style.css") + _read(folder / f"{name}.css")
    script = "\n".join(filter(None, (_read(folder / f"{one}.js") for one in (*parts, name))))
    if script:
        script = _read(_SHARED / "dom.js") + "\n" + script
    html = _read(folder / f"{name}.html").replace("/*style*/", style).replace("/*script*/", script)
    return Page(html, POLICY.format(style=_hash(style), script=_hash(script)))


def respond(page: Page, status: int = 200) -> web.Response:
    """The page as an answer."""
    headers = {"Content-Security-Policy": page.policy}
    return web.Response(text=page.html, status=status, content_type="text/html", headers=headers)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _hash(text: str) -> str:
    """As a policy names an inline element: by its content."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

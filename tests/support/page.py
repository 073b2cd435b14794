"""What every page has to do, looked at in a browser."""

from urllib.parse import urlsplit

from tests.support.browser import Browser

NARROW = {"width": 360, "height": 740}
"""A small phone."""
AXE = """
await page.evaluate(axe);
const found = await page.evaluate(() => window.axe.run(document, {resultTypes: ["violations"]}));
return found.violations.map(({id, impact, nodes}) => [impact, id, nodes[0].html]);
"""
"""What is wrong with a page for people who can't see it well or use no mouse."""
CUT = """
return await page.evaluate(() => [...document.querySelectorAll("main *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 200)));
"""


async def has_text(browser: Browser, selector: str, text: str) -> None:
    """Wait until an element shows a text."""
    await browser.run(
        "await page.locator(selector).filter({hasText: text}).first().waitFor()", selector=selector, text=text
    )


async def clean(browser: Browser, url: str) -> None:
    """The page complained of nothing, and asked nobody but its own server."""
    seen = await browser.run("return seen")
    assert seen["complaints"] == []
    assert len(seen["requests"]) >= 2
    assert {urlsplit(one).netloc for one in seen["requests"]} == {urlsplit(url).netloc}


async def fits(browser: Browser, size: dict[str, int]) -> None:
    """Nothing is cut off at this width, and nothing has to be scrolled sideways."""
    width = "return await page.evaluate(() => document.documentElement.scrollWidth)"
    assert await browser.run(width) == size["width"]
    assert await browser.run(CUT) == []

"""The built documentation site is whole, and works in a browser.

The README's command for the documentation builds it, in ``docs/_build/html``.
"""

import importlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import sklearn_tickets
from tests.browser import CHROMIUM, Browser

BUILT = Path(__file__).parents[1] / "docs" / "_build" / "html"
PAGES = sorted(
    path.relative_to(BUILT).as_posix()
    for path in BUILT.rglob("*.html")
    if "_static" not in path.parts
)
pytestmark = pytest.mark.skipif(not PAGES, reason="the site is not built")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

# Texts whose contrast with what is behind them is lower than WCAG 2 (level AA) asks for.
HARD_TO_READ = r"""
(() => {
  const rgba = text => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = (top, bottom) => {
    const a = top[3];
    return [0, 1, 2].map(i => a * top[i] + (1 - a) * bottom[i]).concat(1);
  };
  const luminance = color => {
    const [r, g, b] = color.slice(0, 3).map(c => {
      c /= 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement)
      layers.push(rgba(getComputedStyle(e).backgroundColor));
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const low = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), e = walker.currentNode.parentElement;
    if (!text || !e.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (e.closest("svg, script, style, mjx-container")) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const below = background(e), above = over(rgba(style.color), below);
    const [a, b] = [luminance(above), luminance(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5))
      low.add(`${ratio.toFixed(2)} ${e.tagName}.${e.className}: ${text.slice(0, 40)}`);
  }
  return [...low];
})()
"""


class _Page(HTMLParser):
    """What a page refers to, and its headings and images."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.anchors, self.levels, self.without_alt = [], [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given.get("id"), given.get("name") if tag == "a" else None}
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(given["href"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        # An empty text marks a decoration.
        if tag == "img" and "alt" not in given:
            self.without_alt.append(given.get("src"))


@pytest.fixture(scope="module")
def pages():
    return {name: _Page((BUILT / name).read_text()) for name in PAGES}


def test_the_site_has_every_public_name(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    for door in Path(sklearn_tickets.__file__).parent.glob("[a-z]*/**/__init__.py"):
        room = ".".join(door.parent.relative_to(Path(sklearn_tickets.__file__).parents[1]).parts)
        names = {f"{room}.{name}" for name in importlib.import_module(room).__all__}
        assert not names - anchors


def test_pages_load_nothing_from_elsewhere(pages):
    for name, page in pages.items():
        assert not [source for source in page.loaded if "//" in source], name


def test_links_inside_the_site_lead_somewhere(pages):
    for name, page in pages.items():
        for link in page.links:
            path, _, anchor = link.partition("#")
            if "//" in link or link.startswith("mailto:"):
                continue
            target = (BUILT / name).parent / path if path else BUILT / name
            assert target.exists(), f"{name}: {link}"
            key = target.resolve().relative_to(BUILT.resolve()).as_posix()
            if anchor and key in pages:
                assert anchor in pages[key].anchors, f"{name}: {link}"


def test_pages_have_one_title_headings_in_order_and_texts_for_images(pages):
    for name, page in pages.items():
        if name in ("search.html", "genindex.html", "py-modindex.html"):
            continue
        assert page.levels.count(1) == 1, name
        assert page.levels[0] == 1, name
        steps = zip(page.levels[:-1], page.levels[1:], strict=True)
        assert all(after <= before + 1 for before, after in steps), name
        assert not page.without_alt, name


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_open_without_errors_fit_on_small_screens_and_can_be_read(tmp_path, scheme):
    with Browser(tmp_path) as browser:
        browser.look(400, scheme=scheme)
        for name in PAGES:
            browser.open((BUILT / name).as_uri())
            errors = [entry["entry"] for entry in browser.of("Log.entryAdded")]
            assert not [entry for entry in errors if entry["level"] == "error"], name
            assert not browser.of("Runtime.exceptionThrown"), name
            assert not browser.of("Network.loadingFailed"), name
            width = browser.run("document.documentElement.scrollWidth")
            assert width <= 400, f"{name} is {width} pixels wide"
            assert not browser.run(HARD_TO_READ), name


@needs_browser
@pytest.mark.parametrize("word", ["rewinding", "SynFlow", "overlap", "planted", "annealing"])
def test_search_finds(tmp_path, word):
    with Browser(tmp_path) as browser:
        browser.open((BUILT / "search.html").as_uri() + f"?q={word}")
        found = """new Promise(done => {
            const look = () => {
                const n = document.querySelectorAll("#search-results li").length;
                n ? done(n) : setTimeout(look, 50);
            };
            look();
        })"""
        reply = browser.send(
            "Runtime.evaluate", expression=found, awaitPromise=True, returnByValue=True
        )
        assert reply["result"]["value"] > 0

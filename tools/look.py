"""Opens every page of the built documentation in a browser, on a wide screen and on a phone, light and dark.

    python tools/look.py HTML [--pages PATTERN ...] [--screenshots FOLDER]

HTML is the folder that `sphinx-build -b html` wrote. Needs Chromium with its driver, and `pip install selenium`. It
prints what it finds, and its exit status is then 1:

- "wide": the page, or a table, figure, formula or block of code, runs out of the window, and nothing around it scrolls;
- "scrolls": it scrolls sideways on the wide screen, where it should fit;
- "cut": something hides a part of what it holds;
- "narrow": a cell of a table breaks a word that is no code;
- "faint": text that contrasts with its background less than 4.5 to 1;
- "bare": a picture without a background of its own on a dark page, where black lines vanish.
"""

import argparse
import base64
import shutil
import sys
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from selenium import webdriver

WIDTHS = {1280: 900, 400: 800}
MODES = ("light", "dark")

STILL = """
const rule = document.createElement("style");
rule.textContent = "* { transition: none !important; animation: none !important; }";
document.head.append(rule);
"""
FIND = r"""
const wide = arguments[0], dark = arguments[1], found = [];
const root = document.documentElement;
const article = document.querySelector("article.bd-article") || document.body;
const label = (element) => {
    const text = (element.alt || element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 50);
    return `<${element.tagName.toLowerCase()} ${element.className && element.className.baseVal === undefined
        ? element.className : ""}> ${text}`;
};
const visible = (element) => element.checkVisibility({visibilityProperty: true, opacityProperty: true});
const style = (element) => getComputedStyle(element);
const scrolls = (element) => /auto|scroll/.test(style(element).overflowX);
const scroller = (element) => {
    for (let at = element; at && at !== article; at = at.parentElement) if (scrolls(at)) return at;
    return null;
};

if (root.scrollWidth > root.clientWidth + 1) found.push(["wide", `page is ${root.scrollWidth} of ${root.clientWidth}`]);

for (const element of article.querySelectorAll("table, figure, img, svg, pre, .math, h1, h2, h3, dt.sig, p, li")) {
    if (!visible(element)) continue;
    const box = element.getBoundingClientRect(), around = scroller(element);
    const spills = style(element).overflowX === "visible";
    const right = spills ? Math.max(box.right, box.left + element.scrollWidth) : box.right;
    if (!around && right > root.clientWidth + 1) found.push(["wide", label(element)]);
    else if (wide && around && around.scrollWidth > around.clientWidth + 1 && element.matches("table, pre, .math")) {
        found.push(["scrolls", `${around.scrollWidth} of ${around.clientWidth}: ${label(element)}`]);
    }
}

for (const element of document.querySelectorAll("body *")) {
    if (!visible(element) || !element.clientWidth) continue;
    const sidebar = element.matches(".bd-sidebar, .bd-sidebar-secondary") && scrolls(element);
    const shortened = style(element).textOverflow === "ellipsis";
    const hides = sidebar || (/hidden|clip/.test(style(element).overflowX) && !shortened);
    const more = element.scrollWidth > element.clientWidth + 1;
    if (hides && more && element.clientWidth > 2 && element.textContent.trim()) found.push(["cut", label(element)]);
}

const canvas = document.createElement("canvas").getContext("2d");
const lengths = (cell) => {
    const plain = cell.cloneNode(true);
    for (const code of plain.querySelectorAll("code")) code.replaceWith(" ");
    canvas.font = style(cell).font;
    return plain.textContent.split(/[\s\/\u200b-]+/).map((word) => canvas.measureText(word).width);
};
for (const cell of article.querySelectorAll("table:not(.indextable) td, th")) {
    if (!visible(cell) || cell.querySelector("pre, table")) continue;
    if (/break-word|anywhere/.test(style(cell).overflowWrap + style(cell).wordBreak)) {
        const room = cell.clientWidth - parseFloat(style(cell).paddingLeft) - parseFloat(style(cell).paddingRight);
        if (Math.max(...lengths(cell)) > 1.05 * room) found.push(["narrow", label(cell)]);
    }
}

const rgba = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
        const [r, g, b, a = 1] = rgba(style(at).backgroundColor);
        if (a > 0.5) return [r, g, b];
    }
    return [255, 255, 255];
};
const luminance = (colour) => colour.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const faint = new Map();
while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const aside = "svg, script, style, noscript, .headerlink, .search-button-field";
    if (!walker.currentNode.data.trim() || element.closest(aside)) continue;
    if (!visible(element)) continue;
    const shades = [luminance(rgba(style(element).color)), luminance(background(element))].sort((a, b) => b - a);
    const contrast = (shades[0] + 0.05) / (shades[1] + 0.05);
    if (contrast < 4.5) faint.set(`${contrast.toFixed(1)} ${element.className || element.tagName}`, label(element));
}
for (const [what, example] of faint) found.push(["faint", `${what}: ${example}`]);

if (dark) {
    for (const picture of article.querySelectorAll("img")) {
        if (!visible(picture) || picture.closest(".sphx-glr-thumbcontainer")) continue;
        const [, , , alpha = 1] = rgba(style(picture).backgroundColor);
        if (alpha < 0.5 && !picture.classList.contains("only-dark")) found.push(["bare", label(picture)]);
    }
}
return found.map(([kind, what]) => `${kind}: ${what}`);
"""


@contextmanager
def browser():
    """A headless browser that asks no other machine for anything."""
    options = webdriver.ChromeOptions()
    for argument in ("headless", "no-sandbox", "disable-gpu", "hide-scrollbars", "disable-background-networking"):
        options.add_argument(f"--{argument}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def look(driver, width, mode):
    """What is wrong with the page that is open, at a width, in light or dark."""
    metrics = {"width": width, "height": WIDTHS[width], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": mode}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    settled = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
    driver.execute_async_script(settled)
    return driver.execute_script(FIND, width == max(WIDTHS), mode == "dark")


def shoot(driver, file):
    """Save a picture of the whole page that is open."""
    height = driver.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": driver.execute_script("return innerWidth"), "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    file.write_bytes(base64.b64decode(shot["data"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("html", type=Path)
    parser.add_argument("--pages", nargs="+", default=["*"], help="patterns of paths, such as user_guide/*")
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of the pages")
    options = parser.parse_args()
    pages = [page.relative_to(options.html) for page in options.html.rglob("*.html")]
    names = sorted(page.as_posix() for page in pages if page.parts[0] != "_static")
    chosen = [name for name in names if any(fnmatch(name, pattern) for pattern in options.pages)]
    wrong = 0
    with browser() as driver:
        for name in chosen:
            driver.get((options.html / name).resolve().as_uri())
            driver.execute_script(STILL)
            for width in WIDTHS:
                for mode in MODES:
                    for finding in look(driver, width, mode):
                        print(f"{name} {width} {mode} {finding}", flush=True)
                        wrong += 1
                    if options.screenshots:
                        options.screenshots.mkdir(parents=True, exist_ok=True)
                        stem = name.removesuffix(".html").replace("/", "-")
                        shoot(driver, options.screenshots / f"{stem}-{width}-{mode}.png")
    print(f"{len(chosen)} pages, {wrong} findings")
    return int(wrong > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())

"""report.html of a run and of a sweep: what it says, that names stay text, and what a browser makes of it."""

import base64
import hashlib
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import QUICK, result

from trainer.cli.main import main
from trainer.run.directory import check_links
from trainer.run.judgement import Judgement
from trainer.show import html
from trainer.show.card import Card, figures
from trainer.show.run_page import RunPage
from trainer.system.errors import RunError
from trainer.system.shown import printable

CHROMIUM = Path("/usr/bin/chromium")
ELEMENTS = {
    *("header", "h1", "p", "h3", "dl", "div", "dt", "dd", "b", "span", "small", "ul", "li", "pre", "code", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
HOSTILE = [
    "<script>alert(1)<\u2215script>",
    "<img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) x='",
    "</td></table><h1>big",
    "</style><script>",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
    "two\nlines \x1b[31m",
    "\u202eturned",
]


class Page(HTMLParser):
    """The elements of a page with their attributes, and the texts between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, tag: str, attribute: str) -> list[str]:
        return [attributes[attribute] for name, attributes in self.elements if name == tag and attribute in attributes]


def safe(text: str) -> Page:
    """The page, which loads and runs nothing."""
    page = Page(text)
    assert html.is_safe(text.encode()[: html.HEAD])
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {name for name, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all(address.startswith("data:image/png;base64,") for address in page.values("img", "src"))
    assert not [address for address in page.values("a", "href") if re.match(r"\w+:|/|\.\.", address)]
    assert page.values("link", "href") == ["data:,"]
    return page


# --- HTML ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_read_as_it_is_wherever_it_stands(name: str) -> None:
    parts = (
        html.heading(name, name),
        html.notice("", name),
        html.paragraph(name),
        html.below(name),
        html.tiles([(name, name, name)]),
        html.facts([(name, name)]),
        html.listed([name]),
        html.table((name, "b"), [(name, name)], ["job/report.html"]),
        html.commands([name]),
        html.link(name, "0/report.html"),
    )
    for part, count in zip(parts, (2, 1, 1, 1, 3, 2, 1, 3, 1, 1), strict=True):
        page = Page(part)
        assert [text for text in page.texts if text.strip() == printable(name).strip()] == [printable(name)] * count
        assert {tag for tag, _ in page.elements} <= ELEMENTS
    assert safe(html.page(name, parts)).values("a", "href") == ["job/report.html", "0/report.html"]


def test_the_policy_allows_the_styles_and_nothing_else() -> None:
    page = html.page("net", [])
    (style,) = re.findall(r"<style>(.*)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [content for content in Page(page).values("meta", "content") if "default-src" in content]
    assert sorted(policy.split("; ")) == sorted(
        ["default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'"]
    )
    assert "@import" not in style
    assert "url(" not in style


def test_a_page_of_somebody_else_is_not_taken_for_ours() -> None:
    ours = html.page("net", []).encode()
    assert html.is_safe(ours[: html.HEAD])
    for other in (b"", b"<!doctype html><script>alert(1)</script>" + ours, ours.replace(b"default-src 'none'; ", b"")):
        assert not html.is_safe(other[: html.HEAD])
    assert not html.is_safe(ours.replace(b"base-uri", b"; script-src *; base-uri")[: html.HEAD])
    assert not html.is_safe(re.sub(rb"sha256-[^']{44}", b"unsafe-inline'; script-src *  *  *  *  *  *  *'", ours))


def test_what_is_no_picture_is_left_out() -> None:
    assert html.picture(b"<script>alert(1)</script>", "curves", "a curve") == ""


def made(name: str) -> RunPage:
    card = Card(name, name, name, figures({"accuracy": 0.5}, {}), [(name, name)], [(name, name)], [name], name, name)
    table, triple = ((name, "b"), [(name, name)]), [(name, name, name)]
    judged = Judgement(name, name)
    return RunPage(
        card,
        judged,
        name,
        {},
        table,
        table,
        table,
        name,
        table,
        name,
        triple,
        [(name, name)],
        [("a.log", name)],
        [name],
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_of_any_names_has_the_elements_of_any_other(name: str) -> None:
    found, expected = (safe(made(each).text()).elements for each in (name, "x"))
    assert [tag for tag, _ in found] == [tag for tag, _ in expected]


# --- a run --------------------------------------------------------------------------------------------

CLASSES = ("<script>alert(1)", "<img src=x onerror=alert(1)>")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images of classes with such names, with pictures and tables."""
    top, rng = tmp_path_factory.mktemp("page"), np.random.default_rng(0)
    for label, level in zip(CLASSES, (80, 110), strict=True):
        for number in range(30):
            (top / "photos" / label).mkdir(parents=True, exist_ok=True)
            pixels = np.clip(rng.normal(level, 60, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(top / "photos" / label / f"{number}.png")
    words = ["data=folder", f"data.path={top / 'photos'}", "data.size=8", "data.cache=null", "model=linear", "epochs=2"]
    assert main(["train", *words, "optim.lr=0.5", f"output={top}", "name=odd <b>"]) == 0
    (run,) = (top / "odd <b>").iterdir()
    return run


def test_a_report_says_what_the_run_has(trained: Path) -> None:
    text = (trained / "report.html").read_text()
    page, values = safe(text), result(trained)
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles[:3] == ["How good it is", "Curves", "What it gets wrong"]
    assert titles[-5:] == ["How it was trained", "Its limits", "The way back", "Files", "What to do next"]
    low, high = values["intervals"]["test/accuracy"]
    assert f"{values['metrics']['test/accuracy']:.2%}" in page.texts
    assert f"95%: {low:.2%} to {high:.2%}" in page.texts
    assert {*CLASSES, "optim.lr", "0.5"} <= set(page.texts)
    pictures = {base64.b64encode(path.read_bytes()).decode() for path in trained.glob("*/*.png")}
    assert {source.partition(",")[2] for source in page.values("img", "src")} == pictures
    assert all((trained / address).exists() for address in page.values("a", "href"))
    assert any(f"trainer reproduce {trained.parent}".split()[0] in text for text in page.texts)


def test_a_resumed_run_takes_up_nothing_that_lay_there(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    shutil.copy(run / "plots" / "curves.png", run / "plots" / "theirs.png")
    (run / "report.html").write_text("<script>alert(1)</script>")
    assert main(["resume", str(run), "epochs=3", "plots=false", "tables=false"]) == 0
    page = safe((run / "report.html").read_text())
    assert page.values("img", "src") == []
    assert "](" not in (run / "README.md").read_text()


def test_a_report_that_is_a_link_is_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run" / "report.html").unlink()
    os.symlink(tmp_path / "mine", tmp_path / "run" / "report.html")
    with pytest.raises(RunError, match="a link"):
        check_links(tmp_path / "run")


# --- a sweep ------------------------------------------------------------------------------------------


def test_a_sweep_leaves_a_report_with_the_way_to_that_of_its_best_job(empty: Path) -> None:
    words = ["optim.lr=0.01,0.1,1e39", "name=<script>", *QUICK]
    assert main(["train", "-m", *words]) == 1  # the last one diverges
    (sweep,) = Path("runs/sweeps/<script>").iterdir()
    page = safe((sweep / "report.html").read_text())
    jobs = [address for address in page.values("a", "href") if address.endswith("/report.html")]
    assert len(jobs) == 3  # that of the best comes twice
    assert jobs[0] == jobs[1]
    assert {f"{sweep / address}" for address in jobs} == {str(path) for path in sweep.glob("*/report.html")}
    for job in jobs:
        safe((sweep / job).read_text())
    assert any("not finite" in text or "loss" in text for text in page.texts)

    (sweep / jobs[0]).write_text("<script>alert(1)</script>")  # as a stranger may have left it
    assert main(["resume", str(sweep)]) == 1
    again = safe((sweep / "report.html").read_text())
    assert {address for address in again.values("a", "href") if address.endswith("/report.html")} == {jobs[2]}


# --- a browser ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no Chromium")
def test_a_browser_opens_a_report_without_the_network_and_without_scrolling_sideways(trained: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        try:
            for width, scheme in ((1280, "light"), (375, "dark")):
                asked: list[str] = []
                said: list[str] = []
                tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
                tab.on("request", lambda request, asked=asked: asked.append(request.url))
                tab.on("console", lambda message, said=said: said.append(message.text))
                tab.on("dialog", lambda dialog, said=said: said.append(dialog.message))
                tab.goto((trained / "report.html").absolute().as_uri())
                widths = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
                assert widths == [width, width]
                assert [address for address in asked if not address.startswith("data:")] == [tab.url]
                assert said == []
                loaded = tab.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
                assert loaded
                assert all(loaded)
                colours = tab.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (colours == "rgb(255, 255, 255)") == (scheme == "light")
        finally:
            browser.close()

"""The page of `trainer serve` in a real browser: an image, a row, mistakes, strangers' names, keyboard and phone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from serving import Served, digits, of_table, png, predictor, served, trained

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
STRANGE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page as wide as a phone; what goes wrong in it, but for answers that are errors, fails the test."""
    opened = browser.new_page(viewport={"width": 360, "height": 700})
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: (wrong.append("a script of a stranger's ran"), dialog.dismiss()))
    opened.on("request", lambda request: _is_ours(request.url) or wrong.append(f"it asks for {request.url}"))
    yield opened
    width = opened.evaluate("document.documentElement.scrollWidth")
    opened.close()
    assert width <= 360
    assert [text for text in wrong if not text.startswith("Failed to load resource")] == []


def _is_ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "blob:", "data:"))


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    run = trained(tmp_path_factory.mktemp("images"), "model=linear", "data.limit=300", "epochs=2")
    with served(predictor(run)) as service:
        yield service


@pytest.fixture(scope="module")
def of_rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(predictor(of_table(tmp_path_factory.mktemp("table")))) as service:
        yield service


def opened(page: Any, service: Served) -> Any:
    page.goto(f"http://127.0.0.1:{service.port}/")
    page.wait_for_selector("#form > *")
    return page


def bars(page: Any) -> dict[str, str]:
    """Classes and what stands beside their bars, from top to bottom."""
    page.wait_for_selector(".bars")
    lines = page.locator(".bars li").all()
    return {li.locator(".name").inner_text(): li.locator(".share").inner_text() for li in lines}


def error(page: Any) -> str:
    page.wait_for_selector("#error:not([hidden])")
    return page.locator("#error").inner_text()


def test_an_image_is_chosen_and_its_classes_are_those_of_the_predictor(page: Any, of_images: Served) -> None:
    pixels = digits(2)
    expected = of_images.service.predictor.images(torch.from_numpy(np.stack(pixels))[..., None])
    opened(page, of_images)
    for number, one in enumerate(pixels):
        page.set_input_files("#file", {"name": f"{number}.png", "mimeType": "image/png", "buffer": png(one)})
        page.locator(".drop", has_text=f"{number}.png").wait_for()
        page.wait_for_selector("#output:not([aria-busy])")
        found = bars(page)
        likely = expected.likely[number]
        order = likely.argsort(descending=True).tolist()
        assert [*found] == [str(place) for place in order]
        assert page.locator(".predicted").inner_text() == str(order[0])
        for name, share in found.items():
            assert float(share.rstrip("%")) == pytest.approx(100 * float(likely[int(name)]), abs=0.06)
        fill, track = (page.locator(part).first.bounding_box()["width"] for part in (".fill", ".track"))
        assert fill / track == pytest.approx(float(likely.max()), abs=0.02)


def test_an_image_is_dropped_and_one_that_is_broken_is_said_so(page: Any, of_images: Served) -> None:
    opened(page, of_images)
    drop = """([bytes, name]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        document.querySelector(".drop").dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, [[*png(digits(1)[0])], "dropped.png"])
    assert len(bars(page)) == 10
    page.evaluate(drop, [[*b"no image"], STRANGE])
    assert "cannot be read as an image: it is none of JPEG" in error(page)
    assert page.locator(".bars").count() == 0
    assert STRANGE in page.locator(".drop").inner_text()
    page.evaluate(drop, [[*png(digits(1)[0])], "again.png"])
    assert len(bars(page)) == 10
    assert page.locator("#error").is_hidden()


def test_a_row_is_filled_in_with_the_keyboard_alone(page: Any, of_rows: Served) -> None:
    opened(page, of_rows)
    page.keyboard.press("Tab")
    page.keyboard.type("red")  # in a menu
    page.keyboard.press("Tab")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("3.25")
    page.keyboard.press("Tab")
    page.keyboard.type("no")
    page.keyboard.press("Tab")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("2021-05-06")
    page.keyboard.press("Enter")
    found = bars(page)
    row = {"colour": "red", "size": 3.25, "works": "no", "built": "2021-05-06"}
    (answer,) = of_rows.client.post("/predict", json=[row]).json()["answers"]
    assert [*found] == [entry["class"] for entry in answer["classes"]]
    assert float(next(iter(found.values())).rstrip("%")) == pytest.approx(100 * answer["probability"], abs=0.06)


def test_a_mistake_in_a_row_stands_beside_its_column(page: Any, of_rows: Served) -> None:
    opened(page, of_rows)
    page.get_by_label("size").fill("wide")
    page.get_by_label("built").fill("soon")
    page.get_by_role("button", name="Predict").click()
    assert "column 'size' takes a number, not 'wide'" in error(page)
    marked = page.locator("[aria-invalid=true]")
    assert marked.count() == 2
    assert page.get_by_label("size").evaluate("one => one === document.activeElement")
    beside = page.get_by_label("built").get_attribute("aria-describedby")
    assert "takes a date written like '2026-01-31'" in page.locator(f"#{beside}").inner_text()
    page.get_by_label("size").fill("")  # some were missing in training
    page.get_by_label("built").fill("2021-05-06")
    page.get_by_role("button", name="Predict").click()
    assert len(bars(page)) == 2
    assert marked.count() == 0


def test_names_of_strangers_are_text(page: Any, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    lines = [f'"{word}",{size},{target}' for word, size, target in ((STRANGE, 1, f"a{STRANGE}"), ("b", 2, "b"))]
    table.write_text("\n".join([f'"w{STRANGE}",__proto__,target', *lines * 20]) + "\n")
    words = ("data=table", f"data.path={table}", "data.target=target", "model=linear", "epochs=1")
    with served(predictor(trained(tmp_path / "runs", *words))) as service:
        opened(page, service)
        page.get_by_role("button", name="Predict").click()
        assert {*bars(page)} == {f"a{STRANGE}", "b"}
        assert f"w{STRANGE}" in page.locator("label").all_inner_texts()
        assert page.locator("img").count() == 0


def test_columns_that_are_too_many_for_a_form_are_said_so(page: Any, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    lines = [",".join(f"{value:.3f}" for value in row) for row in np.random.default_rng(0).normal(size=(40, 601))]
    table.write_text("\n".join([",".join(f"c{number}" for number in range(601)), *lines]) + "\n")
    words = ("data=table", f"data.path={table}", "data.target=c0", "model=linear", "epochs=1")
    with served(predictor(trained(tmp_path, *words))) as service:
        opened(page, service)
        assert "too many columns" in page.locator("#form").inner_text()


def test_a_regression_shows_its_value(page: Any, tmp_path: Path) -> None:
    with served(predictor(trained(tmp_path, "model=linear", "data=line", "epochs=1"))) as service:
        opened(page, service)
        page.get_by_label("x1").fill("0.5")
        page.get_by_role("button", name="Predict").click()
        page.wait_for_selector(".predicted")
        (answer,) = service.client.post("/predict", json=[{"x1": 0.5}]).json()["answers"]
        shown = float(page.locator(".predicted").inner_text().replace(",", ""))
        assert shown == pytest.approx(answer["value"], rel=1e-4)


def test_a_service_that_has_gone_is_said_so(page: Any, of_images: Served) -> None:
    opened(page, of_images)
    page.route("**/predict", lambda route: route.abort())
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": png(digits(1)[0])})
    assert "the service cannot be reached" in error(page)
    page.unroute("**/predict")
    page.route("**/predict", lambda route: route.fulfill(status=502, body="<b>a proxy's page</b>"))
    page.set_input_files("#file", {"name": "b.png", "mimeType": "image/png", "buffer": png(digits(1)[0])})
    page.locator("#error", has_text="status 502").wait_for()


def test_a_page_of_another_site_gets_no_answer(browser: Any, of_images: Served) -> None:
    page = browser.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="<p>hello</p>", content_type="text/html"))
    page.goto("http://evil.example/")
    ask = """async ([address, type]) => {
        try {
            const options = { method: "POST", body: "x", headers: type ? { "Content-Type": type } : {} };
            return await (await fetch(address + "/predict", options)).text();
        } catch (error) { return error.name; }
    }"""
    for media in ("image/png", ""):
        assert page.evaluate(ask, [f"http://127.0.0.1:{of_images.port}", media]) == "TypeError"
    page.close()


def test_the_schema_and_the_page_agree_on_what_is_sent(page: Any, of_rows: Served) -> None:
    opened(page, of_rows)
    with page.expect_request("**/predict") as asked:
        page.get_by_role("button", name="Predict").click()
    example = of_rows.client.get("/schema").json()["example"]["body"]["rows"][0]
    sent = json.loads(asked.value.post_data)["rows"][0]
    assert sent == {**example, "works": "yes"}

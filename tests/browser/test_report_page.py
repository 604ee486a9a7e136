from pathlib import Path

import pytest
from command_line import BANKNOTE

from xpnet.cli.main import main

AXE = Path(__file__).parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
pytest.importorskip("jinja2", reason="reports need Jinja2")


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    """A report that is open in the browser, and what it asked for or complained of."""
    folder = tmp_path_factory.mktemp("report")
    model, out = f"{folder}/model.safetensors", folder / "report.html"
    options = ["--epochs=2", "--nets=1", "--init=zeros"]  # of which the doctor has much to say
    main(["train", str(BANKNOTE), "--target=class", "--out", model, *options])
    main(["report", model, str(BANKNOTE), "--out", str(out)])
    tab, told = chromium.new_page(), list[str]()
    tab.on("request", lambda each: told.append(each.url))
    tab.on("console", lambda each: told.append(each.text))
    tab.on("pageerror", lambda each: told.append(str(each)))
    tab.goto(out.as_uri())
    yield tab, told, out
    tab.close()


def test_a_report_requests_nothing_and_keeps_its_content_policy(page):
    tab, told, out = page
    assert tab.locator("svg").count() > 8
    assert tab.locator("article svg").count() > 0
    assert told == [out.as_uri()]


@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious_in_a_report(page, width):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make test-browser")
    tab, _, _ = page
    tab.set_viewport_size({"width": width, "height": 800})
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.evaluate("async () => (await axe.run()).violations")
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_report_prints_on_a_few_pages(page):
    paper = page[0].pdf(format="A4")
    assert 1 <= paper.count(b"/Type /Page\n") <= 8

"""The playground's page in a browser."""

import runpy
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playground_presets import EXPECTED, LEARNT

from xpnet.playground import engine
from xpnet.playground.settings import PRESETS

AXE = Path(__file__).parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
SETTLED, PLAYING = "body[data-settled]", "body[data-state=playing]"


def settle(tab, address, link):
    tab.goto("about:blank")
    tab.goto(f"{address}#{quote(link, safe='=&,:')}")
    trained = ":not([data-settled='0'])" if "steps=" in link else ""
    tab.wait_for_selector(f"{SETTLED}{trained}", timeout=120_000)
    return tab.inner_text("#loss")


@pytest.mark.parametrize(("name", "code"), EXPECTED.items())
def test_every_preset_by_its_address_learns_or_shows_its_finding(tab, address, name, code):
    loss = settle(tab, address, PRESETS[name])
    items = tab.locator("#findings li")
    if code is None:
        assert items.all_inner_texts() == ["Nothing wrong was measured so far."]
        assert float(loss) < LEARNT
    else:
        assert tab.locator(f"#findings [data-code={code}]").count() == 1
        assert tab.locator(".marked").count() > 0 or "rate" in code


def test_a_reload_gives_the_same_loss(tab, address):
    loss = settle(tab, address, "data=xor&dropout=0.2&steps=700")
    assert settle(tab, address, tab.url.partition("#")[2].replace("%20", " ")) == loss
    assert tab.inner_text("#count") == "700"


@pytest.fixture
def answers(monkeypatch):
    """Seconds of processor time and the step of each reply: other processes may be busy."""
    found, answer = [], engine.Playground.answer

    def timed(self, message):
        started = time.thread_time()
        reply = answer(self, message)
        found.append((time.thread_time() - started, reply["step"]))
        return reply

    monkeypatch.setattr(engine.Playground, "answer", timed)
    return found


def test_pause_ends_the_training_within_200_ms(tab, address, answers):
    settle(tab, address, "data=spiral&layers=8 tanh,8 tanh")
    tab.click("#play")
    tab.wait_for_function("() => count.textContent.length > 3")
    state, shown = tab.evaluate(
        "() => [play.click(), document.body.dataset.state, count.textContent].slice(1)"
    )
    assert state == "paused"
    tab.wait_for_selector(SETTLED)
    late = [seconds for seconds, step in answers if step > int(shown.replace(",", ""))]
    assert len(late) <= 2  # the steps under way, and a last look
    assert sum(late) < 0.2


def test_closing_the_tab_ends_the_training(tab, address, monkeypatch):
    taken, step = [], engine.Playground._watch
    monkeypatch.setattr(
        engine.Playground, "_watch", lambda *given: (taken.append(time.time()), step(*given))[1]
    )
    settle(tab, address, "data=spiral")
    tab.click("#play")
    tab.wait_for_selector(PLAYING)
    tab.close()
    closed = time.time()
    time.sleep(2.5)
    assert not taken or taken[-1] < closed + 2.0


def test_20_frames_and_500_steps_take_a_second_of_processor_time_at_most(tab, address, answers):
    """In the engine and in the page together."""

    def seconds_of_page():
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "ThreadTime")

    settle(tab, address, "data=spiral&layers=8 tanh,8 tanh")
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable")
    answers.clear()
    before = seconds_of_page()
    tab.click("#play")
    time.sleep(2)
    tab.click("#play")
    tab.wait_for_selector(SETTLED)
    seconds = seconds_of_page() - before + sum(each for each, _ in answers)
    assert len(answers) / seconds > 20
    assert answers[-1][1] / seconds > 500


def test_a_remedy_is_applied_by_a_click(tab, address):
    settle(tab, address, PRESETS["Case 2: wrong sign"])
    assert tab.locator("#network path.marked").count() == 9
    tab.click("#findings [data-code=gradient-sign] button")
    tab.wait_for_selector("#network path:not(.marked)", state="attached")
    tab.wait_for_selector(SETTLED)
    assert "mistakes" not in tab.url


def test_a_weight_is_edited_by_the_keyboard(tab, address):
    settle(tab, address, "data=circle&steps=5")
    tab.focus("#unit-1-2")
    tab.keyboard.press("Enter")
    tab.focus("#weight-0")
    tab.keyboard.press("Control+A")
    tab.keyboard.type("2.5")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**edits=5:0:0:2:2.5**")


def test_the_exported_program_repeats_the_losses_of_the_page(tab, address, tmp_path):
    loss = settle(tab, address, "data=plane&batch=1000&held_out=0&steps=40")
    with tab.expect_download() as download:
        tab.click("#export")
    zipfile.ZipFile(download.value.path()).extractall(tmp_path)
    found = runpy.run_path(str(tmp_path / "numpy_net.py"))
    x, y = found["x"], found["y"]
    for i in found["layers"]:
        x = found["functions"][i](x @ found["weights"][i] + found["biases"][i])
    assert f"{np.mean((x - y) ** 2):.4g}" == f"{float(loss):.4g}"


def test_the_picture_is_a_png(tab, address):
    settle(tab, address, "data=gauss&steps=50")
    with tab.expect_download() as download:
        tab.click("#picture")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(tab, address, scheme, width):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make test-browser")
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    settle(tab, address, PRESETS["Case 2: wrong sign"])
    tab.click("#unit-1-0")
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.evaluate("async () => (await axe.run()).violations")
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_table_is_learnt_on_its_main_components_or_on_inputs_that_are_chosen(tab, address):
    settle(tab, address, "data=your table&steps=20")
    assert "component 1" in tab.inner_text("#axes")
    tab.select_option("#set-horizontal", "income")
    tab.wait_for_function("() => axes.textContent.includes('income')")
    link = tab.url.partition("#")[2].replace("%20", " ")
    assert float(settle(tab, address, f"{link}&steps=400")) < 0.3


def test_an_error_in_the_address_is_told(tab, address):
    tab.goto(f"{address}#data=moon")
    tab.wait_for_selector("#error:not(:empty)")
    assert "choose one of" in tab.inner_text("#error")
    tab.wait_for_selector(SETTLED)  # with the defaults, and the error still there
    assert "choose one of" in tab.inner_text("#error")

"""The playground's page in a browser."""

import runpy
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from xpnet.playground import engine
from xpnet.playground.settings import PRESETS

AXE = Path(__file__).parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
SETTLED, PLAYING = "body[data-settled]", "body[data-state=playing]"


def settle(tab, address, link):
    tab.goto("about:blank")
    tab.goto(f"{address}#{quote(link, safe='=&,:')}")
    tab.wait_for_selector(SETTLED)
    while tab.inner_text("#count") == "0" and "steps=" in link:
        time.sleep(0.01)
    return tab.inner_text("#loss")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_by_its_address_is_trained_and_told_about(tab, address, name):
    settle(tab, address, PRESETS[name])
    items = tab.locator("#findings li")
    if "right" in name or "learns" in name:
        assert items.all_inner_texts() == ["Nothing wrong was measured so far."]
    else:
        assert items.first.get_attribute("data-code")


def test_a_reload_gives_the_same_loss(tab, address):
    loss = settle(tab, address, "data=xor&dropout=0.2&steps=700")
    assert settle(tab, address, tab.url.partition("#")[2].replace("%20", " ")) == loss
    assert tab.inner_text("#count") == "700"


def test_pause_answers_within_200_ms(tab, address):
    settle(tab, address, "data=spiral&layers=8 tanh,8 tanh")
    tab.click("#play")
    tab.wait_for_selector(PLAYING)
    started = time.perf_counter()
    tab.click("#play", no_wait_after=True)
    tab.wait_for_selector("body[data-state=paused]")
    assert time.perf_counter() - started < 0.2
    tab.wait_for_selector(SETTLED)


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


def test_there_are_20_frames_and_500_steps_a_second(tab, address, monkeypatch):
    frames, state = [], engine.Playground._state
    monkeypatch.setattr(
        engine.Playground,
        "_state",
        lambda self, **given: (frames.append(1), state(self, **given))[1],
    )
    rates = []
    for _ in range(3):  # other processes may be busy
        settle(tab, address, "data=spiral&layers=8 tanh,8 tanh")
        frames.clear()
        tab.click("#play")
        time.sleep(2)
        rates.append((len(frames) / 2, int(tab.inner_text("#count").replace(",", "")) / 2))
        if rates[-1][0] >= 20 and rates[-1][1] >= 500:
            return
    pytest.fail(f"frames and steps a second: {rates}")


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


def test_an_error_in_the_address_is_told(tab, address):
    tab.goto(f"{address}#data=moon")
    tab.wait_for_selector("#error:not(:empty)")
    assert "choose one of" in tab.inner_text("#error")

"""Headless Chromium, and the playground's server in a thread."""

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A page that fails the test on errors, and that asks nothing of other hosts."""
    errors, context = [], chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda each: "127.0.0.1" in each.url or errors.append(each.url))
    yield page
    context.close()
    assert [each for each in errors if not each.startswith(("data:", "blob:"))] == []


@pytest.fixture(scope="session")
def address():
    uvicorn = pytest.importorskip("uvicorn")
    from xpnet.playground.data import Points
    from xpnet.playground.server import application

    x = np.random.default_rng(0).normal(size=(80, 3))
    table = Points(x, x[:, 1] > 0, ("age", "income", "visits"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(application("t", port, table), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{port}/t/"
        server.should_exit = True
        thread.join()

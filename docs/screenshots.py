"""Take the screenshots of the documentation, with Playwright and Chromium."""

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

from xpnet.playground.settings import PRESETS

DOCS = Path(__file__).parent
TABLE = DOCS.parent / "examples" / "data" / "banknote.csv"


def report(browser: Browser) -> None:
    """Take the first screen of a report."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "banknote.html")
        options = ["--target", "class", "--simple", "--epochs", "3", "--report", str(page)]
        options += ["--out", f"{folder}/banknote.safetensors"]
        subprocess.run([sys.executable, "-m", "xpnet", "train", str(TABLE), *options], check=True)
        tab = browser.new_page(viewport={"width": 1000, "height": 1040})
        tab.goto(page.as_uri())
        tab.screenshot(path=DOCS / "report.png")


def playground(browser: Browser) -> None:
    """Take the playground at a preset."""
    command = [sys.executable, "-m", "xpnet", "playground", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        address = served.stdout.readline().strip()
        tab = browser.new_page(viewport={"width": 1280, "height": 1080})
        tab.goto(f"{address}#{quote(PRESETS['Case 2: wrong sign'], safe='=&,:')}")
        tab.wait_for_selector("#findings [data-code]")
        tab.wait_for_selector("body[data-settled]")
        tab.screenshot(path=DOCS / "playground.png")
        served.terminate()


if __name__ == "__main__":
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        report(chromium)
        playground(chromium)
        chromium.close()

"""Make the pictures of pages in this documentation: python docs/screenshots.py (needs Chromium)."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import sync_playwright

from xpnet.playground.settings import PRESETS

DOCS = Path(__file__).parent
PRESET = "Case 2: wrong sign"


def main() -> None:
    """Photograph the playground at a preset, on a screen of 1280 pixels."""
    command = [sys.executable, "-m", "xpnet", "playground", "--port", "0", "--no-browser"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served,
        sync_playwright() as driver,
    ):
        address = served.stdout.readline().strip()
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.goto(f"{address}#{quote(PRESETS[PRESET], safe='=&,:')}")
        page.wait_for_selector("#findings [data-code]")
        page.wait_for_selector("body[data-settled]")
        page.screenshot(path=DOCS / "playground.png")
        browser.close()
        served.terminate()


if __name__ == "__main__":
    main()

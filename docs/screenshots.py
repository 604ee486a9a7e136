"""Take the screenshots of the documentation, with Playwright and Chromium."""

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

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


if __name__ == "__main__":
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        report(chromium)
        chromium.close()

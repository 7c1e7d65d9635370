"""Pictures of the console, where Playwright and a Chromium are there."""

import importlib.util
import shutil
from pathlib import Path

from tools.guide.step import Look

_WAIT_MS = 15_000


def missing() -> str:
    """Return what is missing for pictures, empty if nothing is."""
    if importlib.util.find_spec("playwright") is None:
        return "the Python package playwright"
    if shutil.which("chromium") is None:
        return "the program chromium"
    return ""


def take(url: str, look: Look, folder: Path) -> Path:
    """Take a picture of a page of the console; return its path. Raises playwright's errors."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (an optional package)

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{look.name}.png"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url + look.path, timeout=_WAIT_MS)
            page.locator("#graph text").first.wait_for(timeout=_WAIT_MS)
            page.screenshot(path=path)
        finally:
            browser.close()
    return path

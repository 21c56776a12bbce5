"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from types import SimpleNamespace

import pytest
from helpers import picture, serving
from page_steps import CHROMIUM


@pytest.fixture
def folder(tmp_path):
    """A folder of four photographs for a project."""
    folder = tmp_path / "animals"
    folder.mkdir()
    for number in range(4):
        picture(200, 160, number).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def page_address():
    with serving({"compact": "compact", "again": "compact"}) as address:
        yield address


@pytest.fixture(scope="module")
def playwright():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright):
    opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield opened
    opened.close()


@pytest.fixture
def errors():
    """What the page has thrown and what the browser's console reports."""
    return []


@pytest.fixture
def questions():
    """What the page has asked; a test may set `accept` to False."""
    return SimpleNamespace(asked=[], accept=True)


@pytest.fixture
def page(browser, page_address, errors, questions):
    """The page. At the end, it must have sent no request elsewhere and caused no error."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    requested = []
    opened.on("request", lambda request: requested.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("dialog", lambda dialog: answer(dialog, questions))
    opened.goto(page_address)
    opened.wait_for_selector("#network option", state="attached")
    yield opened
    opened.close()
    refused = "the server responded with a status of 422"  # the page shows these errors itself
    assert [error for error in errors if refused not in error] == []
    assert [url for url in requested if not url.startswith((page_address, "blob:", "data:"))] == []


def answer(dialog, questions):
    questions.asked.append(dialog.message)
    if questions.accept:
        dialog.accept()
    else:
        dialog.dismiss()

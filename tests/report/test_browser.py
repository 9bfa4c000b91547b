"""The page in a real browser: what a person sees, on a desk and on a phone, without an error."""

import json
import shutil
import threading
import time

import pytest

from aquila_jax.report import page, serve
from tests.report import synthetic

webdriver = pytest.importorskip("selenium.webdriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SCREEN = (1200, 900)
DESK, PHONE = (1200, 6000), (390, 12_000)  # high enough that every panel is in sight


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "aquila-7b"
    return synthetic.write_run(folder, steps=600, end=time.time())


def look(browser, address, size=SCREEN):
    """Opens the page in a window of `size` and waits until all in sight is drawn."""
    browser.get("about:blank")
    browser.get_log("browser")
    resize(browser, size)
    browser.get(address)
    drawn(browser)


def resize(browser, size):
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def drawn(browser):
    """Waits until all plots in sight are drawn; no error may be in the console."""
    script = "const plots = [...report.plots.values()]; return !plots.some(plot => plot.seen && \
        (plot.stale || !plot.querySelector('.main-svg'))) && plots.every(plot => 'seen' in plot)"
    until(lambda: browser.execute_script(script))
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def until(told, seconds=60):
    """Waits for a true answer; how long is no part of any test."""
    end = time.monotonic() + seconds
    while not (value := told()):
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.05)
    return value


def text(browser, selector):
    return browser.execute_script(
        "return document.querySelector(arguments[0])?.innerText", selector
    )


def count(browser, selector):
    return browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector)


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


@pytest.fixture(scope="module")
def sight(browser, run, tmp_path_factory):
    """The page of a healthy run, with every panel drawn."""
    out = tmp_path_factory.mktemp("page") / "page.html"
    look(browser, page.write_page([run], out).as_uri(), DESK)


def test_what_a_person_sees(browser, sight):
    assert text(browser, ".status") == "Healthy"
    assert "Step 438 of 600" in text(browser, ".sentence")
    assert count(browser, ".tile") == 6
    sections = browser.execute_script(
        "return [...document.querySelectorAll('h2')].map(e => e.innerText)"
    )
    assert sections == [
        "Loss and where it will end", "Languages and domains", "Mixture", "Decisions and alarms",
        "Weight trajectory", "Optimiser", "Speed and time", "The run",
    ]  # fmt: skip
    for panel in ("loss", "accuracy", "forecasts", "heldout-domains-zh_web", "mixture-0",
                  "trajectory-attention", "grad_norm", "learning_rate", "update_ratio", "mfu",
                  "goodput"):  # fmt: skip
        assert count(browser, f"[data-panel='{panel}'] .plot path") > 0, panel
    assert count(browser, "[data-panel=loss] .shapelayer path") == 2  # two phases so far
    row = "details.row:has(dd)"
    assert count(browser, row) == count(browser, "details.row") > 10


def test_switches_change_words_colours_axis_and_panels(browser, sight):
    click(browser, "#language")
    assert text(browser, ".status") == "运行健康"
    assert text(browser, "#loss h2") == "损失及其终点"
    click(browser, "#theme")
    click(browser, "#axis button:nth-child(2)")
    click(browser, "#domains .choice button:nth-child(2)")
    drawn(browser)
    assert count(browser, "[data-panel='training-domains-zh_web']") == 1
    click(browser, "#language")
    assert text(browser, ".status") == "Healthy"


def test_a_mark_on_the_loss_opens_its_evidence(browser, sight):
    entry = browser.execute_script(
        "const alarm = report.panel('loss').marks.find(mark => mark.kind === 'alarm');"
        "document.querySelector('[data-panel=loss] .plot').emit('plotly_click',"
        " { points: [{ customdata: alarm.entry }] }); return alarm.entry"
    )
    opened = until(lambda: text(browser, f"#{entry}[open] .pairs"))
    assert "The loss has been creeping up" in opened and "Remedy" in opened
    assert "grad norm" in opened and "5.81" in opened


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser, sight):
    resize(browser, PHONE)
    drawn(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE[0]
    wide = (
        "return [...document.querySelectorAll('main .card, main svg')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth).length"
    )
    until(lambda: browser.execute_script(wide) == 0)


def test_a_damaged_run_is_shown_with_its_damage(browser, run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "evaluations.jsonl").unlink()
    for name in ("journal.jsonl", "events.jsonl"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-30])
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    lines[50] = lines[50].replace('"loss":', '"loss":NaN,"old":')
    (folder / "metrics.jsonl").write_text("\n".join(lines[:90] + lines[120:]) + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    look(browser, page.write_page([folder, empty], tmp_path / "page.html").as_uri())
    told = text(browser, "#health")
    for words in ("evaluations.jsonl is missing", "journal.jsonl ends in the middle of a line",
                  "Steps are missing", "not a finite number", "Waiting for the first step"):  # fmt: skip
        assert words in told
    assert count(browser, "[data-panel=loss] .plot path") > 0


def test_two_runs_of_one_name_side_by_side(browser, run, tmp_path):
    other = synthetic.write_run(tmp_path / "other" / "aquila-7b", steps=300, seed=1)
    look(browser, page.write_page([run, other], tmp_path / "page.html").as_uri())
    names = browser.execute_script(
        "return [...document.querySelectorAll('h1')].map(e => e.innerText)"
    )
    assert len(set(names)) == 2 and all(name.endswith("/aquila-7b") for name in names)
    assert count(browser, "#domains table") == 2
    assert count(browser, "[data-panel=loss] .scatterlayer .trace") >= 4


def test_runs_side_by_side_and_long_names_fit_on_a_desk_and_on_a_phone(browser, run, tmp_path):
    others = [
        synthetic.write_run(tmp_path / name, steps=100, end=time.time()) for name in ("b", "c", "d")
    ]
    journal = (others[0] / "journal.jsonl").read_text()
    long = "english_common_crawl_of_2024_filtered_and_deduplicated"
    (others[0] / "journal.jsonl").write_text(journal.replace("en_web", long))
    address = page.write_page([run, *others], tmp_path / "page.html").as_uri()
    narrow = (
        "return [...document.querySelectorAll('.top h3')].filter(e => e.innerText.length > 3 &&"
        " e.getBoundingClientRect().height > 45).map(e => e.innerText)"
    )
    hidden = (
        "return [...document.querySelectorAll('.list, .top, .top *, .row .main')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).map(e => e.innerText)"
    )
    for size in (DESK, PHONE):
        look(browser, address, size)
        assert browser.execute_script(narrow) == browser.execute_script(hidden) == []
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(wide) == 0


def test_the_page_follows_a_live_run(browser, tmp_path):
    folder = synthetic.write_run(tmp_path / "run", steps=200, done=0.5, end=time.time())
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    with serve.make_server([folder], 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            look(browser, f"http://127.0.0.1:{server.server_address[1]}/")
            assert "Step 100 of 200" in text(browser, ".sentence")
            for step in (101, 102):
                row = last | {"step": step, "loss": 1.0, "time": time.time()}
                with (folder / "metrics.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")
                until(lambda step=step: f"Step {step} of 200" in text(browser, ".sentence"))
            drawn(browser)
        finally:
            browser.get("about:blank")
            server.shutdown()
            thread.join()


def test_words_are_painted_before_the_library_is_loaded(browser, run, tmp_path, monkeypatch):
    library = "performance.mark('library'); Plotly = { react: () => Promise.reject() };"
    monkeypatch.setattr(page.plotly.offline, "get_plotlyjs", lambda: library)
    browser.get(page.write_page([run], tmp_path / "page.html").as_uri())
    times = "return ['paint', 'mark'].map(kind => performance.getEntriesByType(kind)[0]?.startTime)"
    painted, loaded = until(lambda: None not in (told := browser.execute_script(times)) and told)
    assert painted < loaded
    assert text(browser, ".status") == "Healthy"


def test_a_hundred_thousand_steps(browser, tmp_path):
    line = '{{"step":{0},"tokens":{1},"sequences":{2},"loss":{3:.4f},"grad_norm":{3:.3f},' \
        '"learning_rate":1e-4,"clip_norm":1.0,"loss_limit":Infinity,"time":{0},"step_seconds":1.0,' \
        '"domain_loss":{{"en":{3:.3f},"zh":{3:.3f}}},"tokens_per_second":4096,"mfu":0.5}}\n'  # fmt: skip
    steps = range(1, 100_001)
    lines = [line.format(s, 4096 * s, s, 2 + 9 * s**-0.5 + s % 7 / 50) for s in steps]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    begun = time.monotonic()
    address = page.write_page([tmp_path], tmp_path / "page.html").as_uri()
    written = time.monotonic()
    look(browser, address)
    opened = time.monotonic()
    print(f"100,000 steps: written in {written - begun:.2f} s, opened in {opened - written:.2f} s")
    assert "Step 100,000" in text(browser, ".sentence")
    assert count(browser, "[data-panel=loss] .plot path") > 0

"""``--report``: one page that says what was measured, needs nothing else, and works in a real browser."""

import base64
import html
import re
import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from builders import stand_ins, video_config

from mindrestore.cli import main
from mindrestore.evaluation.report import TRUTH, FrameRecord, _largest_error, write_report
from mindrestore.evaluation.results import Row
from mindrestore.evaluation.video import evaluate_videos
from mindrestore.evaluation.video_results import ClipResults, ClipScore
from mindrestore.media.writing import write_clip

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
SIDE = 64
ODD_NAME = 'street <b> & "Co"'


class Elements(HTMLParser):
    """Every element of a page, as (tag, attributes), with the ones left open."""

    EMPTY = ("meta", "img", "input")

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def sources(self):
        return [attributes["src"] for tag, attributes in self.found if "src" in attributes]


def record(name=ODD_NAME):
    """Five frames: black in truth, grey by one method, by the other black but for a white corner that moves and, in frame
    3, is largest.
    """
    made = FrameRecord(name, "network", middle=1)
    for size in (4, 6, 12, 8, 2):
        truth = np.zeros((3, SIDE, SIDE), np.float32)
        image = truth.copy()
        image[:, 40 : 40 + size, 8 : 8 + size] = 1
        made.add({"network": image, "plain": truth + 0.5}, truth, {"network": 30.0 - size, "plain": 6.0})
    return made


@pytest.fixture
def page(tmp_path):
    score = ClipScore(ODD_NAME, 5, 23.5, 0.9, 24.5, 0.8, 1.25)
    results = ClipResults(
        "A <title>",
        {"network": "VRT", "plain": "as given"},
        [Row(ODD_NAME, {"network": score, "plain": score}), Row("not there")],
        {"device": "cpu", "versions": "1"},
    )
    path = tmp_path / "report.html"
    write_report(path, results, [record()], {"model": {"name": "vrt"}, "note": "</pre>"})
    return path


def in_browser(page, script, tmp_path, *options):
    """Run the page with one more script behind its own; return what the browser printed."""
    copy = tmp_path / "copy.html"
    copy.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    run = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1200,2600",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            *options,
            copy.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_worst_frame_and_those_to_look_at_are_kept():
    made = record()
    assert made.worst == 2 and sorted(made.shown) == [0, 1, 2] and made.lowest() == 18.0
    assert made.curves == {"network": [26.0, 24.0, 18.0, 22.0, 28.0], "plain": [6.0] * 5}
    assert list(made.shown[2]) == ["network", "plain", TRUTH]
    top, left, side = _largest_error(made.shown[2]["network"], made.shown[2][TRUTH])
    assert top <= 40 and left <= 8 and top + side >= 52 and left + side >= 20 and side == 48
    unknown = FrameRecord("", "network")
    for _ in range(3):
        unknown.add({"network": np.zeros((4, 4))})
    assert list(unknown.shown) == [0] and unknown.lowest() is None and not unknown.curves


def test_the_page_holds_everything_itself(page):
    text = page.read_text()
    elements = Elements(text)
    assert not elements.open or elements.open == []
    assert all(source.startswith("data:image/") for source in elements.sources())
    assert not re.search(r"(?:href|src)=\"(?!data:)|url\(|@import|https?://", re.sub(r"data:[^\"]*", "data:", text))
    for said in ("23.50", ".9000", "24.50", "1.250", "mean of 1", "absent", "device", "settings", "18.00 dB", "frame 3 of 5"):
        assert said in text
    assert html.escape(ODD_NAME) in text and ODD_NAME not in text and "A &lt;title&gt;" in text and "&lt;/pre&gt;" in text


def test_pictures_are_the_frames_and_curves_are_the_scores(page):
    sources = Elements(page.read_text()).sources()
    kinds = [source.split(";")[0] for source in sources]
    assert kinds.count("data:image/svg+xml") == 1 and kinds.count("data:image/png") == 3 * 3 + 3
    images = [
        cv2.imdecode(np.frombuffer(base64.b64decode(source.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
        for source in sources
        if "png" in source[:16]
    ]
    np.testing.assert_array_equal(images[6].transpose(2, 0, 1), 255 * record().shown[2]["network"])
    assert images[-1].shape == (48, 48, 3)
    curve = base64.b64decode(next(source for source in sources if "svg" in source[:20]).split(",")[1]).decode()
    assert "network" in curve and "plain" in curve and "PSNR, dB" in curve


def test_an_evaluation_writes_it(tmp_path, prepared):
    clip = tmp_path / "clip"
    rows, columns = np.mgrid[:32, :48]
    waves = (127 + 100 * np.sin((columns + number) / 5) * np.cos(rows / 7) for number in range(9))
    write_clip(clip, (wave.astype(np.uint8) for wave in waves), 9)
    results = evaluate_videos(video_config("sr", gt=str(clip)), stand_ins("sr"), tmp_path / "out", report=True)
    text = (tmp_path / "out" / "report.html").read_text()
    for value in (results.mean("network").psnr, results.mean("plain").psnr):
        assert f"{value:.2f}" in text
    assert "frame 5 of 9" in text and "the worst" in text and "upscale: 4" in text and results.circumstances["versions"] in text
    evaluate_videos(video_config("deblur", lq=str(clip)), stand_ins("deblur"), tmp_path / "unscored", report=True)
    unscored = (tmp_path / "unscored" / "report.html").read_text()
    assert "frame 1 of 9" in unscored and "the worst" not in unscored and "svg+xml" not in unscored


def test_captures_have_nothing_to_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "--captures", "nowhere", "--mask", "m.mat", "--report"]) == 2
    assert "--report: a camera's captures have no ground truth" in capsys.readouterr().err


@needs_browser
def test_a_browser_shows_it_without_errors(page, tmp_path):
    script = """
      const out = [];
      window.addEventListener("error", (event) => out.push(event.message));
      window.addEventListener("load", () => {
        const divided = document.querySelector(".divided"), box = divided.getBoundingClientRect();
        divided.scrollIntoView();
        const inside = divided.getBoundingClientRect();
        const under = document.elementFromPoint(inside.left + inside.width / 2, inside.top + inside.height / 2);
        document.body.dataset.result = JSON.stringify({
          out, broken: [...document.images].filter((image) => image.offsetParent && !image.naturalWidth).length,
          under: under && under.type, width: box.width, height: box.height,
          shown: divided.querySelectorAll(".is-left, .is-right").length,
          sections: document.querySelectorAll("section").length});
      });"""
    dom = in_browser(page, script, tmp_path, "--dump-dom", "--virtual-time-budget=3000")
    found = html.unescape(re.search(r'data-result="([^"]*)"', dom)[1])
    assert '"out":[]' in found and '"broken":0' in found and '"under":"range"' in found
    assert '"shown":2' in found and '"sections":1' in found
    width, height = (float(re.search(f'"{name}":([0-9.]+)', found)[1]) for name in ("width", "height"))
    assert width == height >= SIDE


@needs_browser
@pytest.mark.parametrize("at, white", [(0, False), (25, True), (100, True)])
def test_the_divider_uncovers_one_frame_over_the_other(at, white, page, tmp_path):
    """Left half grey by the plain method, right black: what the pixels of a screenshot say."""
    script = f"""
      const range = document.querySelector(".divided input"), divided = document.querySelector(".divided");
      range.value = {at};
      range.dispatchEvent(new Event("input"));
      document.body.replaceChildren(divided);
      document.body.style.margin = 0; document.body.style.padding = 0; document.body.style.maxWidth = "none";"""
    picture = tmp_path / "shot.png"
    in_browser(page, script, tmp_path, f"--screenshot={picture}", "--virtual-time-budget=3000")
    shot = cv2.imread(str(picture))[:512, :512]  # the frame, 8 times as large; row 100 is black in truth
    row = shot[100, :, 0].astype(int)
    border = int(512 * at / 100)
    assert np.abs(row[8 : max(8, border - 8)] - 128).max(initial=0) <= 2
    assert row[min(504, border + 8) : 504].max(initial=0) <= 2
    assert (np.abs(row - 128) <= 2).any() == white

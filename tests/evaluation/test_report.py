"""``--report``: one page that says what was measured, needs nothing else, and works in a real browser."""

import base64
import html
import io
import math
import re
from html.parser import HTMLParser

import av
import cv2
import numpy as np
import pytest
from browser import needs_browser, printed, printed_when_done
from builders import stand_ins, video_config

from mindrestore.cli import main
from mindrestore.evaluation.report import TRUTH, FrameRecord, _curve, _largest_error, _round_scale, write_report
from mindrestore.evaluation.results import Row
from mindrestore.evaluation.video import evaluate_videos
from mindrestore.evaluation.video_results import ClipResults, ClipScore
from mindrestore.media.player import Player
from mindrestore.media.writing import write_clip

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


def with_script(page, script):
    """Return the path of a copy of the page with one more script behind its own."""
    copy = page.with_name("with_script.html")
    copy.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    return copy


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
    assert kinds.count("data:image/svg+xml") == 1 and kinds.count("data:image/png") == 3 * 3 + 2 + 3
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
    dom = printed(with_script(page, script), "--dump-dom", "--virtual-time-budget=3000")
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
    printed(with_script(page, script), f"--screenshot={picture}", "--virtual-time-budget=3000")
    shot = cv2.imread(str(picture))[:512, :512]  # the frame, 8 times as large; row 100 is black in truth
    row = shot[100, :, 0].astype(int)
    border = int(512 * at / 100)
    assert np.abs(row[8 : max(8, border - 8)] - 128).max(initial=0) <= 2
    assert row[min(504, border + 8) : 504].max(initial=0) <= 2
    assert (np.abs(row - 128) <= 2).any() == white


# The clip playing, the gain, the errors, and a phone


def moving(number):
    """Frame ``number`` by two methods: a vertical edge that moves 6 pixels a frame, and the same in a darker grey."""
    edge = np.where(np.arange(SIDE) < 6 * number, 0.9, 0.1).astype(np.float32)
    return {"plain <b>": np.tile(edge * 0.5, (3, 40, 1)), "network": np.tile(edge, (3, 40, 1))}


def played(player, judged="network"):
    """(the section, the frames (T, H, W, 3) of the video in it)"""
    section = player.section(judged)
    address = next(attributes["src"] for tag, attributes in Elements(section).found if tag == "video")
    assert address.startswith("data:video/mp4;base64,")
    with av.open(io.BytesIO(base64.b64decode(address.split(",")[1]))) as file:
        assert file.streams.video[0].codec_context.name == "h264"
        return section, np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def test_a_clip_plays_as_bands_of_one_video():
    player = Player()
    for number in range(7):
        player.add(moving(number))
    section, frames = played(player)
    assert frames.shape == (7, 2 * 48, SIDE, 3)  # 40 rows, filled up to whole blocks
    for number, frame in enumerate(frames):
        for band, image in enumerate(moving(number).values()):
            expected = 255 * image.transpose(1, 2, 0)
            error = np.abs(frame[48 * band : 48 * band + 40] - expected)
            assert error.mean() < 2 and np.median(error) <= 1, (number, band)
    elements = Elements(section)
    assert elements.open == [] and "<b>" not in section.replace("&lt;b&gt;", "")
    assert [a["data-name"] for tag, a in elements.found if tag == "canvas"] == ["plain <b>", "network"]
    assert all((a["width"], a["height"]) == ("64", "40") for tag, a in elements.found if tag == "canvas")
    assert "first" not in section and "smaller" not in section


def test_the_video_of_a_page_is_bounded(monkeypatch):
    monkeypatch.setattr("mindrestore.media.player.MOST_FRAMES", 3)
    monkeypatch.setattr("mindrestore.media.player.MOST_PIXELS", 64 * 40 // 4)
    player = Player()
    for number in range(5):
        player.add(moving(number))
    section, frames = played(player)
    assert frames.shape == (3, 2 * 32, 32, 3)  # 20 rows and 32 columns of pixels
    assert "32 × 20 pixels" in section and "the first 3 of 5 frames" in section
    monkeypatch.setattr("mindrestore.media.player.MOST_BYTES", 5000)
    monkeypatch.setattr("mindrestore.media.player.MOST_FRAMES", 10**6)
    noise, player = np.random.default_rng(0), Player()
    for _ in range(200):
        player.add({"network": noise.random((64, 64), np.float32)})
    assert 0 < player.count < 200 and len(player.section("network")) < 2**20
    assert Player().section("network") == ""


def results_of(pairs, plain="as given"):
    def score(value):
        return ClipScore("", 5, value, 0.9, value, 0.8, 1.0)

    rows = [Row(str(n), {"network": score(a), "plain": score(b)}) for n, (a, b) in enumerate(pairs)]
    return ClipResults("title", {"network": "VRT", "plain": plain}, [*rows, Row("absent")], {})


@pytest.mark.parametrize(
    "pairs, plain, line",
    [
        ([(30.0, 25.0), (29.0, 24.2)], "as given", "+4.90 dB over the input on 2 clips"),
        ([(30.0, 31.25)], "bicubic", "-1.25 dB over bicubic on 1 clip"),
        ([(math.inf, 20.0), (30.0, 29.0)], "bicubic", "+1.00 dB over bicubic on 1 clip"),
        ([(None, None)], "bicubic", None),
    ],
)
def test_the_gain_is_one_line(pairs, plain, line, tmp_path):
    results = results_of(pairs, plain)
    assert results.gain() == line
    write_report(tmp_path / "r.html", results, [], {})
    text = (tmp_path / "r.html").read_text()
    assert (f'<p class="headline">{line}</p>' in text) if line else ('class="headline"' not in text)
    assert line is None or f"VRT: {line}" in results.table()


def test_the_error_map_says_its_scale(page):
    """The worst frame: error 1 in a corner of 12 x 12 by one method, 0.5 everywhere by the other."""
    text = page.read_text()
    assert "black = 0, pale yellow = 255 of 255 and above" in text
    pngs = [source for source in Elements(text).sources() if source.startswith("data:image/png")]
    network, plain = (
        cv2.imdecode(np.frombuffer(base64.b64decode(png.split(",")[1]), np.uint8), cv2.IMREAD_COLOR) for png in pngs[9:11]
    )
    colours = cv2.applyColorMap(np.array([[0, 128, 255]], np.uint8), cv2.COLORMAP_INFERNO)[0].astype(int)
    expected = np.zeros((SIDE, SIDE), int)
    expected[40:52, 8:20] = 2
    assert np.abs(network - colours[expected]).max() <= 1 and np.abs(plain - colours[1]).max() <= 6
    assert _round_scale(0.0) == 4 and _round_scale(17 / 255) == 32 and _round_scale(1.0) == 255


@pytest.fixture
def playing(tmp_path):
    made = record("clip " + "with_a_long_name" * 6)
    made.player = Player()
    for number in range(7):
        made.player.add(moving(number))
    results = results_of([(30.0, 25.0), (29.0, 24.2)])
    write_report(tmp_path / "report.html", results, [made], {"model": {"name": "vrt" * 40}})
    return tmp_path / "report.html"


@needs_browser
def test_a_browser_plays_the_bands_over_each_other(playing, tmp_path):
    script = """
      const player = document.querySelector(".player"), video = player.querySelector("video");
      const scrub = player.querySelector(".scrub"), canvases = [...player.querySelectorAll("canvas")];
      const said = () => canvases.map((canvas) => [15, 27, 45].map(
        (column) => canvas.getContext("2d").getImageData(column, 20, 1, 1).data[0]).join(" ")).join(" ");
      const ask = () => {
        scrub.value = 5;
        scrub.dispatchEvent(new Event("input"));
      };
      if (video.readyState >= video.HAVE_CURRENT_DATA) ask(); else video.addEventListener("loadeddata", ask);
      const look = () => {  // a busy browser has the picture later; only those from frame 5 on are bright there
        document.body.dataset.result = said() + " " + player.querySelector("output").textContent;
        if (parseInt(said().split(" ")[1]) > 100) done(); else setTimeout(look, 50);
      };
      look();"""
    dom = printed_when_done(with_script(playing, script))
    found = re.search(r'data-result="([^"]*)"', dom)
    *values, number, _, count = found[1].split()
    # frame 5 has its edge at column 30: bright left of it
    expected = [115, 115, 13, 230, 230, 26]
    assert (number, count) == ("6", "7") and np.abs(np.subtract(list(map(int, values)), expected)).max() <= 8


@needs_browser
def test_a_video_that_does_not_play_shows_its_first_frame(playing):
    """As for those who asked their system for less motion."""
    script = """
      const canvases = [...document.querySelectorAll(".player canvas")], video = document.querySelector(".player video");
      const look = () => {
        const opacities = canvases.map((canvas) => canvas.getContext("2d").getImageData(9, 9, 1, 1).data[3]);
        document.body.dataset.result = [...opacities, video.currentTime];
        if (opacities.every((opacity) => opacity === 255)) done(); else setTimeout(look, 50);
      };
      look();"""
    dom = printed_when_done(with_script(playing, script), "--force-prefers-reduced-motion")
    assert re.search(r'data-result="([^"]*)"', dom)[1] == "255,255,0"


@needs_browser
def test_a_phone_scrolls_down_only(playing, tmp_path):
    """In a frame of 360 pixels, as headless windows are no narrower than 500."""
    host = tmp_path / "host.html"
    host.write_text(
        f'<body><iframe width="360" height="800" style="border:0" srcdoc="{html.escape(playing.read_text())}"></iframe></body>'
    )
    script = """
      window.addEventListener("load", () => {
        const {innerWidth, document: page} = document.querySelector("iframe").contentWindow;
        const seen = [...page.querySelectorAll(".scores td, .scores th, .divided, .figures, h1, h2, .made td")]
          .filter((element) => element.offsetParent).map((element) => element.getBoundingClientRect().right);
        const right = Math.ceil(Math.max(...seen));
        document.body.dataset.result = [innerWidth, page.documentElement.scrollWidth, right, seen.length].join(" ");
      });"""
    dom = printed(with_script(host, script), "--dump-dom", "--virtual-time-budget=3000")
    inner, scrolled, right, seen = map(int, re.search(r'data-result="([^"]*)"', dom)[1].split())
    assert inner == 360 and scrolled <= 360 and right <= 360 and seen > 20


@needs_browser
def test_every_column_of_scores_is_set_under_its_heading(page, tmp_path):
    script = """
      const cells = [...document.querySelectorAll(".scores tbody tr:first-child td:not(:first-child)")];
      document.body.dataset.result = [cells.length, ...new Set(cells.map((cell) => getComputedStyle(cell).textAlign))]
        .join(" ");
    """
    dom = printed(with_script(page, script), "--dump-dom")
    assert re.fullmatch(r"\d+ right", re.search(r'data-result="([^"]*)"', dom)[1])


def test_a_curve_of_few_frames_counts_in_whole_ones():
    made = FrameRecord("two", "network")
    made.curves = {"network": [30.0, 29.0]}
    svg = _curve(made).decode()
    numbers = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert "2" in numbers and "1.2" not in numbers and "1.0" not in numbers

"""A try before the wait: parts of a clip, previews, dry runs, noise levels; several clips in one call; nothing overwritten."""

import re
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import videos
from builders import StandIn, write_frames
from skimage import data

from mindrestore.cli import main
from mindrestore.data.frames import stored_frames
from mindrestore.errors import UserError
from mindrestore.media.clips import open_clip
from mindrestore.media.writing import write_clip
from mindrestore.restore import finished as finished_module, progress, run
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.noise import noise_level
from mindrestore.restore.run import Request, restore
from mindrestore.restore.spans import seconds_of

HEIGHT, WIDTH = 32, 48


def frames(count):
    """Images whose brightness is their number."""
    return [np.full((HEIGHT, WIDTH, 3), 10 * number + 5, np.uint8) for number in range(count)]


def numbers_in(path):
    return [round((image.mean() - 5) / 10) for _, image in stored_frames(path)]


@pytest.fixture
def network(monkeypatch, tmp_path):
    """What any task takes; the working folder is empty."""
    monkeypatch.chdir(tmp_path)
    chosen = StandIn()
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, chosen, Path(__file__), (4, 16, 16), (2, 4, 4))]
    )
    return chosen


@pytest.fixture
def denoiser(monkeypatch, network):
    chosen = StandIn(nonblind_denoising=True)
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, chosen, Path(__file__), (4, 16, 16), (2, 4, 4))]
    )
    return chosen


def status(*arguments, task="deblur"):
    return main(["restore", *map(str, arguments), "--task", task])


def error_of(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


# Parts


@pytest.mark.parametrize("text, seconds", [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5), ("0", 0), (".5", 0.5), ("0:07", 7)])
def test_times(text, seconds):
    assert seconds_of(text, "start") == seconds


@pytest.mark.parametrize("text", ["", "a", "-1", "1:60", "1:2:3:4", "1:", "nan", "1e3", "1:75"])
def test_what_is_no_time(text):
    with pytest.raises(UserError, match="--end .*is no time; give seconds, m:ss or h:mm:ss"):
        seconds_of(text, "end")


@pytest.mark.parametrize(
    "options, kept",
    [
        (["--frames", 3], range(3)),
        (["--start", "0.2"], range(5, 12)),
        (["--end", "0:00.2"], range(5)),
        (["--start", 0.2, "--end", 0.32], range(5, 8)),
        (["--start", 0.2, "--frames", 2], range(5, 7)),
        (["--start", 0, "--end", 9, "--frames", 99], range(12)),
        (["--rate", 10, "--start", 0.2], range(2, 12)),
    ],
)
@pytest.mark.parametrize("source", ["in", "in.mp4"])
def test_a_part_is_restored(source, options, kept, network):
    write_clip("in", frames(12), 12, names=[f"f{number}" for number in range(12)])
    write_clip("in.mp4", frames(12), 12, 25)
    assert status(source, "out", *options) == 0
    assert numbers_in("out") == list(kept)
    if source == "in":
        assert {path.stem for path in Path("out").iterdir()} == {f"f{number}" for number in kept}


@pytest.mark.parametrize(
    "options, named",
    [
        (["--start", 1], "--start 1: in.mp4 ends before, after 0.48 seconds"),
        (["--frames", 0], "--frames 0: it must be 1 or more"),
        (["--start", 0.3, "--end", 0.2], "--end 0.2: it must be later than --start 0.3"),
        (["--end", 0], "--end 0: no frame"),
        (["--start", "x"], "--start x: is no time"),
        (["--go-on"], "--go-on: has no meaning without --preview"),
        (["--dry-run", "--resume"], "--dry-run: writes nothing"),
        (["--sigma", "much"], "--sigma much: it must be a number"),
    ],
)
def test_parts_that_cannot_be(options, named, network, capsys):
    write_clip("in.mp4", frames(12), 12, 25)
    assert status("in.mp4", "out", *options) == 2 and named in error_of(capsys)
    assert [path.name for path in Path().iterdir()] == ["in.mp4"]


def test_a_part_of_a_video_has_its_times_and_its_sound(network):
    ticks = [0, 512, 1024, 5120, 9216, 9728, 10240]
    source = videos.make_video(Path("in.mp4"), videos.grey_frames(7), "yuv420p", ticks=ticks, sound=True)
    assert status(source, "out.mp4", "--start", 0.08, "--end", 0.8) == 0
    assert videos.moments("out.mp4") == [Fraction(tick - 1024, 12800) for tick in (1024, 5120, 9216, 9728)]
    given, copied = videos.packets(source), videos.packets("out.mp4")
    assert 0 < len(copied) < len(given)
    begun = [packet for packet in videos.moments(source, "audio") if Fraction(8, 100) <= packet < Fraction(9728 + 512, 12800)]
    found = videos.moments("out.mp4", "audio")
    assert len(found) == len(begun) and all(abs(a - b + Fraction(8, 100)) < Fraction(1, 1000) for a, b in zip(found, begun))


# Nothing is overwritten


def test_what_is_there_is_not_overwritten_unasked(network, capsys):
    write_clip("in", frames(3), 3)
    Path("out.mp4").write_bytes(b"precious")
    assert status("in", "out.mp4") == 2
    assert "out.mp4: is there already; add --overwrite to replace it" in error_of(capsys)
    assert Path("out.mp4").read_bytes() == b"precious" and not network.shapes
    assert status("in", "out.mp4", "--overwrite") == 0 and open_clip("out.mp4").count == 3
    Path("a_compare.mp4").write_bytes(b"precious")
    assert status("in", "a.mp4", "--compare") == 2 and "a_compare.mp4: is there already" in error_of(capsys)
    assert not Path("a.mp4").exists()


def test_a_stopped_run_is_found_before_the_work(network, monkeypatch, capsys):
    write_clip("in", frames(3), 3)
    Path("out.part").mkdir()
    monkeypatch.setattr(run, "open_clip", lambda path: pytest.fail("it looked at the clip first"))
    assert status("in", "out") == 2 and "out.part: is in the way and holds no unfinished run" in error_of(capsys)
    Path("out.part/run.json").write_text("{}")
    assert status("in", "out") == 2 and "add --resume to go on with it, or delete" in error_of(capsys)


def test_a_finished_result_needs_no_resuming(network, capsys):
    write_clip("in", frames(3), 3)
    assert status("in", "out.tif") == 0
    before = Path("out.tif").read_bytes()
    network.shapes.clear()
    assert status("in", "out.tif", "--resume") == 0 and not network.shapes
    assert "no run that was stopped; nothing is left to do" in capsys.readouterr().out
    assert Path("out.tif").read_bytes() == before


def test_a_folder_takes_no_room_twice(network, monkeypatch):
    """The finished pictures become the frames: they were decoded and coded again beside themselves."""
    write_clip("in", frames(5), 5)
    kept = []
    whole = finished_module.FinishedFrames.discard

    def watched(finished):
        kept.extend((path.stat().st_nlink, path.stat().st_ino) for path in sorted(finished.folder.glob("*.png")))
        whole(finished)

    monkeypatch.setattr(finished_module.FinishedFrames, "discard", watched)
    assert status("in", "out") == 0
    assert kept == [(2, path.stat().st_ino) for path in sorted(Path("out").iterdir())]
    monkeypatch.setattr(finished_module.os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    assert status("in", "copied") == 0 and numbers_in("copied") == numbers_in("out") == list(range(5))


# Several


def test_a_folder_of_videos_and_other_clips_in_one_call(network, capsys):
    Path("videos").mkdir()
    write_clip("videos/a 2.mkv", frames(3), 3, 25)
    write_clip("videos/b.avi", frames(4), 4, 25)
    Path("videos/notes.txt").write_text("none")
    write_clip("shot", frames(2), 2)
    write_clip("scan.tif", frames(5), 5)
    assert status("videos", "shot", "scan.tif", "out") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a 2.mkv", "b.avi", "scan.tif", "shot"]
    assert [open_clip(f"out/{name}").count for name in ("a 2.mkv", "b.avi", "scan.tif", "shot")] == [3, 4, 5, 2]
    assert capsys.readouterr().out.splitlines()[-4:] == [
        f"{given}: done, out/{Path(given).name}" for given in ("videos/a 2.mkv", "videos/b.avi", "shot", "scan.tif")
    ]


def test_one_that_fails_does_not_stop_the_others(network, capsys):
    write_clip("a.mp4", frames(3), 3, 25)
    Path("b.mp4").write_text("no video")
    damaged = videos.make_video(
        Path("c.mkv"), videos.grey_frames(60), "yuv420p", options=dict(videos.LOSSLESS["libx264"], g="1")
    )
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    write_clip("d.mp4", frames(3), 3, 25)
    assert status("c.mkv", "d.mp4", "out1") == 3
    assert status("a.mp4", "b.mp4", "c.mkv", "d.mp4", "out") == 2
    lines = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split(",")[0] for line in lines] == ["a.mp4: done", "b.mp4: not restored", "c.mkv: done", "d.mp4: done"]
    assert "no video frames can be read" in lines[1] and "damaged" in lines[2]
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.mp4", "c.mkv", "d.mp4"]
    before = Path("out/a.mp4").stat().st_mtime_ns
    assert status("a.mp4", "d.mp4", "out", "--resume") == 0 and Path("out/a.mp4").stat().st_mtime_ns == before
    assert status("a.mp4", "d.mp4", "out") == 2 and "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "inputs, target, named",
    [
        (["a.mp4", "b.mp4"], "out.mp4", "out.mp4: several inputs need a folder"),
        (["a.mp4", "x.mp4"], "out", "x.mp4: no such video"),
        (["a.mp4", "deep/a.mp4"], "out", "both a.mp4 and deep/a.mp4 would be written there"),
        (["a.mp4", "b.mp4"], "file", "file: several inputs need a folder"),
    ],
)
def test_several_that_cannot_be(inputs, target, named, network, capsys):
    Path("deep").mkdir()
    Path("file").write_text("")
    for name in ("a.mp4", "b.mp4", "deep/a.mp4"):
        write_clip(name, frames(1), 1, 25)
    assert status(*inputs, target) == 2 and named in error_of(capsys) and not network.shapes


# Noise


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
@pytest.mark.parametrize("sigma", [10, 25])
def test_the_noise_level_is_estimated(name, sigma):
    image = getattr(data, name)().astype(np.float32)
    noisy = np.rint(image + np.random.default_rng(0).normal(0, sigma, image.shape)).clip(0, 255) / 255
    assert noise_level([noisy.transpose(2, 0, 1)]) == pytest.approx(sigma, abs=2)


def test_the_estimate_is_that_of_scikit_image_where_nothing_is_clipped():
    pytest.importorskip("pywt", reason="scikit-image estimates noise with PyWavelets")
    from skimage.restoration import estimate_sigma

    image = 0.2 + 0.5 * data.camera().astype(np.float32) / 255
    image += np.random.default_rng(0).normal(0, 10 / 255, image.shape).astype(np.float32)
    assert noise_level([image[None]]) == pytest.approx(255 * estimate_sigma(image), rel=0.03)


def test_black_and_white_do_not_pass_for_calm():
    noise = np.random.default_rng(0).normal(0, 20 / 255, (3, 64, 64)).astype(np.float32)
    noise[:, :48] -= 1
    assert noise_level([np.clip(noise + 0.5, 0, 1)]) == pytest.approx(20, abs=1.5)
    assert noise_level([np.zeros((3, 8, 8), np.float32)]) == 0


def test_sigma_auto_is_said_and_used(denoiser, capsys):
    rng = np.random.default_rng(0)
    write_clip("in", [np.rint(128 + rng.normal(0, 15, (64, 64, 3))).clip(0, 255).astype(np.uint8) for _ in range(12)], 12)
    assert status("in", "out", "--sigma", "auto", task="denoise") == 0
    said = re.search(r"Noise: sigma ([\d.]+), estimated from 9 frames", capsys.readouterr().out)
    assert float(said[1]) == pytest.approx(15, abs=0.5)
    np.testing.assert_allclose(255 * denoiser.last[:, :, 3], float(said[1]), rtol=1e-5)


def test_a_network_without_a_noise_level_takes_no_auto(network, capsys):
    write_clip("in", frames(2), 2)
    assert status("in", "out", "--sigma", "auto") == 2 and "--sigma auto: " in error_of(capsys)


# Preview and dry run


def test_a_preview_stops_and_another_sigma_is_free(denoiser, capsys):
    write_clip("in", frames(20), 20)
    for sigma in (10, 25):
        assert status("in", "out", "--preview", "--sigma", sigma, task="denoise") == 0
        assert sorted(path.name for path in Path().iterdir()) == ["in", "out_preview.png"]
    assert "with --go-on beside it, the whole clip is restored" in capsys.readouterr().out
    assert max(shape[1] for shape in denoiser.shapes) == 4
    assert status("in", "out", "--preview", "--go-on", "--sigma", 10, task="denoise") == 0 and len(numbers_in("out")) == 20


def test_a_dry_run_writes_nothing_and_says_what_it_would_take(network, capsys):
    write_clip("in.mp4", frames(20), 20, 25)
    assert status("in.mp4", "out.mp4", "--dry-run") == 0
    said = capsys.readouterr().out
    assert [path.name for path in Path().iterdir()] == ["in.mp4"] and "Nothing was written" in said
    assert "Frames: 20 of 48 x 32" in said and "Time: about 00:0" in said and "GB" in said
    planned = int(re.search(r"Tiles: (\d+) of 4 x 16 x 16", said)[1])
    network.shapes.clear()
    assert status("in.mp4", "out.mp4") == 0
    assert planned == len(network.shapes)


@pytest.mark.parametrize("speed, seconds", [("slow", 0.02), ("slower", 0.05)])
def test_the_time_is_that_of_the_tiles(speed, seconds, network, monkeypatch, capsys):
    import time

    monkeypatch.setattr(network, "compute", lambda x: time.sleep(seconds) or x)
    write_clip("in", frames(20), 20)
    assert status("in", "out", "--dry-run") == 0
    each = float(re.search(r"by test_try_first, ([\d.]+) s each", capsys.readouterr().out)[1])
    assert seconds <= each < 2 * seconds


# Progress


class Stopped(StandIn):
    def compute(self, x):
        if len(self.shapes) == 30:
            raise KeyboardInterrupt
        return x


@pytest.mark.parametrize("target", ["out.mp4", "out"])
def test_ctrl_c_keeps_what_the_bar_promised(target, network, monkeypatch, capsys):
    """The bar went by tiles and stood at more frames than were kept."""
    shown = []

    class Watched(progress.tqdm):
        def refresh(self, *arguments, **options):
            shown.append(self.n)
            return super().refresh(*arguments, **options)

        def update(self, n=1):
            super().update(n)
            shown.append(self.n)

    monkeypatch.setattr(progress, "tqdm", Watched)
    monkeypatch.setattr(progress, "SELDOM", 0)
    monkeypatch.setattr(finished_module, "MOST_PICTURES", 3)
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, Stopped(), Path(__file__), (4, 16, 16), (2, 4, 4))]
    )
    write_clip("in", frames(20), 20)
    assert status("in", target, "--cuts", "off") == 130
    kept = int(re.search(r"Kept (\d+) of 20 frames", capsys.readouterr().err)[1])
    assert max(shown) == kept > 0
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), Path(__file__), (4, 16, 16), (2, 4, 4))]
    )
    assert status("in", target, "--cuts", "off", "--resume") == 0
    assert f"Going on after {kept} of 20" in capsys.readouterr().out and numbers_in(target) == list(range(20))


@pytest.mark.parametrize("task, pa_frames", [("deblur", 2), ("interpolate", 0)])
def test_input_and_output_side_by_side_stay_in_step_over_segments(task, pa_frames, network, monkeypatch):
    monkeypatch.setattr(finished_module, "MOST_PICTURES", 3)
    whole, calls = finished_module.FinishedFrames.add, []

    def stopping(finished, image):
        whole(finished, image)
        calls.append(image)
        if len(calls) == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(finished_module.FinishedFrames, "add", stopping)
    monkeypatch.setattr(
        run,
        "choose",
        lambda task, *_, **__: [TaskNetwork(task, StandIn(pa_frames=pa_frames), Path(__file__), (4, 16, 16), (2, 4, 4))],
    )
    write_clip("in", frames(10), 10)
    assert status("in", "out.mkv", "--codec", "ffv1", "--compare", task=task) == 130
    assert status("in", "out.mkv", "--codec", "ffv1", "--compare", "--resume", task=task) == 0
    both = [image.astype(int) for _, image in stored_frames("out_compare.mkv")]
    assert len(both) == open_clip("out.mkv").count == (19 if task == "interpolate" else 10)
    for number, image in enumerate(both):
        given, made = image[:, :WIDTH].mean(), image[:, -WIDTH:].mean()
        assert made - given == (5 if task == "interpolate" and number % 2 else 0)


@pytest.mark.parametrize("at", [2, 5, 9])
def test_another_quality_or_part_is_not_mixed_in(at, network, monkeypatch):
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, Stopped(), Path(__file__), (4, 16, 16), (2, 4, 4))]
    )
    write_clip("in", frames(20), 20)
    with pytest.raises(KeyboardInterrupt):
        restore(Request("in", "out.mp4", "deblur"), lambda line: None)
    for name, options in (("video", dict(crf=at)), ("part", dict(frames=15 + at % 4))):
        with pytest.raises(UserError, match=f"its frames were made with {name}"):
            restore(Request("in", "out.mp4", "deblur", resume=True, **options), lambda line: None)


def test_cuts_are_said_and_can_be_off(network, capsys):
    rng = np.random.default_rng(0)
    scenes = [cv2.resize(rng.integers(0, 256, (4, 6, 3), np.uint8), (WIDTH, HEIGHT)) for _ in range(2)]
    write_frames(Path("in"), [f"{number}.png" for number in range(10)], (HEIGHT, WIDTH))
    for number in range(10):
        cv2.imwrite(f"in/{number}.png", scenes[number // 6])
    assert status("in", "out") == 0
    assert "Cuts: 1 found, before frame 7; scenes are restored apart (--cuts off mixes them)." in capsys.readouterr().out
    assert {shape[1] for shape in network.shapes} == {4}
    assert status("in", "mixed", "--cuts", "off") == 0 and "Cuts" not in capsys.readouterr().out

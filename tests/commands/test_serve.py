"""``mindrestore serve``: a page that gives a clip back restored, refuses what is too large, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrestore.cli import main, parsed
from mindrestore.commands import serve
from mindrestore.errors import UserError
from mindrestore.media.clips import open_clip
from mindrestore.media.writing import write_clip


def noisy(count, height=48, width=64):
    random = np.random.default_rng(0)
    ground = np.linspace(40, 200, width)[None, :, None] + np.zeros((height, 1, 3))
    for _ in range(count):
        yield np.clip(ground + random.normal(0, 25, ground.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "limits, sentence",
    [
        (dict(megabytes=0.001), r"noisy.mp4: has 0.0 MB; this page takes 0.001 at most"),
        (dict(megapixels=0.003), "noisy.mp4: has 64 x 48 pixels; this page takes 0.003 million at most"),
        (dict(frames=3), "noisy.mp4: has 4 frames; this page takes 3 at most"),
    ],
)
def test_what_is_too_large_is_refused(limits, sentence, tmp_path):
    write_clip(tmp_path / "noisy.mp4", noisy(4), 4, 10)
    serve.Limits(1, 4, 0.0031).check(tmp_path / "noisy.mp4")
    with pytest.raises(UserError, match=sentence):
        serve.Limits(**{"megabytes": 1, "frames": 4, "megapixels": 0.0031, **limits}).check(tmp_path / "noisy.mp4")


def test_only_what_a_network_ships_for_is_offered():
    """The page takes no weights, so another task would fail at every clip."""
    assert serve._tasks() == ["sr", "denoise"]


def test_it_listens_to_this_machine_alone_unless_asked(capsys):
    assert parsed(["serve"]).host == "127.0.0.1"
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.2"):
        serve._warn(host)
    assert capsys.readouterr().err == ""
    for host in ("0.0.0.0", "::", "192.168.1.7", "myserver"):
        serve._warn(host)
        assert f"WARNING: --host {host} lets everyone" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--port", "-1"], "--port -1: nobody can listen there"),
        (["--host", "203.0.113.7"], "--host 203.0.113.7 --port 7860: nobody can listen there"),
        (["--max-frames", "0"], "--max-frames 0: it must be above 0"),
        (["--max-megapixels", "nan"], "--max-megapixels nan: it must be above 0"),
        (["--max-megabytes", "inf"], "--max-megabytes inf: it must be above 0 and below 1e+09"),
        (["--host", "a" * 64], "--port 7860: nobody can listen there"),
        (["--threads", "-1"], "--threads -1: it must be at least 1"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence, capsys):
    assert main(["serve", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert main(["serve", "--port", "0"]) == 2
    assert 'serve needs Gradio; run: pip install "gradio>=6" "numpy<2"' in capsys.readouterr().err


def test_a_gradio_that_cannot_start_is_not_called_absent(tmp_path, monkeypatch, capsys):
    """As with NumPy 1 and a pandas that is built for NumPy 2."""
    (tmp_path / "gradio.py").write_text("raise ImportError('C extension: None not built')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gradio", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert main(["serve", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "Gradio, which fails to start (C extension: None not built); run: pip install" in said and "numpy<2" in said


def stand_in(tmp_path, code):
    """Jobs that run ``code`` in the place of mindrestore."""
    jobs = serve.Jobs(tmp_path, ())
    run = jobs._lines
    jobs._lines = lambda command: run([sys.executable, "-c", code, *command[4:]])
    return jobs


def test_a_job_tells_what_its_process_says(tmp_path):
    code = (
        "import sys, pathlib; clip, target = map(pathlib.Path, sys.argv[1:3]); target.parent.mkdir()\n"
        "print('noise: sigma 25', flush=True); print('a:  50%|###|', 'x', end='\\r', file=sys.stderr); print()\n"
        "target.write_bytes(clip.read_bytes()); (target.parent / (target.stem + '_report.html')).write_text('<p>\"page\"')\n"
        "print(f'Wrote {target}')"
    )
    (tmp_path / "a b.mp4").write_bytes(b"clip")
    given = list(iter_results(stand_in(tmp_path, code), tmp_path / "a b.mp4"))
    said, page, content = given[-1]
    assert said == "Done. noise: sigma 25" and content == b"clip" and "&lt;p&gt;&quot;page&quot;" in page
    assert [entry.name for entry in tmp_path.iterdir()] == ["a b.mp4"]  # what a job made is gone
    assert all(str(tmp_path) not in line for line, *_ in given)


def iter_results(jobs, clip):
    for said, page, result in jobs.restored(clip, "denoise", "25"):
        yield said, page, result and Path(result).read_bytes()


@pytest.mark.parametrize(
    "code, sentence",
    [
        ("import sys; print('mindrestore: error: it cannot be.', file=sys.stderr); sys.exit(2)", "^it cannot be.$"),
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9, perhaps for want of memory"),
        ("raise SystemError('a fault')", "ended with status 1, by a fault; what it said stands where serve was started"),
    ],
)
def test_what_ends_a_job_is_one_sentence(code, sentence, tmp_path, capsys):
    (tmp_path / "a.mp4").write_bytes(b"clip")
    with pytest.raises(UserError, match=sentence):
        list(iter_results(stand_in(tmp_path, code), tmp_path / "a.mp4"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
    assert ("SystemError: a fault" in capsys.readouterr().err) == ("by a fault" in sentence)  # for who started the page


def test_a_job_that_nobody_waits_for_ends(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"clip")
    jobs = stand_in(tmp_path, "import time; print('working', flush=True); time.sleep(600)")
    job = jobs.restored(tmp_path / "a.mp4", "sr", None)
    assert next(job)[0] == "working"
    [process] = jobs._processes
    job.close()
    assert process.returncode == -signal.SIGTERM and not jobs._processes


@pytest.mark.long
def test_a_page_takes_a_clip_and_gives_it_back(tmp_path):
    """The real server, by the client that its library brings: a clip, two mistakes, and what is left at the end."""
    client = pytest.importorskip("gradio_client", reason="Gradio, which makes the page, is not installed")
    pytest.importorskip("gradio", reason="Gradio, which makes the page, is not installed")
    write_clip(tmp_path / "noisy.mp4", noisy(4), 4, 10)
    write_clip(tmp_path / "long.mp4", noisy(7), 7, 10)
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "mindrestore", "serve", "--port", "0", "--max-frames", "6", "--threads", "1"]
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, TMPDIR=str(tmp_path / "temporary")),
    )
    try:
        address = re.search(r"Open (http://127\.0\.0\.1:\d+) ", server.stdout.readline())[1]
        page = client.Client(address, verbose=False, download_files=str(tmp_path / "got"))

        def restore(name, *settings):
            return page.predict(client.handle_file(tmp_path / name), *settings, api_name="/restore")

        said, shown, result = restore("noisy.mp4", "denoise", "25")
        clip = open_clip(result)
        assert (clip.count, clip.height, clip.width) == (4, 48, 64) and said.startswith("Done.")
        before, after = (np.stack(list(open_clip(path).frames())) for path in (tmp_path / "noisy.mp4", result))
        assert after.std((0, 2)).mean() < 0.5 * before.std((0, 2)).mean()  # noise over columns of one shade
        assert "srcdoc=" in shown and "data:video/mp4;base64," in shown and str(tmp_path) not in shown
        for settings, sentence in (
            (("long.mp4", "denoise", "25"), "long.mp4: has 7 frames; this page takes 6 at most."),
            (("noisy.mp4", "denoise", "-5"), "--sigma -5: it must be 0 to 255."),
        ):
            with pytest.raises(Exception, match=re.escape(sentence)):
                restore(*settings)
        assert list((tmp_path / "temporary").glob("mindrestore-serve-*"))
    finally:
        server.send_signal(signal.SIGINT)
        errors = server.communicate(timeout=60)[1]
    assert server.returncode == 130 and "Traceback" not in errors, errors
    assert not list((tmp_path / "temporary").glob("mindrestore-serve-*"))

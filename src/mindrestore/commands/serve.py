"""``mindrestore serve``: a small page for one clip in and out.

The page is Gradio's. Each clip is restored by a process of its own, one at a time, as ``mindrestore restore --report`` does it:
a clip that takes too much memory takes nothing down but itself.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import html
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mindrestore.commands.shared import Commands, precision
from mindrestore.errors import UserError, printable
from mindrestore.restore.tasks import PROBLEMS
from mindrestore.runtime.release import check_cores

if TYPE_CHECKING:
    import gradio

PORT = 7860
WAITING = 8  # clips, beside the one that is restored
LARGEST = 1e9  # limit that can be asked for
KEPT = 3600  # seconds that uploads and results are kept
LAST = 40  # lines of a job that failed, for the terminal
DONE, DAMAGED = 0, 3  # exit statuses of ``mindrestore restore`` that leave a result
ERROR = "mindrestore: error: "


class Limits(NamedTuple):
    """What a clip may be at most."""

    megabytes: float
    frames: int
    megapixels: float

    def check(self, path: Path) -> None:
        """Raise ``UserError`` where the clip at ``path`` is larger, or none."""
        from mindrestore.media.clips import open_clip

        megabytes = path.stat().st_size / 1e6
        if megabytes > self.megabytes:
            raise UserError(f"{path.name}: has {megabytes:.1f} MB; this page takes {self.megabytes:g} at most.")
        clip = open_clip(path)
        if clip.height * clip.width > self.megapixels * 1e6:
            raise UserError(
                f"{path.name}: has {clip.width} x {clip.height} pixels; this page takes {self.megapixels:g} million at most."
            )
        if clip.count > self.frames:
            raise UserError(f"{path.name}: has {clip.count} frames; this page takes {self.frames} at most.")


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "serve",
        help="a page in your browser for one clip in and out",
        description="Show a page, for browsers on this machine alone, that takes a clip and gives it back restored, both "
        "under a divider. Ctrl-C ends it and deletes what was uploaded and made.",
    )
    command.set_defaults(run=_run)
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; another than 127.0.0.1 lets others use this machine"
    )
    command.add_argument("--port", type=int, default=PORT, help=f"default {PORT}; 0: a free one")
    command.add_argument("--max-megabytes", type=float, default=200, metavar="N", help="of an uploaded file; default 200")
    command.add_argument("--max-frames", type=int, default=600, metavar="N", help="of a clip; default 600")
    command.add_argument(
        "--max-megapixels", type=float, default=2.1, metavar="N", help="of a frame that is given; default 2.1, 1920 x 1080"
    )
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu", "ascend"), help="default: auto")
    precision(command)
    command.add_argument("--threads", type=int, help="cores of the CPU to compute on; default all")


def _run(options: argparse.Namespace) -> None:
    limits = Limits(options.max_megabytes, options.max_frames, options.max_megapixels)
    for name, value in limits._asdict().items():
        if not 0 < value < LARGEST:
            raise UserError(f"--max-{name} {value:g}: it must be above 0 and below {LARGEST:g}.")
    check_cores(options.threads)
    port = _free_port(options.host, options.port)
    with tempfile.TemporaryDirectory(prefix="mindrestore-serve-") as folder:
        # asked for by Gradio when it is imported: where uploads go, and that it tells nobody
        os.environ.update(
            GRADIO_TEMP_DIR=str(Path(folder, "uploads")), GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1"
        )
        gradio = _gradio()
        chosen = ("--device", options.device)
        chosen += ("--precision", options.precision) if options.precision else ()
        chosen += ("--threads", str(options.threads)) if options.threads else ()
        jobs = Jobs(Path(folder), chosen)
        page = _page(gradio, limits, jobs)
        _warn(options.host)
        page.launch(
            server_name=options.host,
            server_port=port,
            share=False,
            ssr_mode=False,
            max_file_size=int(limits.megabytes * 1e6),
            show_error=True,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=["api"],
            theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        )
        print(f"Open http://{_in_address(options.host)}:{port} in a browser; Ctrl-C ends this.", flush=True)
        try:
            while True:
                time.sleep(1)
        finally:
            jobs.stop()
            page.close(verbose=False)


def _gradio() -> Any:
    try:
        import gradio
    except ImportError as error:
        if error.name == "gradio":
            raise UserError('serve needs Gradio; run: pip install "gradio>=6" "numpy<2"') from error
        reason = printable(" ".join(str(error).split()))
        raise UserError(
            f'serve needs Gradio, which fails to start ({reason}); run: pip install "gradio>=6" "numpy<2"'
        ) from error
    return gradio


def _free_port(host: str, port: int) -> int:
    """Return ``port``, or for 0 one that is free; ``UserError`` where nobody can listen there."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
            return trial.getsockname()[1]
    except (OSError, OverflowError, UnicodeError) as error:  # the last of a host's name that is none
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--host {host} --port {port}: nobody can listen there ({reason}); give another --port, or 0 for a free one."
        ) from error


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _warn(host: str) -> None:
    """Say it where others than this machine's users reach the page."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host != "localhost":
        print(
            f"mindrestore: WARNING: --host {host} lets everyone who reaches this machine upload clips and use its processor; "
            "there is no password and nothing is encrypted.",
            file=sys.stderr,
        )


def _tasks() -> list[str]:
    """Return what can be asked for: videos' tasks for which a network ships, as the page takes none."""
    from mindrestore.checkpoints.loading import shipped

    return [task for task, problem in PROBLEMS.items() if problem == "video" and shipped(task)]


def _page(gradio: Any, limits: Limits, jobs: Jobs) -> gradio.Blocks:
    """Return the page, on which ``jobs`` are started."""

    def restored(clip: str | None, task: str, sigma: str) -> Iterator[tuple[str, str, str | None]]:
        """Yield (what is done, the page of input and output, path of the result)."""
        try:
            if not clip:
                raise UserError("there is no clip yet; choose a file first.")
            limits.check(Path(clip))
            yield from jobs.restored(Path(clip), task, sigma if task == "denoise" else None)
        except UserError as error:
            raise gradio.Error(jobs.told(str(error)), print_exception=False) from error

    with gradio.Blocks(title="mindrestore", analytics_enabled=False, fill_width=True, delete_cache=(KEPT // 4, KEPT)) as page:
        gradio.Markdown(
            f"## mindrestore\nOne clip: a video or a picture, {limits.megabytes:g} MB, {limits.frames} frames and "
            f"{limits.megapixels:g} million pixels a frame at most. It is deleted within {2 * KEPT // 3600} hours."
        )
        with gradio.Row():
            with gradio.Column(scale=1):
                clip = gradio.File(label="clip", file_types=["video", "image"])
                task = gradio.Radio(_tasks(), value="denoise", label="task")
                sigma = gradio.Textbox("auto", label="noise level, for denoise: 0 to 255, or auto", max_lines=1)
                start, stop = gradio.Button("Restore", variant="primary"), gradio.Button("Stop")
                said = gradio.Markdown()
                result = gradio.File(label="restored")
            with gradio.Column(scale=3):
                shown = gradio.HTML()
        run = start.click(
            restored,
            [clip, task, sigma],
            [said, shown, result],
            api_name="restore",
            concurrency_limit=1,
            show_progress="minimal",
        )
        stop.click(None, cancels=[run], api_visibility="private")
        task.change(lambda chosen: gradio.update(visible=chosen == "denoise"), task, sigma, api_visibility="private")
    return page.queue(max_size=WAITING)


class Jobs:
    """What restores clips, each in a process of its own.

    Args:
        folder: below which all files are: uploads, and those of each job.
        options: of ``mindrestore restore``, for every job.
    """

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        self._folder, self._options = folder, options
        self._processes: set[subprocess.Popen] = set()

    def restored(self, clip: Path, task: str, sigma: str | None) -> Iterator[tuple[str, str, str | None]]:
        """Restore the clip at a path; yield (what is done, the page of input and output, path of the result), the last two once
        they are there.

        The result is deleted when the generator goes on. Raises ``UserError`` with the sentence that the restoration ends with.
        """
        from mindrestore.restore.batch import targets_of

        job = Path(tempfile.mkdtemp(prefix="job-", dir=self._folder))
        try:
            target = targets_of([clip], job / "out")[0]
            command = [sys.executable, "-m", "mindrestore", "restore", str(clip), str(target), "--task", task, "--report"]
            command += [*self._options, *([] if sigma is None else [f"--sigma={sigma}"])]
            notes = []
            for line in self._lines(command):
                if not _is_bar(line) and not line.startswith(("Report:", "Wrote")):
                    notes.append(_plain(self.told(line)))
                yield _plain(re.sub(r"\|.*\|", "", self.told(line))), "", None
            viewer = html.escape((target.parent / f"{target.stem}_report.html").read_text(encoding="utf-8"))
            frame = f'<iframe sandbox="allow-scripts" style="width:100%;height:85vh;border:0" srcdoc="{viewer}"></iframe>'
            yield " ".join(["Done.", *notes]), frame, str(target)
        finally:
            shutil.rmtree(job, ignore_errors=True)

    def told(self, sentence: str) -> str:
        """Return a sentence with the names of files, not where they lie on this machine."""
        return re.sub(re.escape(str(self._folder)) + r"/(\S*/)?", "", sentence)

    def stop(self) -> None:
        """End all processes."""
        for process in list(self._processes):
            process.terminate()
            process.wait()

    def _lines(self, command: list[str]) -> Iterator[str]:
        """Run a command and yield what it says, each state of a progress bar as a line; ``UserError`` where it fails."""
        said = mistake = ""
        last = collections.deque(maxlen=LAST)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as process:
            self._processes.add(process)
            try:
                while content := process.stdout.read1(4096):
                    *lines, said = re.split(r"[\r\n]+", said + content.decode(errors="replace"))
                    last.extend(filter(str.strip, lines))
                    mistake = next((line for line in lines if line.startswith(ERROR)), mistake)
                    yield from filter(None, map(str.strip, lines))
            except BaseException:  # nobody waits for the result any more
                process.terminate()
                raise
            finally:
                self._processes.discard(process)
        if mistake:
            raise UserError(mistake[len(ERROR) :])
        if process.returncode not in (DONE, DAMAGED):
            print(*last, said, sep="\n", file=sys.stderr, flush=True)
            reason = (
                "perhaps for want of memory"
                if process.returncode < 0
                else "by a fault; what it said stands where serve was started"
            )
            raise UserError(f"the restoration ended with status {process.returncode}, {reason}; try a smaller clip.")


def _is_bar(line: str) -> bool:
    return "%|" in line


def _plain(line: str) -> str:
    """A line without what Markdown and HTML would take for marks."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~-])", r"\\\1", line)

"""Pages in a headless Chromium, where there is one."""

import contextlib
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
PATIENCE = 60  # seconds


def printed(page, *options):
    """Show the page at a path; return what the browser printed, such as the page itself with ``--dump-dom``."""
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        "--window-size=1200,2600",
        "--autoplay-policy=no-user-gesture-required",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={page.parent / 'profile'}",
        *options,
        page.as_uri(),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert run.returncode == 0, run.stderr
    return run.stdout


def printed_when_done(page, *options):
    """As ``printed`` with ``--dump-dom``, once a script of the page has called ``done()``, or after ``PATIENCE``.

    Videos are decoded in real time, of which ``--virtual-time-budget`` knows nothing: a busy machine would be too late. Here an
    image is held back until then, without which the page is not loaded, and so not printed.
    """
    with _holding_back() as address:
        text = page.read_text()
        asking = f'<script>const done = () => {{ new Image().src = "{address}/done"; }};</script>'
        copy = page.with_name("copy.html")
        copy.write_text(f'{asking}{text}<img src="{address}/held" alt="">')
        return printed(copy, "--dump-dom", *options)


@contextlib.contextmanager
def _holding_back():
    """Serve on a port of this machine, whose address is yielded; ``held`` is answered once ``done`` was asked for."""
    told = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/done":
                told.set()
            told.wait(PATIENCE)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            told.set()
            server.shutdown()

"""Find the scheduler a port and keep it free until the scheduler listens there: ``python port.py --launcher PID [--port P]``.

Prints the port, or why it cannot be had, and stays for as long as the launcher: nobody else can take the port before the
scheduler does, nor a second launcher of this user the same one after. Standard library only.
"""

import argparse
import contextlib
import fcntl
import os
import socket
import sys
import tempfile
import time

from rank import running

USUAL = 8118  # msrun's default, and where ranks begin to look for ports of their own


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launcher", type=int, required=True)
    parser.add_argument("--port", type=int, default=0, help="default: one that the system finds free")
    options = parser.parse_args()
    try:
        kept = [locked(options.port), held(options.port)]
    except OSError as error:
        print(*error.args)
        return 2
    print(kept[1].getsockname()[1], flush=True)
    with contextlib.suppress(OSError):
        kept.append(held(USUAL))  # a rank that listened there would keep the next msrun from it for a minute after its end
    while running(options.launcher):
        time.sleep(0.5)
    return 0


def locked(port):
    """Return the locked file of ``port``; two launchers of a user never share one, even before a scheduler listens."""
    if not port:
        return None
    path = os.path.join(tempfile.gettempdir(), f"mindrestore-{os.getuid()}-port-{port}.lock")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(
            f"port {port}: another run that was started here uses it; wait for its end, or leave --port away."
        ) from error
    except OSError as error:
        raise OSError(f"port {port}: {path} cannot be locked ({error.strerror}); remove that file.") from error
    return file


def held(port):
    """Return a socket that is bound to ``port``, 0 for any, without listening: the scheduler may listen there.

    A socket that allows another beside it before it is bound might get the same port as another of these.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(port > 0))
        made.bind(("", port))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError as error:
        raise OSError(
            f"port {port}: cannot be had ({error.strerror}): a program on this server listens on it, or did a minute "
            "ago; leave --port away, or give another."
        ) from error
    return made


if __name__ == "__main__":
    sys.exit(main())

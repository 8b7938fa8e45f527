"""An Ascend server, as its own files and tools describe it: addresses of its devices, and which can work together.

Standard library only: ``scripts/generate_rank_table.py`` runs it on servers that have no MindSpore.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

MOST_DEVICES = 64  # looked for on one server
CONF = Path("/etc/hccn.conf")
PATIENCE = 30  # seconds that a tool may take to answer
NO_ANSWER = 124
MASK = "ASCEND_RT_VISIBLE_DEVICES"
RINGS = ((0, 1, 2, 3), (4, 5, 6, 7))
TWO_RINGS = re.compile("910(A|B|ProA|ProB|PremiumA)")  # first generation; 910B1 to 910B4 are the second, a full mesh
ALLOWED = "0-3, 4-7, two or one of either, or all eight"


class Mistake(ValueError):
    """What is wrong, where, and what to do, in a sentence."""


# Addresses


def addresses(
    devices: Sequence[int] | None = None,
    conf: str | Path | None = None,
    note: Callable[[str], object] = print,
    fallback: str | Path = CONF,
) -> dict[int, str]:
    """Return the network address of each device by number.

    They come from the file ``conf`` if it is given, otherwise from ``hccn_tool``, and from ``fallback`` for devices for which
    that fails.

    Args:
        devices: their numbers, None for all that there are. One without an address is missing in the result.
        conf: file as ``of_file`` reads it.
        note: called with a sentence that says why ``hccn_tool`` failed.
        fallback: file likewise.

    Raises:
        Mistake: neither tool nor file can be read.
    """
    if conf is not None:
        return of_file(conf)
    if not shutil.which("hccn_tool"):
        return of_file(fallback, "there is no hccn_tool on PATH to ask")
    by_device, why = of_tool(devices)
    if not why or devices is None and by_device:
        return by_device
    try:
        listed = of_file(fallback, f"hccn_tool failed ({why})")
    except Mistake:
        if not by_device:
            raise
        note(f"hccn_tool failed ({why}).")
        return by_device
    note(f"hccn_tool failed ({why}); addresses are from {fallback}.")
    return {**listed, **by_device}


def of_tool(devices: Sequence[int] | None) -> tuple[dict[int, str], str | None]:
    """Return (addresses by device as ``hccn_tool`` says them, its error message for the first device without one or None)."""
    by_device, why = {}, None
    for number in range(MOST_DEVICES) if devices is None else devices:
        status, output = told("hccn_tool", "-i", str(number), "-ip", "-g")
        address = re.search(r"^ipaddr:(\S+)", output, re.MULTILINE)
        if address:
            by_device[number] = address[1]
        elif status:
            why = why or " ".join(output.split()) or f"status {status}"
            if devices is None or status == NO_ANSWER:
                break  # no such device, nor any behind it; or one wait is enough
    return by_device, why


def of_file(path: str | Path, instead: str | None = None) -> dict[int, str]:
    """Return addresses by device from a file of lines such as ``address_0=192.168.100.101``; raise ``Mistake`` if it fails.

    ``instead`` says in the message why this file is read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")  # comments may be in any encoding
    except OSError as error:
        raise Mistake(
            f"{path}: cannot be read ({error.strerror}){f', and {instead}' if instead else ''}; run this on the "
            "Ascend server, as root where hccn_tool asks for it, or give --conf FILE with lines such as "
            "address_0=192.168.100.101."
        ) from error
    by_device = {}
    for number, address in re.findall(r"^\s*address_([0-9]{1,4})\s*=\s*(\S+)", text, re.MULTILINE):
        if int(number) in by_device:
            raise Mistake(f"{path}: device {number} has two addresses; leave one.")
        by_device[int(number)] = address
    return by_device


# Which devices can work together


def refuse_unconnected(devices: Collection[int]) -> None:
    """Raise ``Mistake`` for numbers of devices that this server cannot connect.

    Eight devices of the first generation are two rings of four: one, two or four of one ring, or all eight can work
    together. Devices of another generation, as ``npu-smi`` says, all can.
    """
    names = chip_names()
    if names and not all(TWO_RINGS.fullmatch(name) for name in names):
        return
    within = any(set(devices) <= set(ring) for ring in RINGS) and len(devices) in (2, 4)
    if not within and len(devices) != 1 and set(devices) != {number for ring in RINGS for number in ring}:
        known = f"its devices are {names[0]}, two rings of four" if names else "npu-smi names no other server"
        raise Mistake(
            f"devices {','.join(map(str, sorted(devices)))}: an Atlas 800 training server cannot connect them; take "
            f"{ALLOWED} ({known}; where that is wrong, add --any-devices)."
        )


def chip_names() -> list[str]:
    """Return the names of the chips, such as ``910A``, in the order of ``npu-smi info -m``; empty where it says nothing."""
    output = told("npu-smi", "info", "-m")[1].splitlines()
    columns = [re.split(r"\s{2,}", line.strip()) for line in output if line.strip()]
    if not columns or "Chip Name" not in columns[0]:
        return []
    rows = [dict(zip(columns[0], row)) for row in columns[1:]]
    names = [row.get("Chip Name", "").replace("Ascend", "").strip() for row in rows]
    return [name for name in names if name and name.lower() != "mcu"]


def told(*command: str) -> tuple[int, str]:
    """Run a command and return (exit status, its output); the status is ``NO_ANSWER`` after ``PATIENCE``, 127 if it is missing.

    ``MASK`` is taken out of its environment: these tools number all devices of the server.
    """
    environment = {name: value for name, value in os.environ.items() if name != MASK}
    try:
        process = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=environment,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return NO_ANSWER, f"no answer within {PATIENCE} s"
    except OSError as error:
        return 127, str(error.strerror)
    return process.returncode, f"{process.stdout}\n{process.stderr}"

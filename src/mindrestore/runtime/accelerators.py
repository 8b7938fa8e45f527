"""Ascend devices and NVIDIA GPUs of this machine: driver, toolkit, environment and addresses, and commands that mend them.

Read from files and the environment alone, so that it also says why MindSpore sees no device. A line is one of
``mindrestore doctor``: a label and what there is, or ``!`` and a sentence that ends in the command that mends it. A kind of
device of which the machine has no trace gets no line.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mindrestore.runtime import ascend_server

ASCEND = "/usr/local/Ascend"
TOOLKITS = (f"{ASCEND}/ascend-toolkit/latest", f"{ASCEND}/cann", "~/Ascend/ascend-toolkit/latest")
TOOLKIT_VARIABLES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")
TOOLKIT_PACKAGES = ("te", "hccl")  # Python packages of CANN that MindSpore imports
CUDA_PLACES = ("CUDA_HOME", "CUDA_PATH")
CUDA_BUILT_FOR = ("11.1", "11.6")
Packages = Callable[[str], object]  # of a Python package its ``ModuleSpec``, None where it cannot be imported
LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/local/lib")


def described(
    root: str | Path = "/", environment: Mapping[str, str] = os.environ, packages: Packages = importlib.util.find_spec
) -> Iterator[str]:
    """Yield the lines about this machine. Tests give an imitation of one by ``root``, ``environment`` and ``packages``."""
    root = Path(root)
    yield from ascend(root, environment, packages)
    yield from gpu(root, environment)


# Ascend


def ascend(root: Path, environment: Mapping[str, str], packages: Packages) -> Iterator[str]:
    """Yield the lines about Ascend: driver, CANN and its environment, devices and their addresses."""
    driver = _value(root / f"{ASCEND}/driver/version.info".lstrip("/"), "version")
    devices = sorted(int(path.name[7:]) for path in (root / "dev").glob("davinci[0-9]*") if path.name[7:].isdigit())
    configured = next((environment[name] for name in TOOLKIT_VARIABLES if environment.get(name)), None)
    toolkit = next((place for place in filter(None, (configured, *TOOLKITS)) if _at(root, place).is_dir()), None)
    if not (driver or devices or configured or toolkit):
        return
    version = _toolkit_version(_at(root, toolkit)) if toolkit else None
    yield (
        f"ascend        driver {driver or 'not found'}, CANN {version or 'of unknown version' if toolkit else 'not found'}"
        f"{f' in {toolkit}' if toolkit else ''}, devices {', '.join(map(str, devices)) or 'none'}"
    )
    if not driver:
        yield "! ascend: the driver is missing; as root, bash Ascend-hdk-*-npu-driver_*.run --full --install-for-all"
    elif not devices:
        yield "! ascend: the driver shows no device; see which it finds with npu-smi info"
    elif not all(os.access(root / f"dev/davinci{number}", os.R_OK | os.W_OK) for number in devices):
        yield "! ascend: you may not open the devices; sudo usermod -aG HwHiAiUser $USER, and log in again"
    if not toolkit:
        yield "! ascend: CANN is missing; bash Ascend-cann-toolkit_*.run --install"
    else:
        yield from _toolkit(root, environment, packages, configured=configured, toolkit=toolkit)
    if driver and devices:
        yield from _addresses(root, devices)


def _toolkit(
    root: Path, environment: Mapping[str, str], packages: Packages, *, configured: str | None, toolkit: str
) -> Iterator[str]:
    script = next(
        (place for place in (f"{toolkit}/set_env.sh", f"{os.path.dirname(toolkit)}/set_env.sh") if _at(root, place).is_file()),
        f"{os.path.dirname(toolkit)}/set_env.sh",
    )
    libraries = environment.get("LD_LIBRARY_PATH", "").split(":")
    if configured is None or not any(place.startswith(configured) for place in libraries):
        yield f"! ascend: the environment of CANN is not sourced; source {script}"
    elif configured != toolkit:
        yield f"! ascend: the environment is of a CANN in {configured}, which is not there; source {script}"
    else:
        yield f"ascend        the environment of CANN is sourced ({configured})"
        missing = [name for name in TOOLKIT_PACKAGES if packages(name) is None]
        if missing:
            wheels = " ".join(f"{toolkit}/lib64/{name}-*-py3-none-any.whl" for name in missing)
            yield f"! ascend: Python does not find {' and '.join(missing)} of CANN; pip install {wheels}"


def _addresses(root: Path, devices: Sequence[int]) -> Iterator[str]:
    notes = []
    try:
        addresses = ascend_server.addresses(devices, note=notes.append, fallback=_at(root, ascend_server.CONF))
    except ascend_server.Mistake as mistake:
        yield f"! ascend: the addresses of the devices are not known: {mistake}"
        return
    yield from (f"ascend        {note}" for note in notes)
    if addresses:
        yield f"ascend        addresses {', '.join(f'{number}: {address}' for number, address in sorted(addresses.items()))}"
    for number in devices:
        if number not in addresses:
            yield (
                f"! ascend: device {number} has no address, which several servers need; hccn_tool -i {number} -ip -s "
                "address ADDRESS netmask MASK"
            )


def _toolkit_version(folder: Path) -> str | None:
    for place in (
        *sorted(folder.glob("*-linux/ascend_toolkit_install.info")),
        folder / "ascend_toolkit_install.info",
        folder / "version.cfg",
    ):
        version = _value(place, "version") or _value(place, "toolkit_running_version")
        if version:
            return version.strip("[]").split(":")[-1]
    return None


# NVIDIA


def gpu(root: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines about NVIDIA: driver, CUDA, cuDNN and the number of cards."""
    text = _text(root / "proc/driver/nvidia/version")
    driver = re.search(r"Kernel Module(?: for \S+)?\s+([0-9.]+)", text)
    cards = [path for path in (root / "dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()]
    configured = next((environment[name] for name in CUDA_PLACES if environment.get(name)), None)
    home = next((place for place in filter(None, (configured, "/usr/local/cuda")) if _at(root, place).is_dir()), None)
    if not (driver or cards or home or configured):
        return
    version = _cuda_version(_at(root, home)) if home else None
    folders = [
        *filter(None, environment.get("LD_LIBRARY_PATH", "").split(":")),
        *([f"{home}/lib64"] if home else []),
        *LIBRARY_FOLDERS,
    ]
    cudnn = next((place for place in folders if any(_at(root, place).glob("libcudnn.so.8*"))), None)
    yield (
        f"gpu           driver {driver[1] if driver else 'not found'}, CUDA {version or 'not found'}"
        f"{f' in {home}' if home else ''}, cuDNN 8 {f'in {cudnn}' if cudnn else 'not found'}, {len(cards)} cards"
    )
    if not driver and shutil.which("nvidia-smi", path=environment.get("PATH")):
        yield "! gpu: the NVIDIA driver is not loaded; sudo modprobe nvidia"
    elif not driver:
        yield "! gpu: the NVIDIA driver is missing; sudo apt-get install nvidia-driver-535"
    if configured and configured != home:
        yield f"! gpu: CUDA_HOME is {configured}, which is not there; export CUDA_HOME={home or '/usr/local/cuda-11.6'}"
    elif not home:
        yield "! gpu: CUDA is missing; sudo apt-get install cuda-toolkit-11-6"
    elif version and not version.startswith(tuple(f"{known}." for known in CUDA_BUILT_FOR)) and version not in CUDA_BUILT_FOR:
        yield (
            f"! gpu: CUDA is {version}, MindSpore is built for {' and '.join(CUDA_BUILT_FOR)}; "
            "sudo apt-get install cuda-toolkit-11-6 && export CUDA_HOME=/usr/local/cuda-11.6"
        )
    if not cudnn:
        yield "! gpu: no libcudnn.so.8 where libraries are looked for; sudo apt-get install libcudnn8"


def _cuda_version(folder: Path) -> str | None:
    try:
        return json.loads(_text(folder / "version.json"))["cuda"]["version"]
    except (ValueError, KeyError, TypeError):
        match = re.search(r"CUDA Version ([0-9.]+)", _text(folder / "version.txt"))
        return match and match[1]


# Files


def _at(root: Path, place: str | Path) -> Path:
    """Return where ``place`` lies in a tree of which ``root`` is the root."""
    return root / str(Path(place).expanduser()).lstrip("/")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _value(path: Path, key: str) -> str | None:
    """Return what a file of lines ``Key=value`` says for ``key``, None if nothing."""
    match = re.search(rf"^\s*{key}\s*=\s*(\S+)", _text(path), re.MULTILINE | re.IGNORECASE)
    return match and match[1]

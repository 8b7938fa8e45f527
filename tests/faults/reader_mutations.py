"""Valid files of every reader, changed at random: each must be read, or refused by one sentence, in little time and memory.

    python tests/faults/reader_mutations.py READER FIRST COUNT FOLDER

runs cases FIRST to FIRST + COUNT of a reader, each made by its number alone, in this process, whose memory is limited. A line
of standard output is a case that did neither; the last one is a JSON object of counts. ``FOLDER/case`` holds the number of the
case that is under way, for a process that did not live to say it.
"""

import hashlib
import io
import json
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np

SECONDS = 10  # for a case
BYTES = 3 * 2**29  # that all cases together may add to the address space
LONGEST = 800  # letters of a message, its path included
EXTREMES = [0, 1, 2, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1]
WORDS = [
    "null",
    "true",
    "[]",
    "{}",
    "-1",
    "0",
    "1e400",
    "NaN",
    "-Infinity",
    "9" * 5000,
    "9" * 4000,
    "0x" + "f" * 4000,
    "1e-400",
    '"x"',
    "[[[[",
    "}" * 9,
    "\x00",
    "{" * 3000,
    "[" * 3000,
    "é",
    "$x$",
    "2024-13-45",
    "!!int x",
    "&a [*a]",
    "<<: 1",
    "'",
    '"',
    "\t",
    "\ufeff",
    "=",
    ": ",
    "|",
]


# Changes


def of_bytes(raw, rng):
    """Return ``raw`` with one to three changes."""
    raw = bytearray(raw)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        place = rng.randrange(len(raw) + 1)
        length = rng.choice([1, 2, 4, 8, 64])
        kind = rng.randrange(7)
        if kind == 0 and place < len(raw):
            raw[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del raw[place:]
        elif kind == 2:
            raw[place : place + length] = bytes(rng.randrange(256) for _ in range(length))
        elif kind == 3:
            width = rng.choice(["<I", ">I", "<Q", ">Q", "<H", "B"])
            number = rng.choice(EXTREMES) & (256 ** struct.calcsize(width) - 1)
            raw[place : place + struct.calcsize(width)] = struct.pack(width, number)
        elif kind == 4:
            del raw[place : place + length]
        elif kind == 5:
            raw[place:place] = raw[place : place + length] * rng.choice([1, 2, 50])
        else:
            raw[place : place + length] = b"\0" * length
    return bytes(raw)


def of_text(raw, rng):
    """Return the bytes of a text with one to three changes: of its values, its lines, or its bytes."""
    text = raw.decode("utf-8")
    for _ in range(rng.choice([1, 1, 2, 3])):
        lines = text.splitlines(keepends=True) or [""]
        number = rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0:
            parts = lines[number].replace(",", ": ").split(": ")
            old = rng.choice(parts).strip() or lines[number]
            lines[number] = lines[number].replace(old, rng.choice(WORDS), 1)
        elif kind == 1:
            lines.insert(number, lines[rng.randrange(len(lines))])
        elif kind == 2:
            del lines[number]
        elif kind == 3:
            place = rng.randrange(len(lines[number]) + 1)
            lines[number] = lines[number][:place] + rng.choice(WORDS) + lines[number][place:]
        elif kind == 4:
            lines[number] = "\n" * rng.choice([1, 3])
        else:
            return of_bytes("".join(lines).encode("utf-8", "replace"), rng)
        text = "".join(lines)
    return text.encode("utf-8", "replace")


def of_zip(raw, rng):
    """As ``of_bytes``, of a record of an archive, whose sums are right again."""
    if rng.random() < 0.2:
        return of_bytes(raw, rng)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        records = {info.filename: (archive.read(info), info.compress_type) for info in archive.infolist()}
    changed = rng.choice(sorted(records))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, (content, kind) in records.items():
            archive.writestr(name, of_bytes(content, rng) if name == changed else content, kind)
    return stream.getvalue()


def of_matlab(raw, rng):
    """As ``of_bytes``, of a variable of a compressed file, whose sums are right again."""
    if rng.random() < 0.3:
        return of_bytes(raw, rng)
    parts, place = [], 128
    while place < len(raw):
        size = struct.unpack_from("<I", raw, place + 4)[0]
        parts.append(zlib.decompress(raw[place + 8 : place + 8 + size]))
        place += 8 + size
    number = rng.randrange(len(parts))
    parts[number] = of_bytes(parts[number], rng)
    packed = [zlib.compress(part) for part in parts]
    return raw[:128] + b"".join(struct.pack("<II", 15, len(part)) + part for part in packed)


def of_record(raw, rng):
    """As ``of_text``, of the record that a checkpoint of ours ends in."""
    from mindrestore.checkpoints import mindspore_file
    from mindrestore.checkpoints.native import METADATA_ENTRY

    path = Path("whole.ckpt")
    path.write_bytes(raw)
    entries = mindspore_file.read(path)
    record = of_text(entries.pop(METADATA_ENTRY).replace(", ", ",\n").encode(), rng).decode("utf-8", "replace")
    mindspore_file.write(path, entries, {METADATA_ENTRY: record})
    return path.read_bytes()


# Valid files


def arrays():
    rng = np.random.default_rng(0)
    return {
        "conv1.0.weight": rng.random((4, 3, 3)).astype(np.float32),
        "conv1.0.bias": rng.random(4).astype(np.float16),
        "steps": np.arange(3),
        "scale": np.float64(2.5),
    }


def torch_zip(path):
    from torch_pickles import module, tensor, zip_file

    six = np.arange(6, dtype=np.float32)
    net = module(_parameters={"b": tensor(size=(6,), stride=(1,))})
    value = {"state_dict": {"module.w": tensor(), "b": tensor()}, "net": net}
    zip_file(path, value, {"data/0": six.tobytes()})


def torch_older(path):
    from torch_pickles import older_file, tensor

    older_file(path, {"module.w": tensor(), "b": tensor()}, {"0": np.arange(6, dtype=np.float32)})


def safetensors(path):
    from safetensors.numpy import save_file

    save_file({name: np.atleast_1d(array) for name, array in arrays().items()}, path)


def own_checkpoint(path):
    from mindrestore.checkpoints import save_network
    from mindrestore.models import create_model

    settings = dict(blocks=1, groups=2, coupling="two_way", colour=False, channels=8)
    save_network(path, create_model("revsci", **settings), "revsci", settings)


def scene():
    rng = np.random.default_rng(0)
    mask, orig = rng.integers(0, 2, (6, 8, 2)).astype(np.uint8), rng.integers(0, 256, (6, 8, 4)).astype(np.uint8)
    meas = np.stack([(mask * orig[..., at : at + 2]).sum(-1) for at in (0, 2)], -1).astype(np.float64)
    return dict(mask=mask, orig=orig, meas=meas, frame_rate=24.0, white=255.0, colour=np.uint8(0))


def matlab(path, compressed=True):
    import scipy.io

    scipy.io.savemat(path, scene(), do_compression=compressed)


def matlab_plain(path):
    matlab(path, compressed=False)


def matlab_hdf5(path):
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in scene().items():
            file.create_dataset(name, data=np.atleast_2d(array).T, compression="gzip" if name == "orig" else None)


def npz(path):
    np.savez_compressed(path, mask=np.eye(4)[None].repeat(3, 0), other=np.arange(3))


def npy(path):
    np.save(path, np.eye(4)[None].repeat(3, 0))


def configuration(path):
    path.write_bytes((Path(__file__).resolve().parents[2] / "configs" / "vrt" / "small_sr.yaml").read_bytes())


def log(path):
    path.write_text("".join(json.dumps({"step": step, "loss": 0.1, "learning_rate": 1e-4}) + "\n" for step in range(9)))


def exported(path):
    record = {
        "sha256": hashlib.sha256(b"graph").hexdigest(),
        "kind": "vrt",
        "settings": {"upscale": 1},
        "precision": "float32",
        "mask": None,
        "inputs": [{"name": "clip", "shape": [1, 6, 3, 64, None]}],
    }
    path.write_text(json.dumps(record, indent=1))
    path.with_suffix("").write_bytes(b"graph")


def record_of_run(path):
    path.parent.joinpath("out.mp4.part").mkdir(exist_ok=True)
    path.write_text(json.dumps({"task": "sr", "input": ["a", 1]}, indent=1))


def addresses(path):
    lines = (f"address_{number}=192.168.100.{number + 1}\nnetmask_{number}=255.255.255.0\n" for number in range(8))
    path.write_text("".join(lines))


def rank_table(path):
    table = {
        "version": "1.0",
        "server_count": "1",
        "status": "completed",
        "server_list": [
            {
                "server_id": "10.0.0.1",
                "host_nic_ip": "reserve",
                "device": [
                    {"device_id": "0", "device_ip": "192.168.1.1", "rank_id": "0"},
                    {"device_id": "1", "device_ip": "192.168.1.2", "rank_id": "1"},
                ],
            }
        ],
    }
    path.write_text(json.dumps(table, indent=1))


def picture(path):
    rng = np.random.default_rng(0)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(rng.integers(0, 256, (24, 32, 3)).astype(np.uint8), (5, 5), 0))


# Readers


def weights(path):
    from mindrestore.checkpoints import read_arrays

    read_arrays(path)


def network(path):
    from mindrestore.checkpoints.loading import load

    load(path)


def measurements(path):
    from mindrestore.data.measurements import load_measurements
    from mindrestore.data.scenes import load_scene

    load_scene(path)
    load_measurements(path)


def mask(path):
    from mindrestore.sensing import load_mask

    load_mask(path)


def settings(path):
    from mindrestore.config import load_config

    load_config(path)


def curves(path):
    from mindrestore.training.curves import read_runs

    for run in read_runs([path]):
        run.summary()


def description(path):
    from mindrestore.restore import exported as room

    room.mindir.read = lambda path, shapes: None  # MindSpore's own reader is not ours to mend
    room.load_exported(path.with_suffix(""))


def unfinished(path):
    from mindrestore.restore.finished import FinishedFrames

    part = path.parent / "out.mp4.part"
    part.mkdir(exist_ok=True)
    os.replace(path, part / "run.json")
    FinishedFrames(path.parent / "out.mp4", {"task": "sr", "input": ["a", 1]}, resume=True)


def hccn(path):
    from mindrestore.runtime.ascend_server import of_file

    of_file(path)


def table(path):
    from places import ROOT, module_at

    module_at(ROOT / "scripts" / "generate_rank_table.py").read(path)


def frames(path):
    from mindrestore.data.frames import count_frames, stream_frames

    count_frames(path)
    for _ in stream_frames(path, colour=True):
        pass


READERS = {  # name -> (suffix, what makes a valid file, what changes it, what reads it)
    "torch_zip": (".pth", torch_zip, of_zip, weights),
    "torch_older": (".pth", torch_older, of_bytes, weights),
    "npz_weights": (".npz", lambda path: np.savez(path, **arrays()), of_zip, weights),
    "safetensors": (".safetensors", safetensors, of_bytes, weights),
    "own_checkpoint": (".ckpt", own_checkpoint, of_bytes, network),
    "own_record": (".ckpt", own_checkpoint, of_record, network),
    "matlab": (".mat", matlab, of_matlab, measurements),
    "matlab_plain": (".mat", matlab_plain, of_bytes, measurements),
    "matlab_hdf5": (".mat", matlab_hdf5, of_bytes, measurements),
    "npz_mask": (".npz", npz, of_zip, mask),
    "npy_mask": (".npy", npy, of_bytes, mask),
    "yaml": (".yaml", configuration, of_text, settings),
    "log": (".jsonl", log, of_text, curves),
    "exported": (".mindir.json", exported, of_text, description),
    "run_record": (".json", record_of_run, of_text, unfinished),
    "hccn_conf": (".conf", addresses, of_text, hccn),
    "rank_table": (".json", rank_table, of_text, table),
    **{f"picture{suffix}": (suffix, picture, of_bytes, frames) for suffix in (".png", ".jpg", ".bmp", ".tif", ".webp")},
}
SLOW = {"matlab_hdf5": 40, "own_record": 8}  # name -> how many times as long as others a case takes


# Cases


class TooLong(BaseException):
    """A case has taken ``SECONDS``."""


def outcome(reader, number, whole, folder):
    """Run one case; return ("read" or "refused" or None, what went wrong)."""
    from mindrestore.errors import UserError
    from mindrestore.runtime.ascend_server import Mistake

    suffix, _, change, read = READERS[reader]
    path = folder / f"changed{suffix}"
    path.write_bytes(change(whole, random.Random(f"{reader} {number}")))
    signal.alarm(SECONDS)
    try:
        read(path)
        return "read", None
    except Exception as error:
        if type(error) in (UserError, Mistake) or type(error).__name__ == "Mistake":
            message = str(error)
            good = "\n" not in message and len(message) <= LONGEST and message.endswith((".", "?"))
            return ("refused", None) if good else (None, f"a message that is no sentence: {message[:1000]!r}")
        return None, "".join(traceback.format_exception_only(error)).strip()[:300] + " at " + str(
            traceback.extract_tb(error.__traceback__)[-1]
        )
    except TooLong:
        return None, f"no answer within {SECONDS} s"
    finally:
        signal.alarm(0)


def stopped(*_):
    raise TooLong


def main(reader, first, count, folder):
    folder = Path(folder).resolve()
    os.chdir(folder)
    suffix, make, _, _ = READERS[reader]
    path = folder / f"changed{suffix}"
    make(path)
    whole = path.read_bytes()
    counts = {"read": 0, "refused": 0, "wrong": 0}
    READERS[reader][3](path)  # it is valid; and what is imported is imported
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
    signal.signal(signal.SIGALRM, stopped)
    began = time.monotonic()
    for number in range(int(first), int(first) + int(count)):
        (folder / "case").write_text(str(number))
        result, wrong = outcome(reader, number, whole, folder)
        counts[result or "wrong"] += 1
        if wrong:
            print(f"{reader} {number}: {wrong}", flush=True)
    print(json.dumps({**counts, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main(*sys.argv[1:])

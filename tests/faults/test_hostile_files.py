"""Files made to do harm, one by one: each is refused by a sentence, at once, and reads nothing that was not named."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
from builders import video_config
from places import ROOT, module_at
from torch_pickles import Call, Global, storage, tensor, zip_file

from mindrestore import exit_status, mat_files
from mindrestore.checkpoints import native, read_arrays
from mindrestore.checkpoints.loading import load
from mindrestore.data.frames import read_clip
from mindrestore.data.measurements import load_measurements
from mindrestore.errors import UserError
from mindrestore.evaluation.report import FrameRecord, write_report
from mindrestore.evaluation.results import Row
from mindrestore.evaluation.video_results import ClipResults, ClipScore
from mindrestore.mat_files import read_mat
from mindrestore.models import create_model
from mindrestore.readers import hdf5_arrays
from mindrestore.restore import exported
from mindrestore.restore.finished import FinishedFrames
from mindrestore.runtime import ascend_server
from mindrestore.sensing import load_mask
from mindrestore.training.curves import draw, read_runs
from mindrestore.training.log import TrainingLog

SIX = np.arange(6, dtype=np.float32)


def refusal(read, *arguments, seconds=3):
    """Return the sentence that ``read`` refuses with, within so many seconds."""
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        read(*arguments)
    assert time.monotonic() - began < seconds
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600 and message.endswith((".", "?")), message
    return message


# MATLAB


@pytest.fixture
def secret(tmp_path):
    """A file of another owner with numbers that nobody named."""
    path = tmp_path / "elsewhere" / "secret.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file["mask"] = np.ones((4, 6, 8))
    path.with_suffix(".raw").write_bytes(np.ones((4, 6, 8)).tobytes())
    return path


def external_link(file, secret):
    file["mask"] = h5py.ExternalLink(str(secret), "mask")


def external_numbers(file, secret):
    file.create_dataset("mask", (4, 6, 8), "f8", external=[(str(secret.with_suffix(".raw")), 0, h5py.h5f.UNLIMITED)])


def virtual_numbers(file, secret):
    layout = h5py.VirtualLayout((4, 6, 8), "f8")
    layout[:] = h5py.VirtualSource(str(secret), "mask", (4, 6, 8))
    file.create_virtual_dataset("mask", layout)


def soft_link(file, secret):
    file["other"] = np.ones((4, 6, 8))
    file["mask"] = h5py.SoftLink("/other")


@pytest.mark.parametrize(
    "harm, words",
    [
        (external_link, "mask is a link; what another file holds is not read"),
        (soft_link, "mask is a link"),
        (external_numbers, "the numbers of mask are in another file, which is not read"),
        (virtual_numbers, "the numbers of mask are in another file, which is not read"),
    ],
)
def test_matlab_files_read_no_other_file(harm, words, secret, tmp_path):
    with h5py.File(tmp_path / "m.mat", "w", userblock_size=512) as file:
        harm(file, secret)
    assert words in refusal(load_mask, tmp_path / "m.mat", seconds=20)


def test_small_matlab_files_take_little_memory(tmp_path):
    path = tmp_path / "m.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("mask", (4, 6000, 8000), "f8", chunks=(1, 6000, 8000), compression="gzip", fillvalue=1.0)
    assert path.stat().st_size < 10_000
    assert "far more memory than its size" in refusal(read_mat, path, seconds=20)
    with h5py.File(path, "w") as file:
        file.create_dataset("mask", (4, 60, 80), "f8", fillvalue=1.0)
    assert "the numbers of mask are missing" in refusal(read_mat, path, seconds=20)


def test_a_crash_of_the_hdf5_library_is_a_sentence(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "m.mat", "w") as file:
        file["mask"] = np.ones((4, 6, 8))
    (tmp_path / "crashing.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(hdf5_arrays, "__name__", "crashing")
    assert "the HDF5 library crashed on it with signal 11" in refusal(read_mat, tmp_path / "m.mat", seconds=20)


def test_a_compressed_variable_unfolds_to_no_more_than_its_size_allows(tmp_path):
    claimed = 2**31 - 8
    bomb = zlib.compress(struct.pack("<II", 14, claimed) + bytes(10_000_000), 9)
    path = tmp_path / "m.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(bomb)) + bomb)
    assert "more memory than there is" in refusal(read_mat, path)


def test_matlab_files_of_scipy_are_read_as_scipy_reads_them(tmp_path):
    rng = np.random.default_rng(0)
    kinds = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
    arrays = {f"of_{kind}": (100 * rng.random((3, 4, 5))).astype(kind) for kind in kinds}
    arrays.update(flat=np.arange(3.0), number=np.float64(2.5), empty=np.zeros((0, 3)))
    arrays["long_name_of_thirty_one_letters"] = np.eye(2)
    for compressed in (False, True):
        scipy.io.savemat(tmp_path / "m.mat", arrays, do_compression=compressed)
        expected = {name: array for name, array in scipy.io.loadmat(tmp_path / "m.mat").items() if not name.startswith("__")}
        found = read_mat(tmp_path / "m.mat")
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, strict=True)


def test_a_double_that_is_stored_in_bytes_is_a_double(tmp_path):
    """MATLAB stores whole numbers in fewer bytes; SciPy says the type of the bytes, which is not the array's."""

    def element(kind, raw):
        return struct.pack("<II", kind, len(raw)) + raw + bytes(-len(raw) % 8)

    flags, shape = element(6, struct.pack("<II", 6, 0)), element(5, struct.pack("<ii", 2, 3))
    parts = flags + shape + element(1, b"meas") + element(2, bytes(6))
    (tmp_path / "m.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + element(14, parts))
    assert scipy.io.loadmat(tmp_path / "m.mat")["meas"].dtype == np.uint8
    assert read_mat(tmp_path / "m.mat")["meas"].dtype == np.float64


# NumPy


def test_npz_masks_without_arrays(tmp_path):
    for name, records in {"empty": {}, "text": {"mask.txt": b"1"}, "raw": {"mask.npy": b"1"}}.items():
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w") as archive:
            for record, content in records.items():
                archive.writestr(record, content)
        assert f"{name}.npz: no" in refusal(load_mask, tmp_path / f"{name}.npz")


@pytest.mark.parametrize("shape", ["(10000000, 1000000)", "(-1, 4, 4)", "(4,) * 10**9", "(1" + "0" * 5000 + ",)", "(2, True)"])
def test_a_header_that_lies_allocates_nothing(shape, tmp_path):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(118) + b"\n"
    (tmp_path / "m.npy").write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(64))
    assert "m.npy: not a readable NumPy file" in refusal(load_mask, tmp_path / "m.npy")


def test_an_archive_unfolds_to_no_more_than_its_size_allows(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 4000, 3000)))
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("mask.npy", stream.getvalue())
    for read in (load_mask, read_arrays):
        assert "more memory than there is" in refusal(read, tmp_path / "m.npz")


# Checkpoints


@pytest.mark.parametrize("shape, end", [([2**62, 4], 4), ([1 << 63], 4), ([-1], 4), ([0, 2**40], 0), ([3], 4), ([1.5], 4)])
def test_hostile_shapes_of_safetensors(shape, end, tmp_path):
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(end))
    if shape == [0, 2**40]:
        assert read_arrays(tmp_path / "w.safetensors")["w"].shape == (0, 2**40)
    else:
        assert "not a readable safetensors file" in refusal(read_arrays, tmp_path / "w.safetensors")


def test_storages_that_do_not_hold_whole_numbers(tmp_path):
    arguments = (storage(kind="torch.storage.UntypedStorage", count=23), 0, (2,), (1,), False, {}, Global("torch.float32"))
    value = {"w": Call(Global("torch._utils._rebuild_tensor_v3"), arguments)}
    path = zip_file(tmp_path / "a.pth", value, {"data/0": bytes(23)})
    assert "is cut short or damaged" in refusal(read_arrays, path)


def test_a_name_of_half_a_million_prefixes(tmp_path):
    path = zip_file(tmp_path / "a.pth", {"module." * 500_000 + "w": tensor()}, {"data/0": SIX.tobytes()})
    assert "has a name of 3500001 letters" in refusal(read_arrays, path)
    path = zip_file(tmp_path / "b.pth", {"module." * 50 + "w": tensor()}, {"data/0": SIX.tobytes()})
    assert list(read_arrays(path)) == ["w"]


@pytest.mark.parametrize("name", ["torch.Size", "builtins.set", "builtins.frozenset", "collections.OrderedDict"])
def test_a_text_in_the_place_of_a_list_is_not_taken_apart(name, tmp_path):
    value = {"w": tensor(), "n": Call(Global(name), ("x" * 4_800_000,))}
    path = zip_file(tmp_path / "a.pth", value, {"data/0": SIX.tobytes()})
    assert "a str where a list or tuple belongs" in refusal(read_arrays, path)


@pytest.mark.parametrize(
    "kind, settings, hostile",
    [
        ("revsci", dict(blocks=1, channels=8), dict(blocks=1_000_000_000)),
        ("revsci", dict(blocks=1, channels=8), dict(channels=8_000_000)),
        ("revsci", dict(blocks=1, channels=8), dict(blocks=16**3000)),
        (
            "vrt",
            dict(
                upscale=1,
                depths=[1] * 8,
                embed_dims=[4] * 8,
                num_heads=[1] * 8,
                indep_reconsts=[],
                pa_frames=0,
                nonblind_denoising=True,
                img_size=[2, 16, 16],
                window_size=[2, 4, 4],
            ),
            dict(depths=[10**8] * 8),
        ),
    ],
)
def test_settings_that_ask_for_more_than_the_file_holds_build_nothing(kind, settings, hostile, tmp_path):
    network = create_model(kind, **settings)
    record = {**network.settings, **hostile}
    native.save_network(tmp_path / "a.ckpt", network, kind, record)
    assert "or more; the file is damaged" in refusal(load, tmp_path / "a.ckpt")
    native.save_network(tmp_path / "b.ckpt", network, kind, network.settings)
    assert load(tmp_path / "b.ckpt").trained


def test_windows_of_more_pixels_than_attention_takes():
    with pytest.raises(UserError, match="attention is among 4096 pixels at most"):
        create_model("vrt", window_size=[2, 200, 200])


# Pictures


def test_a_picture_of_60000_x_60000_pixels_is_a_sentence(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    (tmp_path / "0.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    assert "0.png: not a readable image" in refusal(read_clip, tmp_path)
    assert "0.png: not a readable image" in refusal(read_clip, tmp_path / "0.png")


# Logs, records, descriptions


@pytest.fixture
def run_log(tmp_path):
    def write(text):
        path = tmp_path / "log.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


LINE = '{"step": 1, "loss": 0.5}\n'


def test_empty_lines_of_a_log_are_passed_over(run_log, tmp_path):
    (run,) = read_runs([run_log(LINE + "\n  \n" + LINE.replace("1", "2") + "\n")])
    assert run.curves["loss"] == ([1, 2], [0.5, 0.5])
    TrainingLog(tmp_path, 9, first=1).close()
    assert (tmp_path / "log.jsonl").read_text() == LINE


@pytest.mark.parametrize(
    "text",
    [
        LINE + "[1, 2]\n",
        LINE + '{"step": "1"}\n',
        LINE + '{"step": 2, "loss": "x"}\n',
        LINE + '{"step": ' + "9" * 5000 + "}\n",
        LINE + "[" * 10_000 + "\n",
        LINE + '{"step": true}\n',
        b'{"step": 1, "loss": 0.5, "\xff": 1}\n',
    ],
)
def test_logs_that_are_none(text, run_log, tmp_path):
    path = run_log(text)
    assert f"{path}" in refusal(read_runs, [path])
    assert f"{path}" in refusal(TrainingLog, tmp_path, 9, 1)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"', "", "{", "[" * 10_000, "9" * 5000])
def test_a_record_of_a_run_that_is_none(text, tmp_path):
    (tmp_path / "out.mp4.part").mkdir()
    (tmp_path / "out.mp4.part" / "run.json").write_text(text)
    for resume in (False, True):
        said = refusal(FinishedFrames, tmp_path / "out.mp4", {"task": "sr"}, resume)
        assert "is in the way and holds no unfinished run" in said


@pytest.mark.parametrize(
    "change",
    [
        dict(kind=[]),
        dict(kind="nothing"),
        dict(inputs=[]),
        dict(inputs=3),
        dict(inputs=[{"shape": 3}]),
        dict(settings=[]),
        dict(inputs=[{"shape": [1, 6, 3, 64]}]),
        dict(inputs=[{"shape": [1, -6, 3, 64, 64]}]),
        dict(precision="float8"),
        dict(precision=[]),
        dict(settings={"x" * 9999: 1}),
        dict(kind="spynet", settings={}),
    ],
)
def test_a_description_of_an_export_that_is_none(change, tmp_path):
    (tmp_path / "n.mindir").touch()
    record = {"kind": "vrt", "settings": {"upscale": 1}, "inputs": [{"shape": [1, 6, 3, 64, 64]}], **change}
    (tmp_path / "n.mindir.json").write_text(json.dumps(record))
    assert "n.mindir.json: does not describe an exported network" in refusal(exported.load_exported, tmp_path / "n.mindir")


@pytest.mark.parametrize("name", ["$x$ and $", "a$b_{$^", r"\frac", "{}", "%s"])
def test_names_of_clips_and_runs_are_no_formulas(name, tmp_path):
    record = FrameRecord(name, name)
    for _ in range(2):
        record.add({name: np.zeros((3, 64, 64))}, np.full((3, 64, 64), 0.5), {name: 6.0})
    score = ClipScore(name, 2, psnr=6.0, ssim=0.1, psnr_y=6.0, ssim_y=0.1, seconds=1.0)
    results = ClipResults(name, {"network": name}, [Row(name, {"network": score})], {})
    write_report(tmp_path / "report.html", results, [record], video_config("sr").model_dump(mode="json"))
    assert name.replace("'", "&#x27;") in (tmp_path / "report.html").read_text()
    folder = tmp_path / name.replace("/", "")
    folder.mkdir()
    (folder / "log.jsonl").write_text(LINE)
    draw(read_runs([folder, folder]), tmp_path / "curves.svg")


# Ascend's files


def test_a_file_of_addresses_in_another_encoding(tmp_path):
    (tmp_path / "hccn.conf").write_bytes("# 网络\n".encode("gbk") + b"address_0=192.168.1.1\naddress_1=192.168.1.2\n")
    assert ascend_server.of_file(tmp_path / "hccn.conf") == {0: "192.168.1.1", 1: "192.168.1.2"}
    (tmp_path / "hccn.conf").write_text(f"address_{'9' * 5000}=192.168.1.1\naddress_3=192.168.1.2\n")
    assert ascend_server.of_file(tmp_path / "hccn.conf") == {3: "192.168.1.2"}


def test_a_tool_that_answers_in_another_encoding(tmp_path, monkeypatch):
    tool = tmp_path / "hccn_tool"
    tool.write_text("#!/bin/sh\nprintf '\\377\\376\\nipaddr:192.168.1.1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert ascend_server.of_tool([0]) == ({0: "192.168.1.1"}, None)


@pytest.mark.parametrize("text", ["[" * 10_000, "9" * 5000, "[]", "null", '{"version": []}'])
def test_rank_tables_that_are_none(text, tmp_path):
    tables = module_at(ROOT / "scripts" / "generate_rank_table.py")
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(tables.Mistake, match="not a readable rank table|not a rank table"):
        tables.read(tmp_path / "t.json")


# What the system refuses


@pytest.mark.parametrize(
    "error, words",
    [
        (
            FileNotFoundError(2, "No such file or directory", "/gone/7.png"),
            "error: /gone/7.png: no such file or directory; check",
        ),
        (PermissionError(13, "Permission denied", b"/shut"), "error: /shut: permission denied; check this path."),
        (OSError(5, "Input/output error"), "error: the system refused an operation: Input/output error."),
        (MemoryError("9 GB"), "error: there is not enough memory (9 GB)"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(error, words, capsys):
    def run():
        raise error

    assert exit_status.status_of(run) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_reading_matlab_files_does_not_import_the_libraries_that_can_crash(tmp_path, fresh_environment):
    scipy.io.savemat(tmp_path / "m.mat", {"mask": np.ones((2, 2, 2))})
    program = (
        "import sys\nfrom mindrestore.mat_files import read_mat\n"
        f"read_mat({str(tmp_path / 'm.mat')!r})\nassert not {{'h5py', 'scipy.io'}} & {{*sys.modules}}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=fresh_environment)
    assert mat_files.read_mat(tmp_path / "m.mat")["mask"].shape == (2, 2, 2)


@pytest.mark.parametrize(
    "read, suffix",
    [
        (load, ".pth"),
        (load, ".ckpt"),
        (read_arrays, ".npz"),
        (load_mask, ".mat"),
        (load_measurements, ".mat"),
        (read_clip, ".png"),
        (exported.load_exported, ".onnx"),
    ],
)
def test_a_pipe_is_not_waited_for(read, suffix, tmp_path):
    """Nobody may ever write to it."""
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)

    def give_up(number, frame):
        raise TimeoutError("it waits for the pipe")

    former = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(3)
    try:
        assert "is a pipe or a device" in refusal(read, path)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)

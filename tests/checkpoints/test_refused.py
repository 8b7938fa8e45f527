"""Files that would run a program, that are damaged, or that ask for more memory than they can fill.

The pickles are put together opcode by opcode (``torch_pickles.py``); PyTorch is not needed.
"""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from places import GOLDEN
from torch_pickles import (
    Again,
    Call,
    Filled,
    Global,
    Kept,
    New,
    Reference,
    StackGlobal,
    module,
    older_file,
    storage,
    tensor,
    written,
    zip_file,
)

from mindrestore.checkpoints import torch_file
from mindrestore.errors import UserError

FILES = GOLDEN / "torch_files"


SIX = np.arange(6, dtype=np.float32)
WRITERS = pytest.mark.parametrize("write", [zip_file, older_file])


def refusal(path):
    with pytest.raises(UserError) as caught:
        torch_file.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.endswith(".") and "\n" not in message
    return message


def test_hand_made_files_are_read(tmp_path):
    value = {"w": tensor(), "net": module(_parameters={"b": tensor(size=(6,), stride=(1,))})}
    from_zip = torch_file.read(zip_file(tmp_path / "a.pth", value, {"data/0": SIX.tobytes()}))
    older = Reference(("module", Global("models.Net"), "net.py", "import os; os.abort()"))
    value["net"] = Filled(New(older, ()), {"_parameters": {"b": tensor()}, "_buffers": {}, "_modules": {}})
    parameter = Call(Global("torch.nn.parameter.Parameter"), (tensor(storage(view=[None])),))
    value["w"] = Filled(parameter, (True, False, {}))
    from_older = torch_file.read(older_file(tmp_path / "b.pth", value, {"0": SIX}))
    for contents in (from_zip, from_older):
        np.testing.assert_array_equal(contents["w"], SIX.reshape(2, 3))
        np.testing.assert_array_equal(contents["net"]["b"].ravel(), SIX)


def test_big_endian_archive(tmp_path):
    records = {"data/0": SIX.astype(">f4").tobytes(), "byteorder": b"big"}
    np.testing.assert_array_equal(torch_file.read(zip_file(tmp_path / "a.pth", tensor(), records)), SIX.reshape(2, 3))


# Programs

LEFT_BEHIND = "i was here"
COMMAND = f"touch '{LEFT_BEHIND}'"
SOURCE = f"open({LEFT_BEHIND!r}, 'w')"
PROGRAMS = {
    "posix.system": Call(Global("posix.system"), (COMMAND,)),
    "os.system": Call(StackGlobal("os:system"), (COMMAND,)),
    "torch.os.system": Call(StackGlobal("torch:os.system"), (COMMAND,)),
    "builtins.eval": Call(Global("builtins.eval"), (SOURCE,)),
    "__builtin__.exec": Call(Global("__builtin__.exec"), (SOURCE,)),
    "builtins.open": Call(Global("builtins.open"), (LEFT_BEHIND, "w")),
    "builtins.getattr": Call(Call(Global("builtins.getattr"), (Global("os.path"), "os")), (COMMAND,)),
    "builtins.__import__": Call(Global("builtins.__import__"), ("antigravity",)),
    "subprocess.Popen": Call(Global("subprocess.Popen"), (["touch", LEFT_BEHIND],)),
    "runpy.run_path": Call(Global("runpy.run_path"), ("setup.py",)),
    "torch.load": Call(StackGlobal("torch:load"), (LEFT_BEHIND,)),
    "torch.hub.load": Call(StackGlobal("torch:hub.load"), ("someone/something", "net")),
    "torch.utils.cpp_extension.load": Call(StackGlobal("torch.utils.cpp_extension:load"), ("x", ["x.cpp"])),
    "torch._utils._import_dotted_name": Call(Global("torch._utils._import_dotted_name"), ("os.system",)),
    "torch.serialization.load": Call(Global("torch.serialization.load"), (LEFT_BEHIND,)),
    "functools.partial": Filled(Call(Global("functools.partial"), (Global("os.system"),)), (None, (COMMAND,), {}, {})),
    "operator.attrgetter": Call(Global("operator.attrgetter"), ("system",)),
    "numpy.f2py.crackfortran.myeval": Call(Global("numpy.f2py.crackfortran.myeval"), (SOURCE,)),
    "models.network.Net": Call(Global("models.network.Net"), (COMMAND,)),
    "argparse.Namespace": Filled(New(Global("argparse.Namespace"), ()), {"epochs": 100}),
    "torch.nn.functional.relu": module(act=Global("torch.nn.functional.relu")),
    "setuptools.Command": Filled(New(Global("setuptools.Command"), ()), {"__setstate__": Global("os.system")}),
    "__main__.Net": Filled(New(Global("__main__.Net"), ()), (None, {"__class__": Global("os.system")})),
    "a.Net": New(Global("a.Net"), (COMMAND,)),
    "b.Net": New(Global("b.Net"), ()),
    "c.Net": Call(Global("copy_reg._reconstructor"), (Global("c.Net"), Global("builtins.list"), [1])),
    "subprocess.Popen ": module("subprocess.Popen"),
    "pathlib.PosixPath": {"epoch": 3, "best": Call(Global("pathlib.PosixPath"), ("/", "etc"))},
    "torch.QUInt8Storage": tensor(storage(kind="torch.QUInt8Storage")),
}


@WRITERS
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_refused_by_name_and_do_not_run(tmp_path, monkeypatch, write, name):
    monkeypatch.chdir(tmp_path)
    message = refusal(write(tmp_path / "a.pth", PROGRAMS[name], {}))
    assert f"refused: the file asks for {name.strip()}, and only" in message
    assert os.listdir(tmp_path) == ["a.pth"]


def test_the_programs_would_run(tmp_path, monkeypatch):
    """The files above are real: Python's own unpickler is taken in by one."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(b"\x80\x02" + written(PROGRAMS["posix.system"]) + b".")
    assert os.listdir(tmp_path) == [LEFT_BEHIND]


@pytest.mark.parametrize(
    "opcodes",
    [
        b"(Vtouch x\nios\nsystem\n",  # INST
        b"(cos\nsystem\nVtouch x\no",  # OBJ
        b"cos\nsystem\n(Vtouch x\ntR0N",  # the result dropped
        b"(cos\nsystem\n1N",  # never called
        b"cos\nsystem\nq\x00h\x00(Vtouch x\ntR",  # by way of the memo
        b"cos\nsystem\n)}\x92",  # NEWOBJ_EX
    ],
)
def test_other_ways_to_ask(tmp_path, opcodes):
    assert "asks for os.system" in refusal(zip_file(tmp_path / "a.pth", opcodes))


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x82\x01",  # an extension's code
        b"\x97",  # a buffer from outside
        b"}}b",  # the state of a dict
        b"ccollections\nOrderedDict\n}b",  # the state of a listed name
        b"cbuiltins\nset\n(]}etR",  # a set of containers
        b"}(}Nu",  # a container for a key
        b"}(K\x01\x85Nu",  # a tuple for a key
        b"}(\x8a\x0a" + b"\x7f" * 10 + b"Nu",  # a number too large for one
        b"N(tR",
        b"]K\x01a(K\x01tR",  # data called
        b"ccollections\nOrderedDict\n}R",  # arguments that are no tuple
        b"cbuiltins\nset\n(K\x01K\x02tR",  # a wrong number of them
        b"U\x06memberQ",
        b"Pmember\n",  # data from elsewhere
        b"cnumpy.core.multiarray\n_reconstruct\n)R",
        b"cnumpy\ndtype\n(U\x02O8K\x00K\x01tR",
        b"]q\x00h\x00a",  # a list that contains itself
    ],
)
def test_malformed_pickles(tmp_path, opcodes):
    refusal(zip_file(tmp_path / "a.pth", opcodes))


def test_names_cannot_write_to_the_terminal(tmp_path):
    message = refusal(zip_file(tmp_path / "a.pth", StackGlobal("os\x1b[2J\n:" + "x" * 10_000)))
    assert message.isprintable() and len(message) < 500


# Sizes


@WRITERS
@pytest.mark.parametrize(
    "value",
    [
        tensor(size=(2, 4), stride=(4, 1)),  # beyond the storage
        tensor(offset=1),
        tensor(stride=(2**62, 2**62)),
        tensor(offset=-1),
        tensor(stride=(-3, 1)),
        tensor(size=(2, 3, 1)),  # one stride too few
        tensor(size=("2", 3)),
        tensor(size=(2.0, 3)),
        tensor(size=(1,) * 33, stride=(1,) * 33),
        tensor(size=(0, 2**62, 2**62), stride=(0, 0, 0)),
        tensor(size=(10**9, 10**9), stride=(0, 0)),  # one value, repeated for ever
        tensor(size=(2**400,), stride=(0,)),
        tensor(of="0"),
        tensor(storage(count=10**12)),
        tensor(storage(count=-6)),
        tensor(storage(count="6")),
        tensor(storage(key="1")),
        tensor(storage(kind="torch.DoubleStorage")),
        [tensor(), tensor(storage(kind="torch.IntStorage"))],  # one storage of two types
        tensor(storage(key="../../../../../etc/passwd")),
        tensor(storage(view=[("1", 0, 6)])),
    ],
)
def test_sizes_that_do_not_match(tmp_path, write, value):
    records = {"data/0": SIX.tobytes()} if write is zip_file else {"0": SIX}
    refusal(write(tmp_path / "a.pth", value, records))


def test_compressed_records_are_refused(tmp_path):
    records = {"data/0": bytes(24 * 2**20)}
    value = tensor(storage(count=6 * 2**20), size=(6 * 2**20,), stride=(1,))
    assert "compressed" in refusal(zip_file(tmp_path / "a.pth", value, records, zipfile.ZIP_DEFLATED))


def twice_in_itself(depth):
    """A network of 2^depth modules, of which all but ``depth`` are shared."""
    value = module()
    for number in range(1, depth):
        value = module(_modules={"a": Kept(value, number), "b": Again(number)})
    return value


def inside_itself():
    parts = {"_parameters": {}, "_buffers": {}, "_modules": {"a": Again(1)}}
    return Filled(Kept(New(Global("models.Net"), ()), 1), parts)


@pytest.mark.parametrize(
    "value",
    [
        [Kept("x" * 10**6, 1)] + [Call(Global("_codecs.encode"), (Again(1), "latin1"))] * 1000,  # copies of one text
        [Kept([("a", 0)] * 10_000, 1)] + [Call(Global("collections.OrderedDict"), (Again(1),))] * 200,  # of one list
        [tensor(size=(6000,), stride=(0,))] * 20_000,  # 480 MB out of 24 bytes
        twice_in_itself(40),
        inside_itself(),
        b"]" * 10_000 + b"a" * 9_999,  # nested too deeply
    ],
    ids=["text", "items", "tensors", "shared modules", "module inside itself", "nesting"],
)
def test_small_files_cannot_unfold(tmp_path, value):
    assert "refused: " in refusal(zip_file(tmp_path / "a.pth", value, {"data/0": SIX.tobytes()}))


def test_nested_files_do_not_nest(tmp_path):
    inner = older_file(tmp_path / "inner", tensor(), {"0": SIX}).read_bytes()
    for _ in range(2):
        nested = Call(
            Global("torch.storage._load_from_bytes"), (Call(Global("_codecs.encode"), (inner.decode("latin-1"), "latin1")),)
        )
        inner = older_file(tmp_path / "inner", nested).read_bytes()
    assert "files within files" in refusal(tmp_path / "inner")


# Damage


@pytest.mark.parametrize("name", ["state_dict.pth", "state_dict_older.pth", "module_older.pth", "plain_pickle.pkl"])
def test_files_cut_short_anywhere(tmp_path, name):
    whole = (FILES / name).read_bytes()
    path = tmp_path / "a.pth"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refusal(path)


@pytest.mark.parametrize("name", ["state_dict.pth", "module_older.pth", "training.pth.tar", "plain_pickle.pkl"])
def test_files_with_a_byte_changed_are_read_or_refused(tmp_path, name):
    whole = bytearray((FILES / name).read_bytes())
    path = tmp_path / "a.pth"
    rng = np.random.default_rng(0)
    for position in rng.integers(len(whole), size=300):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            torch_file.read(path)
        except UserError as error:
            assert str(error).startswith(str(path))


@pytest.mark.parametrize("raw", [b"", b"not a checkpoint", b"\x80", b"PK\x03\x04", bytes(1000)])
def test_other_files(tmp_path, raw):
    path = tmp_path / "a.pth"
    path.write_bytes(raw)
    refusal(path)


def test_other_archives(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "not PyTorch's" in refusal(path)
    assert "TorchScript" in refusal(zip_file(path, {}, {"constants.pkl": b""}))


def test_reading_imports_nothing():
    program = f"""
import sys
from mindrestore.checkpoints import torch_file
before = {{*sys.modules}}
torch_file.read({str(FILES / "module_older.pth")!r})
torch_file.read({str(FILES / "module.pth")!r})
imported = {{*sys.modules}} - before
assert all(name.startswith("encodings.") for name in imported), imported  # of the names in a zip file
assert "torch" not in sys.modules
"""
    folders = [str(Path(torch_file.__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_streams_are_left_where_they_end():
    """Several pickles follow one another in the older format: each must be read to its own end and no further."""
    from mindrestore.checkpoints.inert_pickle import InertPickle

    stream = io.BytesIO(pickle.dumps([1, 2], 2) + pickle.dumps({"a": (3, 4.5, None, True)}, 4) + b"rest")
    assert InertPickle().load(stream) == [1, 2]
    assert InertPickle().load(stream) == {"a": (3, 4.5, None, True)}
    assert stream.read() == b"rest"

"""PyTorch's files without PyTorch: pickles put together opcode by opcode by ``written``, in archives old and new."""

import pickle
import struct
import zipfile


class Global(str):
    """A name such as "torch._utils._rebuild_tensor_v2", written by the opcode GLOBAL."""

    def opcodes(self):
        module, _, attribute = self.rpartition(".")
        return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


class StackGlobal(Global):
    """The same, written by the opcode STACK_GLOBAL; "torch:os.system" has a dot in the attribute."""

    def opcodes(self):
        module, _, attribute = self.partition(":")
        return written(str(module)) + written(str(attribute)) + b"\x93"


class Op:
    """Operands followed by an opcode."""

    code = b""

    def __init__(self, *operands):
        self.operands = operands

    def opcodes(self):
        return b"".join(map(written, self.operands)) + self.code


class Call(Op):
    code = b"R"  # REDUCE: function, tuple of arguments


class New(Op):
    code = b"\x81"  # NEWOBJ: class, tuple of arguments


class Filled(Op):
    code = b"b"  # BUILD: object, state


class Reference(Op):
    code = b"Q"  # BINPERSID: identifier


class Kept:
    """A value that ``Again`` can refer to by its number, which is not 0."""

    def __init__(self, value, number):
        self.value, self.number = value, number

    def opcodes(self):
        return written(self.value) + b"q" + bytes([self.number])


class Again:
    def __init__(self, number):
        self.number = number

    def opcodes(self):
        return b"h" + bytes([self.number])


def written(value):
    """Return the opcodes that leave ``value`` on the stack."""
    if hasattr(value, "opcodes"):
        return value.opcodes()
    if isinstance(value, dict):
        return b"}(" + b"".join(written(key) + written(item) for key, item in value.items()) + b"u"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(written, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(written, value)) + b"e"
    return pickle.dumps(value, 2)[2:-1]


def zip_file(path, value, records=(), compression=zipfile.ZIP_STORED):
    """Write ``value``, or finished opcodes, as PyTorch's zip format; ``records`` maps names to bytes."""
    opcodes = value if isinstance(value, bytes) else written(value)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("any name/data.pkl", b"\x80\x02" + opcodes + b".")
        for name, raw in dict(records).items():
            archive.writestr(f"any name/{name}", raw)
    return path


def older_file(path, value, storages=()):
    """Write ``value`` as PyTorch before 1.6 did; ``storages`` maps keys to arrays."""
    opcodes = value if isinstance(value, bytes) else written(value)
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    parts += [b"\x80\x02" + opcodes + b".", pickle.dumps([*dict(storages)], 2)]
    parts += [struct.pack("<q", array.size) + array.tobytes() for array in dict(storages).values()]
    path.write_bytes(b"".join(parts))
    return path


def storage(key="0", count=6, kind="torch.FloatStorage", view=()):
    return Reference(("storage", Global(kind), key, "cpu", count, *view))


def tensor(of=None, offset=0, size=(2, 3), stride=(3, 1)):
    hooks = Call(Global("collections.OrderedDict"), ())
    return Call(Global("torch._utils._rebuild_tensor_v2"), (of or storage(), offset, size, stride, False, hooks))


def module(name="models.network.Net", **state):
    return Filled(New(Global(name), ()), {"_parameters": {}, "_buffers": {}, "_modules": {}, **state})

"""What is asked of a server: its cores by node, its devices and their addresses, its drivers; on imitated trees and tools."""

import json
import os
import subprocess
import sys

import pytest
from places import ROOT

from mindrestore.runtime import accelerators, ascend_server

SCRIPTS = ROOT / "scripts"
sys.path.append(str(SCRIPTS / "lib"))
import cores  # noqa: E402
import errors  # noqa: E402

NPU_SMI = """#!/usr/bin/env bash
case "$*" in
    "info -m") line='\\t%-30s %-30s %-30s %s\\n'
               printf "$line" "NPU ID" "Chip ID" "Chip Logic ID" "Chip Name"
               for i in 0 1; do printf "$line" $i 0 $i "Ascend {chip}" $i 1 - Mcu; done ;;
    "info -t board -i "*" -c 0") echo "        NPU ID                         : $5"
               echo "        PCIe Bus Info                  : 0000:$((80 + $5)):00.0" ;;
    *) exit 1 ;;
esac
"""
NVIDIA_SMI = """#!/usr/bin/env bash
[[ $* == "--query-gpu=index,uuid,pci.bus_id --format=csv,noheader" ]] || exit 1
for i in 0 1 2 3; do echo "$i, GPU-aa$i-bb, 00000000:$((3 - i))B:00.0"; done
"""
NO_PERMISSION = "#!/usr/bin/env bash\necho 'hccn_tool: permission denied, root is needed' >&2; exit 1\n"
NO_ADDRESS = "#!/usr/bin/env bash\n[[ $2 == 1 ]] && echo 'no ip' || echo ipaddr:192.168.1.$2\n"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """``programs(name=text, ...)`` puts programs on PATH, before which there are only the system's."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def put(**texts):
        for name, text in texts.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    return put


def tree(root, **files):
    """Write files below ``root``; in their names / is written __ and - is written _D_."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_D_", "-").replace("_P_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# Cores by node


def sysfs(root, *lists):
    for node, listed in enumerate(lists):
        path = root / f"devices/system/node/node{node}/cpulist"
        path.parent.mkdir(parents=True)
        path.write_text(f"{listed}\n")
    return root


@pytest.mark.parametrize(
    "nodes, allowed, count, expected",
    [
        (("0-3,8-11", "4-7,12-15"), range(16), 2, [("0-3,8-11", "0"), ("4-7,12-15", "1")]),  # not 0-7 and 8-15
        (("0-3,8-11", "4-7,12-15"), range(16), 4, [("0-3", "0"), ("8-11", "0"), ("4-7", "1"), ("12-15", "1")]),
        (("0-3,8-11", "4-7,12-15"), range(16), 1, [("0-3,8-11,4-7,12-15", "0-1")]),
        (("0-1", "2-3", "4-5", "6-7"), range(8), 2, [("0-3", "0-1"), ("4-7", "2-3")]),
        (("0-3", "4-7"), (1, 2, 3), 3, [("1", "0"), ("2", "0"), ("3", "0")]),  # a container's share, all of one node
        (("0-3", ""), range(4), 2, [("0-1", "0"), ("2-3", "0")]),  # a node of memory alone
        ((), range(4), 2, [("0-1", "0"), ("2-3", "0")]),  # a system that says nothing
        (("0", "1"), range(2), 3, [("0", "0"), ("0", "0"), ("1", "1")]),
    ],
)
def test_cores_are_shared_out_by_node(tmp_path, nodes, allowed, count, expected):
    found = cores.shares(cores.cores_of_nodes(sysfs(tmp_path, *nodes), set(allowed)), count)
    assert [(cores.written(own), cores.written(of)) for own, of in found] == expected


@pytest.mark.parametrize(
    "kind, devices, expected",
    [
        ("gpu", ["0", "3"], [1, 0]),
        ("gpu", ["GPU-aa2-bb", "GPU-aa1"], [0, 1]),
        ("gpu", ["9"], [None]),
        ("ascend", ["0", "1"], [1, 0]),
        ("cpu", ["0"], [None]),
    ],
)
def test_a_rank_is_on_the_node_of_its_device(tmp_path, programs, kind, devices, expected):
    programs(**{"nvidia-smi": NVIDIA_SMI, "npu-smi": NPU_SMI.format(chip="910A")})
    for bus, node in (
        ("0000:3b:00.0", 1),
        ("0000:2b:00.0", 1),
        ("0000:1b:00.0", 0),
        ("0000:0b:00.0", 0),
        ("0000:80:00.0", 1),
        ("0000:81:00.0", 0),
        ("0000:82:00.0", -1),
    ):
        path = tmp_path / "bus/pci/devices" / bus / "numa_node"
        path.parent.mkdir(parents=True)
        path.write_text(f"{node}\n")
    attached = [cores.node_of(address, tmp_path) for address in cores.bus_addresses(kind, devices)]
    assert attached == expected
    shares = cores.shares({0: [0, 1], 1: [2, 3]}, len(devices), attached)
    for (own, of), node in zip(shares, expected):
        assert node is None or (of == [node] and set(own) <= {2 * node, 2 * node + 1})


def test_the_launchers_share_out_what_this_process_may_use():
    done = subprocess.run([sys.executable, SCRIPTS / "lib" / "cores.py", "--count", "2"], capture_output=True, text=True)
    own = [cores.numbers(line.split()[0]) for line in done.stdout.splitlines()]
    assert len(own) == 2 and set.union(*own) <= os.sched_getaffinity(0)


# What went wrong


@pytest.mark.parametrize(
    "log, expected",
    [
        (
            [
                "Traceback (most recent call last):",
                '  File "a.py", line 1, in <module>',
                "    f()",
                '  File "b.py", line 2, in f',
                "    raise ValueError(x)",
                "ValueError: first line",
                "second line",
                "",
                "----",
                "- C++ Call Stack:",
                "----",
                "a.cc:1 Run",
                *["[INFO] ME(1,7f,python):2026 [a.cc:1] Start] Event base dispatch success!"] * 30,
            ],
            ['  File "b.py", line 2, in f', "    raise ValueError(x)", "ValueError: first line", "second line"],
        ),
        (
            [
                "[ERROR] ME(1,7f,python):2026 [a.cc:1] port taken",
                "[INFO] ME(1) [a.cc:1] x",
                "[WARNING] ME(1) [a.cc:1] y",
                "[CRITICAL] ME(1,7f,python):2026 [a.cc:1] out of memory",
            ],
            ["[ERROR] ME(1,7f,python):2026 [a.cc:1] port taken", "[CRITICAL] ME(1,7f,python):2026 [a.cc:1] out of memory"],
        ),
        (
            ["  0%|  | 0/2\r 50%|  | 1/2\rmindrestore: error: one sentence", "[INFO] ME(1) [a.cc:1] x"],
            ["mindrestore: error: one sentence"],
        ),
        (["step 1", "step 2", "[INFO] ME(1) [a.cc:1] x"], ["step 1", "step 2"]),
        ([], []),
    ],
)
def test_the_lines_that_tell_what_went_wrong(log, expected):
    assert errors.telling(log) == expected


# Devices and their addresses


def test_a_tool_that_fails_is_replaced_by_the_file_and_says_why(tmp_path, programs):
    conf, notes = tmp_path / "hccn.conf", []
    programs(hccn_tool=NO_PERMISSION)
    with pytest.raises(ascend_server.Mistake, match="hccn_tool failed .hccn_tool: permission denied, root is needed."):
        ascend_server.addresses(None, fallback=conf)
    conf.write_text("address_0=192.168.1.1\naddress_1=192.168.1.2\n")
    for wanted in (None, [0, 1]):
        assert ascend_server.addresses(wanted, note=notes.append, fallback=conf) == {0: "192.168.1.1", 1: "192.168.1.2"}
        assert notes.pop() == f"hccn_tool failed (hccn_tool: permission denied, root is needed); addresses are from {conf}."
    programs(hccn_tool=NO_ADDRESS)  # which works: what it does not know has no address
    assert ascend_server.addresses([0, 1], fallback=conf) == {0: "192.168.1.0"}


def test_a_tool_that_never_answers_is_given_up(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(ascend_server, "PATIENCE", 0.2)
    programs(hccn_tool="#!/usr/bin/env bash\nexec sleep 60\n")
    (tmp_path / "conf").write_text("address_3=192.168.1.1\n")
    notes = []
    assert ascend_server.addresses([3, 4, 5], note=notes.append, fallback=tmp_path / "conf") == {3: "192.168.1.1"}
    assert "no answer within 0.2 s" in notes[0]


@pytest.mark.parametrize("devices", [[0], [7], [9], [0, 1], [1, 3], [4, 6], [0, 1, 2, 3], [7, 6, 5, 4], list(range(8))])
def test_devices_of_one_ring_or_all_can_work_together(programs, devices):
    for chip in ("910A", "910ProB", "910B3"):
        programs(**{"npu-smi": NPU_SMI.format(chip=chip)})
        ascend_server.refuse_unconnected(devices)


@pytest.mark.parametrize("devices", [[3, 4], [0, 7], [0, 1, 2], [2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3, 4], list(range(7))])
def test_other_devices_cannot_unless_the_server_is_another(programs, devices):
    named = f"devices {','.join(map(str, devices))}: an Atlas 800 training server cannot connect them; take 0-3, 4-7, two"
    for texts in ({}, {"npu-smi": NPU_SMI.format(chip="910A")}):
        programs(**texts)
        with pytest.raises(ascend_server.Mistake, match=named):
            ascend_server.refuse_unconnected(devices)
    programs(**{"npu-smi": NPU_SMI.format(chip="910B3")})
    ascend_server.refuse_unconnected(devices)


# What the doctor says of drivers and toolkits


@pytest.fixture
def atlas(tmp_path, programs):
    """The tree of an Atlas server, and the environment of a user of it who has sourced CANN's."""
    programs(hccn_tool=NO_ADDRESS)
    root = tree(
        tmp_path / "atlas",
        usr__local__Ascend__driver__version_P_info="Version=23.0.rc3\nascendhal_version=7.0\n",
        dev__davinci0="",
        dev__davinci_manager="",
        usr__local__Ascend__ascend_D_toolkit__set_env_P_sh="",
        usr__local__Ascend__ascend_D_toolkit__latest__x86_64_D_linux__ascend_toolkit_install_P_info=(
            "package_name=Ascend-cann-toolkit\nversion=7.0.0\n"
        ),
    )
    home = "/usr/local/Ascend/ascend-toolkit/latest"
    return root, {"ASCEND_HOME_PATH": home, "LD_LIBRARY_PATH": f"/other:{home}/lib64"}


def said(root, environment, packages=lambda name: name):
    return list(accelerators.described(root, environment, packages))


def test_an_ascend_server_in_order(atlas):
    assert said(*atlas) == [
        "ascend        driver 23.0.rc3, CANN 7.0.0 in /usr/local/Ascend/ascend-toolkit/latest, devices 0",
        "ascend        the environment of CANN is sourced (/usr/local/Ascend/ascend-toolkit/latest)",
        "ascend        addresses 0: 192.168.1.0",
    ]


@pytest.mark.parametrize(
    "change, line",
    [
        (
            lambda root, own: own.clear(),
            "! ascend: the environment of CANN is not sourced; source /usr/local/Ascend/ascend-toolkit/set_env.sh",
        ),
        (
            lambda root, own: own.pop("LD_LIBRARY_PATH"),
            "! ascend: the environment of CANN is not sourced; source /usr/local/Ascend/ascend-toolkit/set_env.sh",
        ),
        (
            lambda root, own: own.update(ASCEND_HOME_PATH="/gone", LD_LIBRARY_PATH="/gone/lib64"),
            "! ascend: the environment is of a CANN in /gone, which is not there; "
            "source /usr/local/Ascend/ascend-toolkit/set_env.sh",
        ),
        (
            lambda root, own: (root / "usr/local/Ascend/driver/version.info").unlink(),
            "! ascend: the driver is missing; as root, bash Ascend-hdk-*-npu-driver_*.run --full --install-for-all",
        ),
        (
            lambda root, own: (root / "dev/davinci0").unlink(),
            "! ascend: the driver shows no device; see which it finds with npu-smi info",
        ),
        (
            lambda root, own: (root / "usr/local/Ascend/ascend-toolkit/latest").rename(root / "away"),
            "! ascend: CANN is missing; bash Ascend-cann-toolkit_*.run --install",
        ),
        (
            lambda root, own: tree(root, dev__davinci1=""),
            "! ascend: device 1 has no address, which several servers need; hccn_tool -i 1 -ip -s address ADDRESS netmask MASK",
        ),
    ],
)
def test_what_an_ascend_server_lacks_is_mended_by_one_command(atlas, change, line):
    change(*atlas)
    assert [text for text in said(*atlas) if text.startswith("!")] == [line]


def test_packages_of_cann_and_its_tool_may_fail(atlas, programs):
    home = "/usr/local/Ascend/ascend-toolkit/latest"
    assert said(*atlas, packages=lambda name: None if name == "hccl" else name)[2] == (
        f"! ascend: Python does not find hccl of CANN; pip install {home}/lib64/hccl-*-py3-none-any.whl"
    )
    programs(hccn_tool=NO_PERMISSION)
    assert said(*atlas)[-1].startswith("! ascend: the addresses of the devices are not known: ")
    tree(atlas[0], etc__hccn_P_conf="address_0=192.168.1.9\n")
    assert said(*atlas)[-2:] == [
        f"ascend        hccn_tool failed (hccn_tool: permission denied, root is needed); addresses are from "
        f"{atlas[0] / 'etc/hccn.conf'}.",
        "ascend        addresses 0: 192.168.1.9",
    ]


@pytest.fixture
def graphics(tmp_path, programs):
    """The tree of a server with two GPUs, and the environment of a user of it."""
    root = tree(
        tmp_path / "graphics",
        dev__nvidia0="",
        dev__nvidia1="",
        dev__nvidiactl="",
        proc__driver__nvidia__version="NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\n",
        usr__local__cuda__version_P_json=json.dumps({"cuda": {"name": "CUDA SDK", "version": "11.6.2"}}),
        usr__lib__x86_64_D_linux_D_gnu__libcudnn_P_so_P_8_P_4="",
    )
    return root, {"PATH": os.environ["PATH"]}


def test_a_gpu_server_in_order(graphics):
    line = "gpu           driver 535.104.05, CUDA {} in /usr/local/cuda, cuDNN 8 in /usr/lib/x86_64-linux-gnu, 2 cards"
    assert said(*graphics) == [line.format("11.6.2")]
    (graphics[0] / "usr/local/cuda/version.json").unlink()
    tree(
        graphics[0],
        usr__local__cuda__version_P_txt="CUDA Version 11.1.105\n",
        proc__driver__nvidia__version="NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release\n",
    )
    assert said(*graphics) == [line.format("11.1.105")]


@pytest.mark.parametrize(
    "change, line",
    [
        (
            lambda root, own: (root / "proc/driver/nvidia/version").unlink(),
            "! gpu: the NVIDIA driver is missing; sudo apt-get install nvidia-driver-535",
        ),
        (
            lambda root, own: own.update(CUDA_HOME="/opt/cuda"),
            "! gpu: CUDA_HOME is /opt/cuda, which is not there; export CUDA_HOME=/usr/local/cuda",
        ),
        (
            lambda root, own: (root / "usr/local/cuda").rename(root / "away"),
            "! gpu: CUDA is missing; sudo apt-get install cuda-toolkit-11-6",
        ),
        (
            lambda root, own: (root / "usr/local/cuda/version.json").write_text('{"cuda": {"version": "12.2.0"}}'),
            "! gpu: CUDA is 12.2.0, MindSpore is built for 11.1 and 11.6; sudo apt-get install cuda-toolkit-11-6 && "
            "export CUDA_HOME=/usr/local/cuda-11.6",
        ),
        (
            lambda root, own: (root / "usr/lib/x86_64-linux-gnu/libcudnn.so.8.4").rename(root / "libcudnn.so.9"),
            "! gpu: no libcudnn.so.8 where libraries are looked for; sudo apt-get install libcudnn8",
        ),
    ],
)
def test_what_a_gpu_server_lacks_is_mended_by_one_command(graphics, change, line):
    change(*graphics)
    assert [text for text in said(*graphics) if text.startswith("!")] == [line]


def test_a_driver_that_is_not_loaded(graphics, programs):
    programs(**{"nvidia-smi": NVIDIA_SMI})
    (graphics[0] / "proc/driver/nvidia/version").unlink()
    assert said(*graphics)[1] == "! gpu: the NVIDIA driver is not loaded; sudo modprobe nvidia"


def test_nothing_is_said_of_devices_that_a_machine_has_no_trace_of(tmp_path):
    assert said(tmp_path, {}) == []

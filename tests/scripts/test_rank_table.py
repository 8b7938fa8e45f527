"""The table of ranks: from a stand-in ``hccn_tool``, from files, merged, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

SCRIPT = ROOT / "scripts" / "generate_rank_table.py"
TOOL = """#!/usr/bin/env bash
[[ $1 == -i && $3 == -ip && $4 == -g ]] || exit 3
(($2 < {devices})) || {{ echo "no device $2"; exit 1; }}
(($2 == {without})) && {{ echo "device has no ip"; exit 0; }}
echo "ipaddr:192.168.100.$((101 + $2))"
echo netmask:255.255.255.0
"""


@pytest.fixture
def make(tmp_path):
    """``make(...)`` runs the script in an empty folder, on a server whose ``hccn_tool`` knows ``devices``."""

    def run(*arguments, devices=None, without=-1):
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        if devices:
            (folder / "hccn_tool").write_text(TOOL.format(devices=devices, without=without))
            (folder / "hccn_tool").chmod(0o755)
        return subprocess.run(
            [sys.executable, SCRIPT, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin"},
        )

    return run


@pytest.fixture
def one_server(make, tmp_path):
    """``one_server(index, devices)`` gives the file of one server of several."""

    def written(index, devices=range(8), server=None, address="192.168.{}.{}"):
        conf = tmp_path / f"{index}.conf"
        conf.write_text(
            "".join(f"address_{number}={address.format(index, number)}\nnetmask_{number}=255.255.255.0\n" for number in devices)
        )
        path = tmp_path / f"server{index}.json"
        done = make("--conf", conf, "--server", server or f"10.0.0.{index}", "--output", path)
        assert done.returncode == 0, done.stderr
        return path

    return written


def table_of(path):
    return json.loads(path.read_text())


def test_a_server_of_eight(make, tmp_path):
    done = make("--server", "10.0.0.1", devices=8)
    assert done.returncode == 0 and done.stdout == "Wrote rank_table.json: 8 ranks on 1 servers.\n", done.stderr
    assert table_of(tmp_path / "rank_table.json") == {
        "version": "1.0",
        "server_count": "1",
        "status": "completed",
        "server_list": [
            {
                "server_id": "10.0.0.1",
                "host_nic_ip": "reserve",
                "device": [
                    {"device_id": str(number), "device_ip": f"192.168.100.{101 + number}", "rank_id": str(number)}
                    for number in range(8)
                ],
            }
        ],
    }
    assert [path.name for path in tmp_path.iterdir() if path.name != "programs"] == ["rank_table.json"]


@pytest.mark.parametrize("wanted, numbers", [("4-7", [4, 5, 6, 7]), ("0,2", [0, 2]), ("5", [5]), ("7,4,6,5", [4, 5, 6, 7])])
def test_some_devices(make, tmp_path, wanted, numbers):
    assert make("--devices", wanted, devices=8).returncode == 0
    devices = table_of(tmp_path / "rank_table.json")["server_list"][0]["device"]
    assert [(int(device["device_id"]), int(device["rank_id"])) for device in devices] == [
        (number, rank) for rank, number in enumerate(numbers)
    ]
    assert [device["device_ip"] for device in devices] == [f"192.168.100.{101 + number}" for number in numbers]


def test_a_device_without_address_is_left_out_unless_asked_for(make, tmp_path):
    assert make("--any-devices", devices=4, without=1).returncode == 0
    devices = table_of(tmp_path / "rank_table.json")["server_list"][0]["device"]
    assert [device["device_id"] for device in devices] == ["0", "2", "3"]
    done = make("--devices", "0-3", devices=4, without=1)
    assert done.returncode == 2 and "device 1 has no address" in done.stderr


def test_two_servers(make, one_server, tmp_path):
    files = [one_server(1), one_server(0)]  # in the order given, not sorted
    assert make("--merge", *files, "--output", "both.json").returncode == 0
    table = table_of(tmp_path / "both.json")
    assert table["server_count"] == "2" and [one["server_id"] for one in table["server_list"]] == ["10.0.0.1", "10.0.0.0"]
    ranks = [device["rank_id"] for one in table["server_list"] for device in one["device"]]
    assert ranks == [str(rank) for rank in range(16)]
    shown = make("--show", "both.json").stdout.splitlines()
    assert shown[0] == "0 0 0 10.0.0.1" and shown[15] == "15 1 7 10.0.0.0"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--devices", "0,1,0"], "--devices 0,1,0: device 0 is named twice"),
        (["--devices", "0-3,2"], "device 2 is named twice"),
        (["--devices", "7-8"], "device 8 has no address"),
        (["--devices", "a"], "'a' is no device"),
        (["--devices", "3-1"], "'3-1' is no device"),
        (["--conf", "nowhere.conf"], "nowhere.conf: cannot be read"),
        (["--merge", "nowhere.json"], "nowhere.json: not a readable rank table"),
    ],
)
def test_mistakes_are_named(make, tmp_path, arguments, words):
    done = make(*arguments, devices=8)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "rank_table.json").exists()


def test_without_tool_and_file_it_says_what_to_do(make):
    if Path("/etc/hccn.conf").exists():
        pytest.skip("this is an Ascend server")
    done = make()
    assert done.returncode == 2 and "/etc/hccn.conf: cannot be read" in done.stderr and "no hccn_tool on PATH" in done.stderr


@pytest.mark.parametrize(
    "lines, words",
    [
        ("address_0=1.1.1.1\naddress_0=1.1.1.2\n", "device 0 has two addresses"),
        ("address_0=1.1.1.1\naddress_1=1.1.1.1\n", "have the same address 1.1.1.1"),
        ("address_0=none\n", "device 0 of server s has 'none' for an address"),
        ("# empty\n", "no device of this server has an address"),
    ],
)
def test_a_file_of_addresses_that_cannot_be(make, tmp_path, lines, words):
    (tmp_path / "hccn.conf").write_text(lines)
    done = make("--conf", "hccn.conf", "--server", "s")
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_servers_that_disagree_are_refused(make, one_server, tmp_path):
    first, second = one_server(0), one_server(1, server="10.0.0.0")
    done = make("--merge", first, second)
    assert done.returncode == 2 and f"{second}: is of server 10.0.0.0, as is {first}" in done.stderr
    second = one_server(1, devices=range(4))
    done = make("--merge", first, second)
    assert done.returncode == 2 and f"{second}: has 4 devices, {first} has 8" in done.stderr
    second = one_server(1, address="192.168.0.{1}")  # those of the first
    done = make("--merge", first, second)
    words = "device 0 of server 10.0.0.1 and device 0 of server 10.0.0.0 have the same address"
    assert done.returncode == 2 and words in done.stderr
    make("--merge", first, one_server(1), "--output", "both.json")
    done = make("--merge", first, "both.json")
    assert done.returncode == 2 and "both.json: has 2 servers; merge tables of one server each" in done.stderr


def test_a_table_saved_with_a_byte_order_mark_is_read(make, one_server):
    path = one_server(0)
    shown = make("--show", path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    marked = make("--show", path)
    assert marked.returncode == 0 and marked.stdout == shown.stdout, marked.stderr


def test_a_table_written_to_a_link_leaves_the_link(one_server, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "server0.json").symlink_to("tables/first.json")
    assert one_server(0).is_symlink() and table_of(tmp_path / "tables" / "first.json")["server_count"] == "1"


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda table: table.update(version="1.2"), "version 1.2, status completed; expected 1.0, completed"),
        (lambda table: table.update(server_count="3"), "server_count is 3, but it lists 1 servers"),
        (lambda table: table.update(server_count="9" * 5000), f"server_count is {'9' * 100}..., but it lists 1 servers"),
        (lambda table: table["server_list"][0].update(server_id="x\n" * 5000), "server_id is"),
        (lambda table: table["server_list"][0]["device"][0].update(device_ip="1" * 5000), "for an address"),
        (lambda table: table["server_list"][0]["device"][1].update(rank_id="5"), "its ranks are"),
        (
            lambda table: table["server_list"][0]["device"][1].update(device_id="0"),
            "device 0 of server 10.0.0.0 is listed twice",
        ),
        (lambda table: table["server_list"][0]["device"][1].pop("device_ip"), "'device_ip'"),
        (lambda table: table.pop("server_list"), "'server_list'"),
    ],
)
def test_a_broken_table_is_refused(make, one_server, change, words):
    path = one_server(0)
    table = table_of(path)
    change(table)
    path.write_text(json.dumps(table))
    done = make("--show", path)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and len(done.stderr) < 500

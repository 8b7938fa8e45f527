"""Write the table of ranks that HCCL, Ascend's communication library, reads (schema 1.0).

    python scripts/generate_rank_table.py --output table.json                       # all devices of this server
    python scripts/generate_rank_table.py --devices 4-7 --output table.json         # some of them
    python scripts/generate_rank_table.py --merge server0.json server1.json --output table.json
    python scripts/generate_rank_table.py --show table.json                         # lines: rank, server, device, address

Addresses of devices come from ``hccn_tool -i N -ip -g`` where that works, otherwise from ``/etc/hccn.conf``. Ranks are
numbered server by server, devices in ascending order. Standard library only, so that it runs on servers without MindSpore.
"""

import argparse
import ipaddress
import json
import os
import re
import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from mindrestore.errors import printable, shown
from mindrestore.runtime.ascend_server import MOST_DEVICES, Mistake, addresses, refuse_unconnected

VERSION, COMPLETED, NO_HOST_NIC = "1.0", "completed", "reserve"


def main(arguments=None):
    options = parsed(arguments)
    try:
        if options.show:
            for line in lines(read(options.show)):
                print(*line)
            return 0
        wanted = None if options.devices is None else numbers(options.devices)
        if options.check_devices:
            refuse_unconnected(wanted or ())
            return 0
        if options.merge:
            servers = merged([(path, read(path)) for path in options.merge])
        else:
            servers = [server(options.server or own_address(), addresses(wanted, options.conf, say), wanted)]
            if not options.any_devices:
                refuse_unconnected([int(device["device_id"]) for device in servers[0]["device"]])
        write(options.output, table(servers))
    except Mistake as mistake:
        say(f"error: {mistake}")
        return 2
    print(f"Wrote {options.output}: {sum(len(one['device']) for one in servers)} ranks on {len(servers)} servers.")
    return 0


def say(text):
    print(f"generate_rank_table: {text}", file=sys.stderr)


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", metavar="LIST", help="such as 0,2,4-7; all by default")
    parser.add_argument("--server", metavar="ADDRESS", help="of this server, as the others reach it; its own by default")
    parser.add_argument(
        "--conf", type=Path, metavar="FILE", help="take addresses from this file, not from hccn_tool or /etc/hccn.conf"
    )
    parser.add_argument("--any-devices", action="store_true", help="also such as an Atlas 800 training server cannot connect")
    parser.add_argument(
        "--check-devices", action="store_true", help="only say whether this server can connect the devices; write nothing"
    )
    parser.add_argument(
        "--merge", type=Path, nargs="+", metavar="FILE", help="tables of one server each, in the order of ranks"
    )
    parser.add_argument("--show", type=Path, metavar="FILE", help="check a table and print its ranks")
    parser.add_argument("--output", type=Path, default=Path("rank_table.json"), help="default: rank_table.json")
    return parser.parse_args(arguments)


# One server


def numbers(text):
    """Return the numbers that ``0,2,4-7`` stands for, in order; each may be named once."""
    found = []
    for part in text.split(","):
        ends = re.fullmatch(r"(0|[1-9][0-9]{0,3})(?:-(0|[1-9][0-9]{0,3}))?", part.strip())
        if not ends or not int(ends[1]) <= int(ends[2] or ends[1]) < MOST_DEVICES:
            raise Mistake(
                f"--devices {text}: {part!r} is no device; write numbers below {MOST_DEVICES} and ranges such as 0,2,4-7."
            )
        found += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    for number in found:
        if found.count(number) > 1:
            raise Mistake(f"--devices {text}: device {number} is named twice; name each once.")
    return sorted(found)


def server(server_id, address_of, wanted):
    """Return a server's entry, its devices not numbered yet."""
    missing = [number for number in wanted or () if number not in address_of]
    if missing:
        raise Mistake(
            f"device {missing[0]} has no address; set it with hccn_tool -i {missing[0]} -ip -s address ADDRESS "
            "netmask MASK, or leave the device out."
        )
    if not address_of:
        raise Mistake("no device of this server has an address; set them with hccn_tool -i N -ip -s, or give --conf FILE.")
    devices = sorted(address_of) if wanted is None else wanted
    return {
        "server_id": server_id,
        "device": [{"device_id": str(number), "device_ip": address_of[number]} for number in devices],
    }


def own_address():
    """Return the address from which this server reaches others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


# Tables


def merged(tables):
    """Return the servers of several tables of one server each; they must have equally many devices."""
    servers, origin = [], {}
    for path, content in tables:
        if len(content["server_list"]) != 1:
            raise Mistake(f"{path}: has {len(content['server_list'])} servers; merge tables of one server each.")
        one = content["server_list"][0]
        if one["server_id"] in origin:
            raise Mistake(f"{path}: is of server {one['server_id']}, as is {origin[one['server_id']]}; give one file a server.")
        origin[one["server_id"]] = path
        servers.append(one)
    for (path, _), one in zip(tables, servers):
        if len(one["device"]) != len(servers[0]["device"]):
            raise Mistake(
                f"{path}: has {len(one['device'])} devices, {tables[0][0]} has {len(servers[0]['device'])}; "
                "all servers must give equally many."
            )
    return servers


def table(servers):
    """Return the whole table, ranks numbered in the order of ``servers``; refuses what HCCL would stumble over."""
    rank, numbered = 0, []
    for one in servers:
        devices = []
        for device in one["device"]:
            devices.append({"device_id": device["device_id"], "device_ip": device["device_ip"], "rank_id": str(rank)})
            rank += 1
        numbered.append({"server_id": one["server_id"], "device": devices, "host_nic_ip": NO_HOST_NIC})
    content = {"version": VERSION, "server_count": str(len(servers)), "server_list": numbered, "status": COMPLETED}
    check(content, "the table")
    return content


def read(path):
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise Mistake(f"{path}: not a readable rank table ({printable(error)}).") from error
    try:
        check(content, path)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, Mistake):
            raise
        raise Mistake(f"{path}: not a rank table of schema {VERSION}: {shown(error)} is missing or of another kind.") from error
    return content


def check(content, origin):
    if content["version"] != VERSION or content["status"] != COMPLETED:
        raise Mistake(
            f"{origin}: version {printable(content['version'])}, status {printable(content['status'])}; expected {VERSION}, "
            f"{COMPLETED}."
        )
    servers = content["server_list"]
    if content["server_count"] != str(len(servers)) or not servers:
        raise Mistake(f"{origin}: server_count is {printable(content['server_count'])}, but it lists {len(servers)} servers.")
    owner = {}
    for one in servers:
        seen = set()
        if not re.fullmatch(r"\S+", one["server_id"]):
            raise Mistake(f"{origin}: a server's server_id is {shown(one['server_id'])}; expected its address.")
        for device in one["device"]:
            for key in ("device_id", "rank_id"):
                if not re.fullmatch("0|[1-9][0-9]{0,5}", device[key]):
                    raise Mistake(
                        f"{origin}: a device of server {printable(one['server_id'])} has {shown(device[key])} for its {key}; "
                        "expected a number, as text."
                    )
            name = f"device {printable(device['device_id'])} of server {printable(one['server_id'])}"
            try:
                ipaddress.ip_address(device["device_ip"])
            except ValueError as error:
                raise Mistake(f"{origin}: {name} has {shown(device['device_ip'])} for an address.") from error
            if device["device_id"] in seen:
                raise Mistake(f"{origin}: {name} is listed twice.")
            seen.add(device["device_id"])
            if device["device_ip"] in owner:
                raise Mistake(
                    f"{origin}: {name} and {owner[device['device_ip']]} have the same address {printable(device['device_ip'])}."
                )
            owner[device["device_ip"]] = name
    ranks = [int(device["rank_id"]) for one in servers for device in one["device"]]
    if ranks != list(range(len(ranks))):
        raise Mistake(f"{origin}: its ranks are {printable(ranks)}; expected 0, 1, 2, ... in the order of servers and devices.")


def lines(content):
    """Return (rank, index of server, device, address of server) for every rank."""
    return [
        (device["rank_id"], index, device["device_id"], one["server_id"])
        for index, one in enumerate(content["server_list"])
        for device in one["device"]
    ]


def write(path, content):
    path = Path(os.path.realpath(path))  # what a link leads to is written, the link stays
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=2) + "\n")
                file.flush()
                os.fsync(handle)
            os.chmod(scratch, 0o644)
            os.replace(scratch, path)
        except OSError:
            os.unlink(scratch)
            raise
    except OSError as error:
        raise Mistake(f"{path}: cannot be written ({error.strerror}); choose a folder you may write to.") from error


if __name__ == "__main__":
    sys.exit(main())

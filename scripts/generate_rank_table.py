"""Write the table of ranks that HCCL, Ascend's communication library, reads (schema 1.0).

    python scripts/generate_rank_table.py --output table.json                       # all devices of this server
    python scripts/generate_rank_table.py --devices 4-7 --output table.json         # some of them
    python scripts/generate_rank_table.py --merge server0.json server1.json --output table.json
    python scripts/generate_rank_table.py --show table.json                         # lines: rank, server, device, address

Addresses of devices come from ``hccn_tool -i N -ip -g`` where it is installed, otherwise from ``/etc/hccn.conf``. Ranks are
numbered server by server, devices in ascending order. Standard library only, so that it runs on any server.
"""
import argparse
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION, COMPLETED, NO_HOST_NIC = "1.0", "completed", "reserve"
MOST_DEVICES = 64  # looked for on one server


class Mistake(ValueError):
    """What is wrong, where, and what to do, in a sentence."""


def main(arguments=None):
    options = parsed(arguments)
    try:
        if options.show:
            for line in lines(read(options.show)):
                print(*line)
            return 0
        if options.merge:
            servers = merged([(path, read(path)) for path in options.merge])
        else:
            wanted = numbers(options.devices) if options.devices else None
            servers = [server(options.server or own_address(), addresses(options.conf, wanted), wanted)]
        write(options.output, table(servers))
    except Mistake as mistake:
        print(f"generate_rank_table: error: {mistake}", file=sys.stderr)
        return 2
    print(f"Wrote {options.output}: {sum(len(one['device']) for one in servers)} ranks on {len(servers)} servers.")
    return 0


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", metavar="LIST", help="such as 0,2,4-7; all by default")
    parser.add_argument("--server", metavar="ADDRESS", help="of this server, as the others reach it; its own by default")
    parser.add_argument("--conf", type=Path, metavar="FILE",
                        help="take addresses from this file, not from hccn_tool or /etc/hccn.conf")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE",
                        help="tables of one server each, in the order of ranks")
    parser.add_argument("--show", type=Path, metavar="FILE", help="check a table and print its ranks")
    parser.add_argument("--output", type=Path, default=Path("rank_table.json"), help="default: rank_table.json")
    return parser.parse_args(arguments)


# One server


def numbers(text):
    """Return the numbers that ``0,2,4-7`` stands for, in order; each may be named once."""
    found = []
    for part in text.split(","):
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if not ends or int(ends[2] or ends[1]) < int(ends[1]):
            raise Mistake(f"--devices {text}: {part!r} is no device; write numbers and ranges such as 0,2,4-7.")
        found += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    for number in found:
        if found.count(number) > 1:
            raise Mistake(f"--devices {text}: device {number} is named twice; name each once.")
    return sorted(found)


def addresses(conf, wanted):
    """Return the address of each device by number, from ``conf``, ``hccn_tool`` or ``/etc/hccn.conf``."""
    if conf is None and shutil.which("hccn_tool"):
        return of_tool(wanted)
    return of_file(conf or Path("/etc/hccn.conf"))


def of_tool(wanted):
    found = {}
    for number in range(MOST_DEVICES) if wanted is None else wanted:
        told = subprocess.run(["hccn_tool", "-i", str(number), "-ip", "-g"], capture_output=True, text=True, check=False)
        address = re.search(r"^ipaddr:(\S+)", told.stdout, re.MULTILINE)
        if address:
            found[number] = address[1]
        elif wanted is None and told.returncode:
            break  # no such device, nor any behind it
    return found


def of_file(path):
    """Read lines such as ``address_0=192.168.100.101``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Mistake(f"{path}: cannot be read ({error.strerror}), and there is no hccn_tool on PATH to ask; run this on the "
                      "Ascend server, or give --conf FILE with lines such as address_0=192.168.100.101.") from error
    found = {}
    for number, address in re.findall(r"^\s*address_(\d+)\s*=\s*(\S+)", text, re.MULTILINE):
        if int(number) in found:
            raise Mistake(f"{path}: device {number} has two addresses; leave one.")
        found[int(number)] = address
    return found


def server(server_id, address_of, wanted):
    """Return a server's entry, its devices not numbered yet."""
    missing = [number for number in wanted or () if number not in address_of]
    if missing:
        raise Mistake(f"device {missing[0]} has no address; set it with hccn_tool -i {missing[0]} -ip -s address ADDRESS "
                      "netmask MASK, or leave the device out.")
    if not address_of:
        raise Mistake("no device of this server has an address; set them with hccn_tool -i N -ip -s, or give --conf FILE.")
    devices = sorted(address_of) if wanted is None else wanted
    return {"server_id": server_id,
            "device": [{"device_id": str(number), "device_ip": address_of[number]} for number in devices]}


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
            raise Mistake(f"{path}: has {len(one['device'])} devices, {tables[0][0]} has {len(servers[0]['device'])}; "
                          "all servers must give equally many.")
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
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Mistake(f"{path}: not a readable rank table ({error}).") from error
    try:
        check(content, path)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, Mistake):
            raise
        raise Mistake(f"{path}: not a rank table of schema {VERSION}: {error!r} is missing or of another kind.") from error
    return content


def check(content, origin):
    if content["version"] != VERSION or content["status"] != COMPLETED:
        raise Mistake(f"{origin}: version {content['version']}, status {content['status']}; expected {VERSION}, {COMPLETED}.")
    servers = content["server_list"]
    if content["server_count"] != str(len(servers)) or not servers:
        raise Mistake(f"{origin}: server_count is {content['server_count']}, but it lists {len(servers)} servers.")
    owner = {}
    for one in servers:
        seen = set()
        for device in one["device"]:
            name = f"device {device['device_id']} of server {one['server_id']}"
            try:
                ipaddress.ip_address(device["device_ip"])
            except ValueError as error:
                raise Mistake(f"{origin}: {name} has {device['device_ip']!r} for an address.") from error
            if device["device_id"] in seen:
                raise Mistake(f"{origin}: {name} is listed twice.")
            seen.add(device["device_id"])
            if device["device_ip"] in owner:
                raise Mistake(f"{origin}: {name} and {owner[device['device_ip']]} have the same address {device['device_ip']}.")
            owner[device["device_ip"]] = name
    ranks = [int(device["rank_id"]) for one in servers for device in one["device"]]
    if ranks != list(range(len(ranks))):
        raise Mistake(f"{origin}: its ranks are {ranks}; expected 0, 1, 2, ... in the order of servers and devices.")


def lines(content):
    """Return (rank, index of server, device, address of server) for every rank."""
    return [(device["rank_id"], index, device["device_id"], one["server_id"])
            for index, one in enumerate(content["server_list"]) for device in one["device"]]


def write(path, content):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2) + "\n")
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except OSError as error:
        raise Mistake(f"{path}: cannot be written ({error.strerror}); choose a folder you may write to.") from error


if __name__ == "__main__":
    sys.exit(main())

"""Share this server's cores out among its ranks by NUMA node: ``python cores.py --count N [--kind gpu --devices 4,5]``.

Prints a line a rank: its cores, such as 0-3,8, and the nodes they are of. A rank gets cores of the node that its device is
attached to, where the system says which; all others are spread over the nodes evenly, and a rank has cores of several nodes
only where there are fewer ranks than nodes. ``msrun --bind_core`` does the same for Ascend alone, by lspci and the first
generation of control groups, and nothing where either is missing. Standard library only.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from rank import numbers

PATIENCE = 10  # seconds that a tool may take to answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, required=True, help="ranks on this server")
    parser.add_argument("--kind", choices=("cpu", "gpu", "ascend"), default="cpu")
    parser.add_argument("--devices", default="", help="one a rank: numbers, or UUIDs of GPUs")
    parser.add_argument("--sysfs", type=Path, default=Path("/sys"))
    options = parser.parse_args()
    nodes = cores_of_nodes(options.sysfs, os.sched_getaffinity(0))
    devices = options.devices.split(",") if options.devices else []
    attached = [node_of(address, options.sysfs) for address in bus_addresses(options.kind, devices)]
    for cores, of in shares(nodes, options.count, attached):
        print(written(cores), written(of))


def cores_of_nodes(sysfs, allowed):
    """Return {node: its cores that this process may use}, without nodes that have none; all are node 0 if sysfs is silent."""
    nodes = {}
    for path in (sysfs / "devices/system/node").glob("node[0-9]*/cpulist"):
        listed = path.read_text().strip()
        cores = sorted(numbers(listed) & allowed) if listed else []
        if cores:
            nodes[int(path.parent.name[4:])] = cores
    return dict(sorted(nodes.items())) or {0: sorted(allowed)}


def shares(nodes, count, attached=()):
    """Return (cores, nodes) of each of ``count`` ranks; ``attached`` has the node of each rank's device, None if unknown."""
    order = list(nodes)
    attached = [node if node in nodes else None for node in attached] or [None] * count
    if count < len(order) and not any(node is not None for node in attached):
        groups = [order[rank * len(order) // count : (rank + 1) * len(order) // count] for rank in range(count)]
        return [([core for node in group for core in nodes[node]], group) for group in groups]
    free = [rank for rank in range(count) if attached[rank] is None]
    for place, rank in enumerate(free):
        attached[rank] = order[place * len(order) // len(free)]
    return [
        (part(nodes[node], attached[:rank].count(node), attached.count(node)), [node]) for rank, node in enumerate(attached)
    ]


def part(cores, place, count):
    """Return the ``place``-th of ``count`` equal parts of ``cores``, or one core for several where they do not suffice."""
    if len(cores) < count:
        return [cores[place % len(cores)]]
    return cores[place * len(cores) // count : (place + 1) * len(cores) // count]


def node_of(address, sysfs):
    """Return the node of the device at a PCI address such as 0000:3b:00.0, None if it is not known."""
    try:
        node = int((sysfs / "bus/pci/devices" / address / "numa_node").read_text()) if address else -1
    except (OSError, ValueError):
        node = -1
    return node if node >= 0 else None


def bus_addresses(kind, devices):
    """Return the PCI address of each device, None where its tool does not say."""
    if kind == "gpu":
        lines = told("nvidia-smi", "--query-gpu=index,uuid,pci.bus_id", "--format=csv,noheader").splitlines()
        rows = [[word.strip() for word in line.split(",")] for line in lines if line.count(",") == 2]
        return [
            next(
                (address(bus) for index, uuid, bus in rows if device == index or len(device) > 3 and uuid.startswith(device)),
                None,
            )
            for device in devices
        ]
    if kind == "ascend":
        found = [
            re.search(r"PCIe Bus Info\s*:\s*(\S+)", told("npu-smi", "info", "-t", "board", "-i", device, "-c", "0"))
            for device in devices
        ]
        return [match and address(match[1]) for match in found]
    return [None] * len(devices)


def address(text):
    """Return a PCI address as sysfs writes it: nvidia-smi's 00000000:3B:00.0 is 0000:3b:00.0 there."""
    domain, rest = text.lower().split(":", 1) if text.count(":") == 2 else ("0", text.lower())
    return f"{domain[-4:]:0>4}:{rest}" if re.fullmatch(r"[0-9a-f:.]+", text.lower()) else None


def told(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def written(found):
    """Return ascending numbers as 0-3,8."""
    runs = []
    for number in found:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


if __name__ == "__main__":
    sys.exit(main())

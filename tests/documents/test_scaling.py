"""The simulation behind docs/scaling.md: what it must give where the answer is known."""

import math
import re

import numpy as np
import pytest
from places import ROOT, module_at


@pytest.fixture(scope="module")
def scaling():
    return module_at(ROOT / "benchmarks" / "scaling.py")


def test_a_ring_passes_on_every_part_twice_but_for_its_own(scaling):
    """Walked turn by turn: after N - 1 turns each device has one part summed, after as many more all have all."""
    devices, size, bandwidth, delay = 5, 1000.0, 10.0, 0.5
    parts = np.random.default_rng(0).integers(0, 100, (devices, devices))
    held, turns = parts.copy(), 0
    for gathering in (False, True):
        for turn in range(devices - 1):
            sent = [(device, (device - turn + gathering) % devices) for device in range(devices)]
            values = [held[device, part] for device, part in sent]
            for (device, part), value in zip(sent, values):
                held[(device + 1) % devices, part] = value if gathering else held[(device + 1) % devices, part] + value
            turns += 1
    np.testing.assert_array_equal(held, np.tile(parts.sum(0), (devices, 1)))
    assert scaling.ring_seconds(size, devices, bandwidth, delay) == pytest.approx(turns * (size / devices / bandwidth + delay))
    assert scaling.ring_seconds(size, 1, bandwidth, delay) == 0


def test_the_slowest_of_two_is_what_the_formula_says(scaling):
    assert scaling.slowest(2, 0.02, 200_000) == pytest.approx(1 + 0.02 / math.sqrt(math.pi), abs=1e-4)
    assert scaling.slowest(8) < scaling.slowest(64) < scaling.slowest(512)


def test_a_step_is_what_takes_longest(scaling):
    still = dict(devices=4, variation=0.0)
    assert scaling.step_seconds(2.0, 0.25, 0.1, **still) == pytest.approx(2.25)
    assert scaling.step_seconds(2.0, 0.25, 5.0, **still) == pytest.approx(5.0)  # loading goes on during all else
    assert scaling.step_seconds(2.0, 0.25, 0.1, checkpoint=50.0, **still) == pytest.approx(2.26)
    assert scaling.step_seconds(2.0, 0.0, 0.1, 8, variation=0.02, steps=4000) == pytest.approx(
        2 * scaling.slowest(8, 0.02), rel=2e-3
    )


@pytest.mark.parametrize("machine", ["A100", "Ascend 910"])
@pytest.mark.parametrize("task", ["001", "002"])
def test_eight_devices_give_the_published_step(scaling, task, machine):
    published = scaling.MACHINES[machine].seconds[task]
    outcome = scaling.outcome(scaling.TASKS[task], scaling.MACHINES[machine], 8, 31.4, 96)
    assert outcome["step_seconds"] == pytest.approx(published, rel=0.01)
    assert outcome["efficiency"] == pytest.approx(1, rel=0.01)


def test_the_document_shows_what_the_simulation_gives(scaling):
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    decoded = float(re.search(r"\| decoding \| ([\d.]+) pairs", text)[1])
    rows = [
        scaling.outcome(task, machine, devices, decoded, 96)
        for task in scaling.TASKS.values()
        for machine in scaling.MACHINES.values()
        for devices in (8, 64)
    ]
    for line in list(scaling.lines(rows))[2:]:
        assert line in text, line

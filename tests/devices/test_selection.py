"""Which device is taken, with MindSpore's own counters answering as on machines with none, one or eight of them."""

import mindspore as ms
import pytest

from mindrestore.errors import UserError
from mindrestore.runtime import cluster, device


@pytest.fixture
def machine(prepared, monkeypatch):
    """``machine(ascend=8)`` makes MindSpore count so many devices; returns what it is then told to compute on."""

    def made(**devices):
        told = []
        for kind in ("ascend", "gpu"):
            monkeypatch.setattr(getattr(ms.device_context, kind), "device_count", lambda kind=kind: counted(kind))
        monkeypatch.setattr(ms, "set_device", lambda target, number: told.append((target, number)))

        def counted(kind):
            if not devices.get(kind):
                raise RuntimeError(f"Device {kind} not exist.")  # as MindSpore 2.10 does
            return devices[kind]

        return told

    return made


def test_the_counters_of_this_machine_are_asked(prepared):
    """Real ones, unpatched: MindSpore's answer, whatever it is, is understood."""
    for kind in ("ascend", "gpu"):
        try:
            expected = getattr(ms.device_context, kind).device_count()
        except RuntimeError as error:
            assert "not exist" in str(error)
            expected = 0
        assert device.count(kind) == expected
    assert device.count("cpu") == 1


@pytest.mark.parametrize("kind", ["ascend", "gpu"])
@pytest.mark.parametrize("devices", [1, 8])
def test_each_device_is_reached(machine, kind, devices):
    told = machine(**{kind: devices})
    for number in range(devices):
        for choice in (kind, "auto"):
            assert device.select(choice, number) == kind
    assert told == [(device.TARGETS[kind], number) for number in range(devices) for _ in range(2)]


@pytest.mark.parametrize(
    "there, choice, taken",
    [
        ({"ascend": 8, "gpu": 1}, "auto", ("Ascend", 0)),
        ({"ascend": 8, "gpu": 1}, "gpu", ("GPU", 0)),
        ({"gpu": 1}, "auto", ("GPU", 0)),
    ],
)
def test_auto_takes_the_fastest_that_is_there(machine, there, choice, taken):
    told = machine(**there)
    device.select(choice)
    assert told == [taken]


@pytest.mark.parametrize("choice", ["auto", "cpu"])
@pytest.mark.parametrize("number", [0, 3])
def test_the_cpu_has_no_numbers(machine, choice, number):
    told = machine()
    assert device.select(choice, number) == "cpu"
    assert told == []  # it is MindSpore's choice already


def test_the_cpu_can_be_chosen_beside_devices(machine, monkeypatch):
    told = machine(ascend=8, gpu=8)
    monkeypatch.setattr(device, "name", lambda: "gpu")  # what MindSpore takes by itself where it finds one
    assert device.select("cpu", 3) == "cpu"
    assert told == [("CPU", 0)]


@pytest.mark.parametrize("choice", ["gpu", "ascend"])
def test_devices_that_are_not_there(machine, choice):
    machine(**{"gpu" if choice == "ascend" else "ascend": 8})
    with pytest.raises(UserError) as caught:
        device.select(choice)
    assert str(caught.value) == (
        f"--device {choice}: MindSpore finds no such device on this machine; choose --device cpu, or "
        "run `mindrestore doctor`, which says what is missing."
    )


@pytest.mark.parametrize("choice", ["auto", "gpu", "ascend"])
@pytest.mark.parametrize(
    "devices, number, words",
    [
        (1, 1, "1 {} device; give DEVICE_ID, or --device-id of the launchers, a number from 0 to 0."),
        (8, 8, "8 {} devices; give DEVICE_ID, or --device-id of the launchers, a number from 0 to 7."),
        (8, -1, "8 {} devices; give DEVICE_ID, or --device-id of the launchers, a number from 0 to 7."),
    ],
)
def test_a_number_beyond_the_last_device_is_refused(machine, choice, devices, number, words):
    kind = "ascend" if choice == "auto" else choice
    told = machine(**{kind: devices})
    with pytest.raises(UserError) as caught:
        device.select(choice, number)
    assert str(caught.value) == f"DEVICE_ID={number}: this process may use {words.format(device.TARGETS[kind])}"
    assert told == []


def test_unknown_devices(machine):
    machine(gpu=1)
    with pytest.raises(UserError, match="--device quantum: unknown device, choose one of auto, cpu, gpu, ascend."):
        device.select("quantum")


@pytest.mark.parametrize("text", ["first", "-1", "1.5", ""])
def test_device_id_must_be_a_number(monkeypatch, text):
    monkeypatch.setenv("DEVICE_ID", text)
    with pytest.raises(UserError) as caught:
        cluster.device_number()
    assert str(caught.value) == f"DEVICE_ID={text}: expected the number of a device, counted from 0; set it so, or unset it."


def test_device_id_is_the_device_that_is_taken(machine, monkeypatch):
    told = machine(ascend=8)
    monkeypatch.setenv("DEVICE_ID", "5")
    device.select("auto", cluster.device_number())
    assert told == [("Ascend", 5)]

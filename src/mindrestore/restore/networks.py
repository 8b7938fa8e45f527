"""Which network a task takes: the small one that ships, a checkpoint of the user's, or an exported file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mindrestore.checkpoints.loading import load, load_for_task
from mindrestore.errors import UserError
from mindrestore.files import PathLike
from mindrestore.models import abilities_of
from mindrestore.restore.exported import is_onnx, load_exported
from mindrestore.restore.tasks import STEPS
from mindrestore.runtime import precision
from mindrestore.tiling import TASKS, Sizes, default_overlap, default_tile


def need_mindspore(task: str, checkpoints: Sequence[PathLike], models: Sequence[PathLike]) -> bool:
    """Tell whether anything but ONNX files will be used by ``choose``."""
    only_onnx = not checkpoints and all(is_onnx(path) for path in models)
    return not only_onnx or len(models) < len(STEPS.get(task, (task,)))


class TaskNetwork(NamedTuple):
    """A network for one task, ready to use."""

    task: str
    network: object
    origin: Path
    tile: tuple[int, int, int]
    overlap: tuple[int, int, int]


def choose(
    task: str,
    checkpoints: Iterable[PathLike] = (),
    models: Iterable[PathLike] = (),
    tile: Sizes | None = None,
    overlap: Sizes | None = None,
    size: tuple[int, int] | None = None,
) -> list[TaskNetwork]:
    """Load the networks of a task.

    Args:
        task: one of ``mindrestore.restore.tasks.TASKS``.
        checkpoints: paths of weights, ours or published, in any order; what is missing ships, or is an error.
        models: paths of exported files (.mindir, .onnx), likewise. Their tile is their own.
        tile, overlap: (frames, height, width) instead of the task's own.
        size: height and width of the clip, which the task's own tile is fitted to.

    Returns:
        List of ``TaskNetwork``: one, for space-time super-resolution two, the interpolating one first.

    Raises:
        UserError: no such file, a network of another task, or none for the task.
    """
    steps = STEPS.get(task, (task,))
    by_step = {}
    for path, read in [(path, load) for path in checkpoints] + [(path, load_exported) for path in models]:
        loaded = read(path)
        network = loaded.network
        own_precision = getattr(network, "precision", "float16")  # what is not exported computes as it is asked to
        if precision.chosen() == "float16" != own_precision:
            raise UserError(
                f"{path}: was exported in {own_precision} and computes in that; leave --precision away, or export "
                "it with --precision float16."
            )
        step = next((step for step in steps if step not in by_step and fits(step, network)), None)
        if step is None:
            raise UserError(
                f"{path}: holds a network to {_purpose(network)}, for which --task {task} has no use; "
                "give one for this task, or another --task."
            )
        by_step[step] = Path(loaded.origin), network
    for step in steps:
        if step not in by_step:
            by_step[step] = _shipped(step)
    return [_task_network(step, *by_step[step], tile=tile, overlap=overlap, size=size) for step in steps]


def _task_network(
    task: str, path: Path, network: Any, tile: Sizes | None, overlap: Sizes | None, size: tuple[int, int] | None
) -> TaskNetwork:
    own_tile = getattr(network, "tile", None)
    if own_tile and tile:
        raise UserError(f"{path}: an exported network has the tile {list(own_tile)}; leave --tile away.")
    tile = own_tile or tile and tuple(tile) or _own_tile(task, network, overlap or TASKS[task].overlap, size)
    return TaskNetwork(task, network, path, tile=tile, overlap=tuple(overlap or default_overlap(task, tile)))


def fits(task: str, network: Any) -> bool:
    """Whether a network does ``task``; which of several that its settings allow it was trained for nobody can tell."""
    return task in abilities_of(network).tasks


def _purpose(network: Any) -> str:
    """Say in a word or two what a network is for."""
    able = abilities_of(network)
    scale = getattr(able, "scale", 1)
    return " or ".join(f"{task} x{scale}" if scale > 1 else task for task in able.tasks) or "find motion"


def _shipped(task: str) -> tuple[Path, Any]:
    """Return (path, network) of what ships for a task."""
    loaded = load_for_task(task)
    if loaded is None:
        raise UserError(
            f"--task {task}: no network for it ships with this mindrestore; give one with --checkpoint, your own "
            "(.ckpt) or a published one (.pth)."
        )
    return Path(loaded.origin), loaded.network


def _own_tile(task: str, network: Any, overlap: Sizes, size: tuple[int, int] | None) -> Sizes:
    if size is None:
        return TASKS[task].tile
    able = network.abilities
    return default_tile(task, able.features, overlap, size, multiple=able.window[1])

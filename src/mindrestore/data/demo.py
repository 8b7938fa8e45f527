"""The scenes that the demonstration reconstructs: five compositions of held-out photographs, always the same."""

from mindrestore.data.composition import Composition, Foreground, Motion, Surface, ellipse, render
from mindrestore.data.scenes import Scene

SIDE = 256

_CAT = Composition(
    Surface("chelsea", scale=0.95),
    Motion(position=(-22, 4), velocity=(2.2, 0.3), growth=0.004),
    (
        Foreground(
            Surface("gravel", scale=0.45, gamma=1.3),
            (0.4, 0.5),
            ellipse(),
            radius=24,
            motion=Motion((10, 78), (4.5, -0.6), (0, 0.3), turn=0.12),
        ),
    ),
)

_LAUNCH_TOWER = ((-0.16, 1.0), (0.16, 1.0), (0.1, -1.0), (-0.1, -1.0))
_LAUNCH = Composition(
    Surface("rocket", scale=0.8, gamma=0.75),
    Motion(position=(0, 8), velocity=(0.6, -2.6), acceleration=(0, -0.35)),
    (
        Foreground(
            Surface("rocket", gamma=0.75),
            (0.93, 0.5),
            _LAUNCH_TOWER,
            radius=190,
            motion=Motion((96, 20), (-1.8, 5.0), (0, 0.5)),
        ),
    ),
)

_COINS = Composition(
    Surface("coins"),
    Motion(position=(-40, 0), velocity=(0.3, 0.2)),
    tuple(
        Foreground(Surface("coins", contrast=1.1), (x / 384, y / 303), ellipse(), radius=radius, motion=motion)
        for x, y, radius, motion in (
            (335, 44, 29, Motion((-60, -52), (4.0, 1.6), turn=0.05)),
            (271, 119, 24, Motion((62, 6), (-3.2, 3.0), turn=-0.08)),
            (212, 191, 22, Motion((-46, 88), (2.0, -4.6), (0, 0.25), turn=0.03)),
        )
    ),
)

_GRAVEL = Composition(
    Surface("gravel", scale=0.6),
    Motion(velocity=(0.5, -0.8), turn=0.018, growth=0.006),
    (
        Foreground(
            Surface("chelsea", scale=0.6), (0.45, 0.5), ellipse(0.8), radius=58, motion=Motion((4, 0), (-3.6, 1.8), turn=-0.03)
        ),
    ),
)

_TOWERS = Composition(
    Surface("rocket", gamma=0.65), Motion(position=(-170, -60), velocity=(5.0, 0.8), acceleration=(-0.2, 0.1))
)

_SCENES = {"cat": (_CAT, 16), "launch": (_LAUNCH, 8), "coins": (_COINS, 8), "gravel": (_GRAVEL, 8), "towers": (_TOWERS, 8)}


def demo_scenes(colour: bool = False) -> tuple[Scene, ...]:
    """The five scenes as a tuple of ``Scene``, clips of 8 frames (cat: 16) and 256 x 256 pixels, grey or colour."""
    return tuple(
        Scene(name, render(composition, frames, SIDE, SIDE, colour=colour)) for name, (composition, frames) in _SCENES.items()
    )

"""VRT as a file: what goes in and comes out. Its windows follow from the size, so a file has one size."""
from mindrestore.deploy.signature import Port, Signature
from mindrestore.models.vrt.settings import check_clip


def default_size(network):
    """Return (frames, height, width) that the network was trained on."""
    return tuple(network.settings["img_size"])


def signature(network, frames, height, width, batch):
    """Return the ``Signature`` of a VRT ``network`` for clips of ``frames`` x ``height`` x ``width``."""
    channels = network.colours + network.nonblind
    check_clip((batch, frames, channels, height, width), channels, network.pa_frames)
    noise = ", then the noise level: its standard deviation, white being 1" if network.nonblind else ""
    made = 1 if network.pa_frames == 0 else frames
    size = network.upscale * height, network.upscale * width
    clip = Port("clip", (batch, frames, channels, height, width), (0, 1), f"frames, RGB{noise}")
    restored = Port("restored", (batch, made, network.settings["out_chans"], *size), (0, 1),
                    ("the frame in the middle of four" if made == 1 else "the frames, restored") + "; not clamped")
    return Signature((clip,), (restored,))

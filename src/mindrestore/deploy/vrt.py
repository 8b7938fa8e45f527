"""VRT as a file: what goes in and comes out. Its windows follow from the size, so a file has one size."""
from mindrestore.deploy.signature import Port, Signature
from mindrestore.errors import UserError
from mindrestore.models.vrt.settings import check_clip


def default_size(network):
    """Return (frames, height, width) that the network was trained on."""
    return tuple(network.settings["img_size"])


def signature(network, frames, height, width, batch):
    """Return the ``Signature`` of a VRT ``network`` for clips of ``frames`` x ``height`` x ``width``."""
    channels = network.colours + network.nonblind
    check_clip((batch, frames, channels, height, width), channels, network.interpolates)
    noise = ", then the noise level: its standard deviation, white being 1" if network.nonblind else ""
    made = 1 if network.interpolates else frames
    size = network.upscale * height, network.upscale * width
    clip = Port("clip", (batch, frames, channels, height, width), (0, 1), f"frames, RGB{noise}")
    restored = Port("restored", (batch, made, network.settings["out_chans"], *size), (0, 1),
                    ("the frame in the middle of four" if network.interpolates else "the frames, restored") + "; not clamped")
    window = tuple(network.settings["window_size"])
    use = ("give every four frames that follow each other; the result lies between the middle two" if network.interpolates else
           f"cut a clip into tiles of {frames} x {height} x {width} that overlap, average or cut off what they share")
    return Signature((clip,), (restored,), (frames, height, width), window,
                     f"{use}; reflect at its end, bottom and right what is smaller, and cut that off again; clamp to 0..1")


def write_onnx(network, described, path):
    """Refuse: raises ``UserError`` that says which operators are missing."""
    missing = "" if network.pa_frames == 0 else (
        "; it warps frames along flows and aligns them by deformable convolution, for which MindSpore's ONNX exporter has no "
        "operators (GridSampler2D, DeformableOffsets)")
    raise UserError(f"format onnx: a VRT is not written as ONNX{missing}; choose mindir, which runs on every device.")

"""``mindrestore convert``."""
from mindrestore.commands.shared import command


def add(commands):
    """Add the command to argparse's ``commands``."""
    convert = command(commands, "convert", _run, "turn published weights into a mindrestore checkpoint")
    convert.add_argument("source", help=".pth, .npz or .safetensors")
    convert.add_argument("target", help=".ckpt")


def _run(options):
    from mindrestore.checkpoints.convert import convert
    print(convert(options.source, options.target))

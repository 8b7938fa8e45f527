"""What every result says of how it came about."""
import mindspore

from mindrestore.runtime import device, precision
from mindrestore.version import __version__


def described(network, kind):
    """Return a network's kind, settings and size in one line."""
    settings = ", ".join(f"{key} {value}" for key, value in network.settings.items())
    count = sum(parameter.size for parameter in network.get_parameters())
    return f"{kind}: {settings}; {count:,} parameters"


def environment():
    """Return device, precision and versions, by name."""
    return {"device": device.name(), "precision": precision.chosen(),
            "versions": f"mindrestore {__version__}, mindspore {mindspore.__version__}"}

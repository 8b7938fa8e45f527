"""Writing trained networks as files for other programs and devices."""

from mindrestore.deploy.export import export_network

__all__ = ["export_network"]

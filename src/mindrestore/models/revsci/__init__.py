from mindrestore.models.revsci.network import RevSCI

__all__ = ["RevSCI"]

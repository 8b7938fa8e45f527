"""The commands of ``mindrestore``, a file each: its options, and what it calls. What several share is in ``shared``."""

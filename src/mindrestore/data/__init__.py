"""Clips on disk and rendered ones, their order in training, and what is made of them: low quality, measurements, samples.

NumPy only. ``folders`` says which files are frames and which folders are clips. Training draws from sources that are decided by
index and generator alone: ``providers.ClipSource`` and ``subclips.SubclipSource``.
"""

"""Where clips come from: rendered photographs, benchmark scenes, frames and videos on disk, real captures. NumPy only.

Whatever training draws from has ``len()``, ``clip(index, rng)``, which gives one clip, float32 in 0..1: ``(T, H, W)`` grey
or ``(3, T, H, W)`` colour, decided by index and generator alone, and ``name(index)``, where it is from.
"""

"""Clips as users have them, in and out: videos, folders of frames, pictures of one or more pages.

    clips.py    what a clip on disk is: size, bits, rate, count
    pixels.py   floats of 0–1 into stored images, and back
    writing.py  stored images into a file or folder, by its name; sound, carried over by ffmpeg where it is installed
    pictures.py clips as arrays into pictures and videos to look at
"""

"""Clips as users have them, in and out: videos, folders of frames, pictures of one or more pages.

    clips.py         what a clip on disk is: size, bits, rate, count
    pixels.py        floats of 0–1 into stored images, and back
    writing.py       stored images into a file or folder, by its name
    video_writer.py  videos: codecs, tags, times
    carried.py       what a video takes over of another: sound, subtitles, chapters, titles
    segments.py      long videos, a segment at a time
    pictures.py      clips as arrays into pictures and videos to look at
    page.py          a web page to look at frames, which needs nothing else
    player.py        clips playing on it

Videos are read in ``mindrestore.data.video_file``, because data sets hold them too.
"""

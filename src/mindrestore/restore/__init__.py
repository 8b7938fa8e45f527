"""``mindrestore restore``: a clip on disk in, a restored clip on disk out.

    tasks.py       their names
    networks.py    which network a task takes: what ships, a checkpoint, an exported file
    videos.py      tasks of videos: restored frames of a clip from any frame on
    snapshots.py   that of snapshots: the frames behind measurements, from any frame on
    parts.py       finished frames, kept until the clip is whole, so that a stopped run can go on
    progress.py    frames a second and the time left
    beside.py      input and output side by side
    run.py         all of it, in order
    simulation.py  a clip into measurements, the way back
"""

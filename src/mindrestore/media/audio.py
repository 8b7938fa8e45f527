"""Sound. OpenCV reads and writes none; ffmpeg, where it is installed, copies it from the old video into the new one."""
import shutil
import subprocess

from mindrestore.files import replacing


def carry_over(source, target):
    """Copy the sound of the video ``source`` into the video ``target``, its pictures untouched.

    Returns a sentence that says what became of it; ``target`` is a whole video either way.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        return "Audio is not carried over; with ffmpeg installed it is copied."
    try:
        with replacing(target) as joined:
            subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-i", str(target), "-i", str(source), "-map",
                            "0:v:0", "-map", "1:a?", "-c", "copy", str(joined)], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        return f"Audio is not carried over: ffmpeg could not copy it ({reason})."
    return "Audio, where there was any, was copied by ffmpeg."

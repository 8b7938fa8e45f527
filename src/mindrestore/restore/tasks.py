"""The tasks by name; light, as the command line lists them before anything is computed."""

PROBLEMS = {
    "sr": "video",
    "deblur": "video",
    "denoise": "video",
    "interpolate": "video",
    "space-time-sr": "video",
    "sci": "snapshot",
}
"""By task, the problem that it belongs to (``mindrestore.models.kind``)."""
TASKS = tuple(PROBLEMS)
STEPS = {"space-time-sr": ("interpolate", "sr")}
"""Tasks that are others one after the other."""

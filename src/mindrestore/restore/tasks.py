"""The tasks by name; light, as the command line lists them before anything is computed."""

TASKS = ("sr", "deblur", "denoise", "interpolate", "space-time-sr", "sci")
PARTS = {"space-time-sr": ("interpolate", "sr")}
"""Tasks that are others one after the other."""

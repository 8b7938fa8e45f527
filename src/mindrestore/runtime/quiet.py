"""Keep MindSpore's warnings off the user's terminal."""
import os

VARIABLE, ERRORS = "GLOG_v", "3"


def errors_only():
    """Let MindSpore print errors alone, unless the user has set its log level. It reads the variable when imported."""
    os.environ.setdefault(VARIABLE, ERRORS)

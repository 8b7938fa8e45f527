"""A process that measures one case of ``devices.py`` and ends: ``device_worker.py CASE FOLDER``.

CASE is a JSON object of ``measure`` (``module.function`` of this folder), ``device`` and what the function reads. FOLDER is
where it may write. The function is called with ``report`` and the case; ``report(part, **values)`` writes a line at once, so
that what was measured before a crash is kept. Answers are JSON lines: such parts, and at the end ``error``, its first lines,
or ``skipped``.
"""

import importlib
import json
import os
import sys
import traceback

from device_errors import ROOT, Skipped, lines_of


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    os.environ.setdefault("GLOG_v", "3")  # MindSpore: errors only
    case = json.loads(sys.argv[1])
    case["folder"] = sys.argv[2]
    for name in ("configs", "src"):  # which cases name; what a killed library leaves behind lies here, not in the repository
        os.symlink(ROOT / name, os.path.join(case["folder"], name))
    os.chdir(case["folder"])
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "golden")]

    def report(part, **values):
        print(json.dumps({"part": part, "values": values}), file=answers)

    module, _, function = case["measure"].partition(".")
    try:
        getattr(importlib.import_module(module), function)(report, case)
    except Skipped as reason:
        print(json.dumps({"skipped": str(reason)}), file=answers)
    except Exception as error:
        traceback.print_exc()
        print(json.dumps({"error": lines_of(error)}), file=answers)
        sys.exit(1)


if __name__ == "__main__":
    main()

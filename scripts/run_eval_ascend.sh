#!/usr/bin/env bash
# Restore and score on an Ascend device: bash scripts/run_eval_ascend.sh [CONFIG]; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single eval ascend "usage: bash scripts/run_eval_ascend.sh [CONFIG] [options] [key=value ...]
Restore clips or reconstruct scenes on an Ascend device, and score them; without CONFIG the demonstration scenes.

  --device-id N    which one, default 0
  --dry-run        print environment and command, and start nothing
  --help
All else goes to eval.py, such as --checkpoint FILE and --gt FOLDER; see python eval.py --help." "$@"

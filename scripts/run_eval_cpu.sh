#!/usr/bin/env bash
# Restore and score on a CPU: bash scripts/run_eval_cpu.sh [CONFIG]; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single eval cpu "usage: bash scripts/run_eval_cpu.sh [CONFIG] [options] [key=value ...]
Restore clips or reconstruct scenes on a CPU, and score them; without CONFIG the demonstration scenes.

  --dry-run        print environment and command, and start nothing
  --help
All else goes to eval.py, such as --checkpoint FILE and --gt FOLDER; see python eval.py --help." "$@"

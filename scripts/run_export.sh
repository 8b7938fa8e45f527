#!/usr/bin/env bash
# Write a trained network as MINDIR, or on Ascend AIR: bash scripts/run_export.sh [CONFIG]; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single export "" "usage: bash scripts/run_export.sh [CONFIG] [options] [key=value ...]
Write a trained network as a file for inference.

  --dry-run        print environment and command, and start nothing
  --help
All else goes to export.py, such as --checkpoint FILE, --output FILE and --device ascend --format air; see
python export.py --help." "$@"

#!/usr/bin/env bash
# Restore and score on a CPU: bash scripts/run_eval_cpu.sh [CONFIG]; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single eval cpu "$@"

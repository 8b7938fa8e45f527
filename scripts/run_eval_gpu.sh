#!/usr/bin/env bash
# Restore and score on an NVIDIA GPU: bash scripts/run_eval_gpu.sh [CONFIG]; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single eval gpu "$@"

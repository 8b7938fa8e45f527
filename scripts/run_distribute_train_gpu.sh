#!/usr/bin/env bash
# Train on several NVIDIA devices: bash scripts/run_distribute_train_gpu.sh CONFIG; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_distributed gpu "$@"

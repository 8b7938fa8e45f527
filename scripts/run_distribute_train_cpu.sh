#!/usr/bin/env bash
# Train on several processes of a CPU: bash scripts/run_distribute_train_cpu.sh CONFIG; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_distributed cpu "$@"

#!/usr/bin/env bash
# Train on a CPU: bash scripts/run_standalone_train_cpu.sh CONFIG; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single train cpu "$@"

#!/usr/bin/env bash
# Train on an Ascend device: bash scripts/run_standalone_train_ascend.sh CONFIG; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single train ascend "$@"

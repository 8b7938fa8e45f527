#!/usr/bin/env bash
# Train on several Ascend devices: bash scripts/run_distribute_train_ascend.sh CONFIG; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_distributed ascend "$@"

#!/usr/bin/env bash
# Train on a CPU: bash scripts/run_standalone_train_cpu.sh CONFIG; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single train cpu "usage: bash scripts/run_standalone_train_cpu.sh CONFIG [options] [key=value ...]
Train on a CPU.

  --dry-run        print environment and command, and start nothing
  --help
All else goes to train.py, such as --resume and --output FOLDER; see python train.py --help." "$@"

#!/usr/bin/env bash
# Train on an NVIDIA GPU: bash scripts/run_standalone_train_gpu.sh CONFIG; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single train gpu "usage: bash scripts/run_standalone_train_gpu.sh CONFIG [options] [key=value ...]
Train on an NVIDIA GPU.

  --device-id N    which one, default 0
  --dry-run        print environment and command, and start nothing
  --help
All else goes to train.py, such as --resume and --output FOLDER; see python train.py --help." "$@"

#!/usr/bin/env bash
# Write a trained network as MINDIR, or on Ascend AIR: bash scripts/run_export.sh [CONFIG]; see --help
set -euo pipefail
# shellcheck source=scripts/lib/launch.sh
. "$(dirname "$0")/lib/launch.sh"

run_single export "" "$@"

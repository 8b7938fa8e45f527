# shellcheck shell=bash
# What the run_*.sh scripts share: one process, or several by way of options.sh, placement.sh and ranks.sh.
# Sourced with `set -euo pipefail`; a script then calls one of run_single, run_distributed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script=$(basename "$0")

say() { echo "$script: $*" >&2; }
die() { say "error: $*"; exit 2; }

# need_value OPTION VALUE ...: refuse an option at the end of the line
need_value() { (($# > 1)) || die "$1: its value is missing; see --help."; }
need_number() { [[ $2 =~ ^[0-9]+$ ]] || die "$1 $2: expected a whole number."; }

# expand LIST: the numbers that 0,2,4-7 stands for, one a line; fails on anything else
expand() {
    local part
    for part in ${1//,/ }; do
        [[ $part =~ ^([0-9]+)(-([0-9]+))?$ ]] || return 1
        seq "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]:-${BASH_REMATCH[1]}}"
    done
}

# compress NUMBER ...: ascending numbers as 0-3,8
compress() {
    local text="" first=$1 last=$1 number
    for number in "${@:2}" end; do
        if [[ $number == $((last + 1)) ]]; then last=$number; continue; fi
        text+=",$first"
        ((last == first)) || text+="-$last"
        first=$number last=$number
    done
    echo "${text#,}"
}

# show COMMAND ...: as it could be typed
show() { printf ' %q' "$@" | cut -c2-; }


# One process

single_usage() {
    local where="" words="CONFIG" does examples
    case $device in
        ascend) where=" on an Ascend device" ;;
        gpu) where=" on an NVIDIA GPU" ;;
        cpu) where=" on a CPU" ;;
    esac
    case $program in
        train) does="Train$where." examples="--resume and --output FOLDER" ;;
        eval) words="[CONFIG]" examples="--checkpoint FILE and --gt FOLDER"
              does="Restore clips or reconstruct scenes$where, and score them; without CONFIG the demonstration scenes." ;;
        export) words="[CONFIG]" does="Write a trained network as a file for inference."
                examples="--checkpoint FILE, --output FILE and --device ascend --format air" ;;
    esac
    cat <<TEXT
usage: bash scripts/$script $words [options] [key=value ...]
$does

TEXT
    [[ $device != ascend && $device != gpu ]] || echo "  --device-id N    which one, default 0"
    cat <<TEXT
  --dry-run        print environment and command, and start nothing
  --help
All else goes to $program.py, such as $examples; see
python $program.py --help.
TEXT
}

# run_single PROGRAM DEVICE ARGUMENT ...: run train.py, eval.py or export.py; DEVICE may be empty
run_single() {
    local program=$1 device=$2 number="" dry="" config="" rest=()
    shift 2
    while (($#)); do
        case $1 in
            --help | -h) single_usage; exit 0 ;;
            --dry-run) dry=1 ;;
            --device-id) need_value "$@"; need_number "$1" "$2"; number=$2; shift ;;
            *.yaml | *.yml) if [[ -z $config && $1 != -* && $1 != *=* ]]; then config=$1; else rest+=("$1"); fi ;;
            *) rest+=("$1") ;;
        esac
        shift
    done
    [[ -n $config || $program != train ]] || die "name a configuration, such as configs/vrt/small_sr.yaml; see --help."
    local command=(python "$root/$program.py")
    [[ -z $config ]] || command+=(--config "$config")
    [[ -z $device ]] || command+=(--device "$device")
    command+=(${rest[@]+"${rest[@]}"})
    local environment=(PYTHONUNBUFFERED=1)
    [[ -z $number ]] || environment+=("DEVICE_ID=$number")
    if [[ -n $dry ]]; then
        echo "environment: ${environment[*]}"
        echo "command: $(show "${command[@]}")"
        exit 0
    fi
    exec env "${environment[@]}" "${command[@]}"
}


# Several processes

for part in options placement ranks; do
    # shellcheck source=/dev/null
    . "$root/scripts/lib/$part.sh"
done

# run_distributed DEVICE ARGUMENT ...: train on cpu, gpu or ascend
run_distributed() {
    device=$1
    shift
    defaults
    options "$@"
    place_ranks
    if [[ -n $dry ]]; then
        dry_run
        exit 0
    fi
    take_port
    trap 'interrupted=INT interruptions=$((interruptions + 1))' INT
    trap 'interrupted=TERM interruptions=$((interruptions + 1))' TERM
    start_ranks
    watch_ranks
}

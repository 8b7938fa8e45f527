# shellcheck shell=bash
# What the run_*.sh scripts share: one process, or several by way of options.sh, placement.sh and ranks.sh.
# Sourced with `set -euo pipefail`; a script then calls one of run_single, run_distributed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script=$(basename "$0")
# In a checkout train.py and its like lie at the root; an installed package is the root itself, and they are commands of it.
package=$root/src/mindrestore
[[ -d $package ]] || package=$root
called=${MINDRESTORE_CALLED:-bash scripts/$script}

say() { echo "$script: $*" >&2; }
die() { say "error: $*"; exit 2; }

# need_value OPTION VALUE ...: refuse an option at the end of the line, or one without a word of its own
need_value() {
    [[ $# -gt 1 && ${2:-} != --* ]] || die "$1: its value is missing; see --help."
    [[ -n $2 ]] || die "$1: its value is empty; see --help."
}

# need_number OPTION VALUE LEAST MOST; 08 is refused, as shells take it for an octal number
need_number() {
    [[ $2 =~ ^(0|[1-9][0-9]{0,5})$ && $2 -ge $3 && $2 -le $4 ]] ||
        die "$1 $2: expected a whole number from $3 to $4, without zeros before it."
}

most_devices=1024  # of a server; what is more is a slip of the hand

# expand LIST: the numbers that 0,2,4-7 stands for, one a line; fails on anything else
expand() {
    local part
    [[ $1 =~ ^[0-9-]+(,[0-9-]+)*$ ]] || return 1
    for part in ${1//,/ }; do
        [[ $part =~ ^(0|[1-9][0-9]{0,3})(-(0|[1-9][0-9]{0,3}))?$ ]] || return 1
        local from=${BASH_REMATCH[1]} to=${BASH_REMATCH[3]:-${BASH_REMATCH[1]}}
        ((from <= to && to < most_devices)) || return 1
        seq "$from" "$to"
    done
}

# read_mask: what devices a mask of the user or of a scheduler shows: variable, masked (1 if there is a mask), mask
read_mask() {
    variable="" masked="" mask=()
    case $device in
        gpu) variable=CUDA_VISIBLE_DEVICES ;;
        ascend) variable=ASCEND_RT_VISIBLE_DEVICES ;;
        *) return 0 ;;
    esac
    [[ -n ${!variable+set} ]] || return 0
    masked=1
    local each last=-1
    IFS=, read -ra mask <<<"${!variable}"
    if [[ $device == gpu ]]; then
        for each in "${!mask[@]}"; do
            mask[each]=${mask[each]//[[:space:]]/}
            [[ ${mask[each]} =~ ^([0-9]+|(GPU|MIG)-[0-9A-Za-z/-]+)$ ]] || { mask=("${mask[@]:0:each}"); break; }  # as CUDA does
        done
    else
        for each in ${mask[@]+"${mask[@]}"}; do
            [[ $each =~ ^(0|[1-9][0-9]{0,3})$ && $each -gt $last ]] ||
                die "$variable=${!variable}: expected ascending numbers with commas between, such as 4,5,6,7."
            last=$each
        done
    fi
    ((${#mask[@]})) || die "$variable=${!variable}: it hides every device; name some there, or unset it."
}

# need_shown OPTION NUMBER: refuse a device that the mask does not show
need_shown() {
    [[ -z $masked ]] || (($2 < ${#mask[@]})) ||
        die "$1: $variable=${!variable} shows ${#mask[@]} devices, which are numbered from 0 to $((${#mask[@]} - 1)) here."
}

# set_program NAME: sets program_words to what python runs train.py, eval.py or export.py by
set_program() {
    program_words=("$root/$1.py")
    [[ -f ${program_words[0]} ]] || program_words=(-m mindrestore "$1")
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
usage: $called $words [options] [key=value ...]
$does

TEXT
    [[ $device != ascend && $device != gpu ]] || echo "  --device-id N    which one of those that are visible, default 0"
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
            --device-id) need_value "$@"; need_number "$1" "$2" 0 $((most_devices - 1)); number=$2; shift ;;
            *.yaml | *.yml) if [[ -z $config && $1 != -* && $1 != *=* ]]; then config=$1; else rest+=("$1"); fi ;;
            -* | *=*) rest+=("$1") ;;
            *) if [[ -z $config && ${#rest[@]} -eq 0 ]]; then config=$1; else rest+=("$1"); fi ;;  # the name of one that ships
        esac
        shift
    done
    [[ -n $config || $program != train ]] || die "name a configuration, such as configs/vrt/small_sr.yaml; see --help."
    set_program "$program"
    local command=(python "${program_words[@]}")
    [[ -z $config ]] || command+=(--config "$config")
    [[ -z $device ]] || command+=(--device "$device")
    command+=(${rest[@]+"${rest[@]}"})
    local environment=(PYTHONUNBUFFERED=1)
    if [[ -n $number ]]; then
        [[ $device == gpu || $device == ascend ]] || die "--device-id $number: goes with the scripts for Ascend and GPU."
        read_mask
        need_shown "--device-id $number" "$number"
        environment+=("DEVICE_ID=$number")
    fi
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
    command -v python >/dev/null || die "python: not on PATH; activate the environment that has MindSpore."
    refuse_many_launchers
    read_mask
    place_ranks
    trap let_port_go EXIT
    [[ -n $dry && -n $port ]] || take_port
    if [[ -n $dry ]]; then
        dry_run
        exit 0
    fi
    trap 'interrupted=INT interruptions=$((interruptions + 1))' INT
    trap 'interrupted=TERM interruptions=$((interruptions + 1))' TERM
    start_ranks
    watch_ranks
}

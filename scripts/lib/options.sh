# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other files that launch.sh sources
# What a user may say to a launcher of several processes: usage, defaults, options.

distributed_usage() {
    cat <<TEXT
usage: $called CONFIG [options] [key=value ...]
Train on several devices: one process each, on equal shares of every batch (training.batch_size is the total).

  --devices N          devices a server uses; default: $default_devices
TEXT
    [[ $device == cpu ]] || cat <<TEXT
  --device-ids LIST    which ones, such as 0,2,4-7; default: the first. $variable counts: device 0 is
                       the first one that it shows, and it alone says how many there are
TEXT
    cat <<TEXT
  --servers N          servers; start this script on each of them, default 1
  --server-index I     which of them this is, from 0
  --address HOST       of server 0, as the others reach it; default 127.0.0.1, with a rank table its first server
  --port P             of server 0; default: a free one, for several servers 8118
TEXT
    [[ $device != ascend ]] || cat <<TEXT
  --rank-table FILE    addresses of the devices; made for one server if not given, for several see
                       scripts/generate_rank_table.py; none leaves them to Ascend's own search
  --any-devices        also such sets of devices as an Atlas 800 training server cannot connect
TEXT
    cat <<TEXT
  --log-dir FOLDER     one log a rank; default logs/ and the configuration's name. Where servers share it, a rank that
                       dies on one stops the others at once
  --grace SECONDS      ranks have after Ctrl-C to finish their step and save; default 60
  --resume             go on with the run in the output folder; the number of devices may differ
  --output FOLDER      of the run
  --dry-run            print every rank's environment and command, and start nothing
  --help
TEXT
}

defaults() {
    default_devices=2
    case $device in
        gpu) default_devices=$(nvidia-smi -L 2>/dev/null | grep -c ^GPU || true)
             ((default_devices)) || default_devices=8 ;;
        ascend) default_devices=8 ;;
    esac
    variable=CUDA_VISIBLE_DEVICES
    [[ $device != ascend ]] || variable=ASCEND_RT_VISIBLE_DEVICES
    config="" count="" list="" ids=() servers=1 server=0 address="" port="" logs="" table="" no_table="" any="" dry="" grace=60
    flags=() settings=() interrupted="" interruptions=0 holder=""
}

options() {
    while (($#)); do
        case $1 in
            --help | -h) distributed_usage; exit 0 ;;
            --dry-run) dry=1 ;;
            --any-devices) any=1 ;;
            --resume) flags+=("$1") ;;
            --output) need_value "$@"; flags+=("$1" "$2"); shift ;;
            --devices) need_value "$@"; need_number "$1" "$2" 1 "$most_devices"; count=$2; shift ;;
            --device-ids) need_value "$@"; list=$2; shift ;;
            --servers) need_value "$@"; need_number "$1" "$2" 1 4096; servers=$2; shift ;;
            --server-index) need_value "$@"; need_number "$1" "$2" 0 4095; server=$2; shift ;;
            --address) need_value "$@"; address=$2; shift ;;
            --port) need_value "$@"; need_number "$1" "$2" 1024 65535; port=$2; shift ;;
            --start) need_value "$@"; refuse_start "$2"; shift ;;
            --rank-table) need_value "$@"; table=$2; shift ;;
            --log-dir) need_value "$@"; logs=$2; shift ;;
            --grace) need_value "$@"; need_number "$1" "$2" 0 86400; grace=$2; shift ;;
            -*) die "$1: unknown option; see --help." ;;
            *=*) settings+=("$1") ;;
            *) [[ -z $config ]] || die "$1: a second configuration; settings are written key=value."
               config=$1 ;;
        esac
        shift
    done
    [[ -n $config ]] || die "name a configuration, such as configs/revsci/small_cpu.yaml; see --help."
    find_config
    ((server < servers)) || die "--server-index $server: expected 0 to $((servers - 1)) of --servers $servers."
    [[ -z $table || $device == ascend ]] || die "--rank-table $table: only Ascend devices have one; leave it away."
    if [[ $table == none ]]; then table="" no_table=1; fi
    [[ -z $any || $device == ascend ]] || die "--any-devices: goes with Ascend; leave it away."
    [[ -z $list || $device != cpu ]] || die "--device-ids: a CPU's processes have no device numbers; give --devices."
    [[ -z $list ]] || read_ids
    ((servers == 1)) || : "${port:=8118}"
    [[ -n $logs ]] || logs=logs/$(basename "${config%.*}")
}

# find_config: make config the path of a file: itself, or the configuration that ships under this name
find_config() {
    local ships word=${config%.yaml}.yaml
    [[ ! -f $config ]] || return 0
    for ships in "$root"/configs/*/"${word##*/}"; do
        if [[ -f $ships && "/configs/${ships#"$root"/configs/}" == *"/$word" ]]; then
            config=$ships
            return 0
        fi
    done
    die "$config: no such configuration file; give the path of one, or the name of one that ships, of $root/configs."
}

read_ids() {
    local twice
    mapfile -t ids < <(expand "$list" || echo wrong)
    [[ " ${ids[*]} " != *" wrong "* ]] ||
        die "--device-ids $list: expected numbers and ascending ranges below $most_devices, such as 0,2,4-7."
    twice=$(printf '%s\n' "${ids[@]}" | sort | uniq -d | head -n 1)
    [[ -z $twice ]] || die "--device-ids $list: device $twice is named twice."
    [[ -z $count || $count == "${#ids[@]}" ]] || die "--devices $count: --device-ids names ${#ids[@]}."
}

# refuse_start HOW: msrun is how it starts anyway
refuse_start() {
    [[ $1 == msrun ]] || die "--start $1: MindSpore starts by msrun alone since 2.10, rank table or not; leave --start away."
}

# refuse_many_launchers: mpirun or srun may start one launcher a server, not several of one server
refuse_many_launchers() {
    local program place size
    read -r place size program < <(python "$package/runtime/starts.py") || true
    [[ -n $program ]] || return 0
    [[ $size == "$servers" ]] || die "$program started this script as $place of $size, and each would train by itself;" \
        "start it once, or once on each of $size servers with --servers $size."
    unset "${!OMPI_@}" "${!PMIX_@}" "${!PMI_@}"  # MindSpore would take its ranks for MPI's
}

# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other files that launch.sh sources
# What a user may say to a launcher of several processes: usage, defaults, options.

distributed_usage() {
    cat <<TEXT
usage: bash scripts/$script CONFIG [options] [key=value ...]
Train on several devices: one process each, on equal shares of every batch (training.batch_size is the total).

  --devices N          devices a server uses; default: $default_devices
TEXT
    [[ $device == cpu ]] || echo "  --device-ids LIST    which ones, such as 0,2,4-7; default: the first"
    cat <<TEXT
  --servers N          servers; start this script on each of them, default 1
  --server-index I     which of them this is, from 0
  --address HOST       of server 0, as the others reach it; default 127.0.0.1
  --port P             of server 0; default $default_port$([[ $device != cpu ]] || echo "; the next one is used too")
TEXT
    [[ $device != ascend ]] || cat <<TEXT
  --start HOW          rank-table (default) or msrun
  --rank-table FILE    made for one server if not given; for several see scripts/generate_rank_table.py
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
    start=msrun default_port=8118 default_devices=2
    case $device in
        gpu) default_devices=$(nvidia-smi -L 2>/dev/null | grep -c ^GPU || true)
             ((default_devices)) || default_devices=8 ;;
        ascend) start=rank-table default_port="8118, with a rank table 60000" default_devices=8 ;;
    esac
    config="" count="" ids=() servers=1 server=0 address=127.0.0.1 port="" logs="" table="" dry="" grace=60 flags=() settings=()
    interrupted="" interruptions=0
}

options() {
    local list=""
    while (($#)); do
        case $1 in
            --help | -h) distributed_usage; exit 0 ;;
            --dry-run) dry=1 ;;
            --resume) flags+=("$1") ;;
            --output) need_value "$@"; flags+=("$1" "$2"); shift ;;
            --devices) need_value "$@"; need_number "$1" "$2"; count=$2; shift ;;
            --device-ids) need_value "$@"; list=$2; shift ;;
            --servers) need_value "$@"; need_number "$1" "$2"; servers=$2; shift ;;
            --server-index) need_value "$@"; need_number "$1" "$2"; server=$2; shift ;;
            --address) need_value "$@"; address=$2; shift ;;
            --port) need_value "$@"; need_number "$1" "$2"; port=$2; shift ;;
            --start) need_value "$@"; start=$2; shift ;;
            --rank-table) need_value "$@"; table=$2; shift ;;
            --log-dir) need_value "$@"; logs=$2; shift ;;
            --grace) need_value "$@"; need_number "$1" "$2"; grace=$2; shift ;;
            -*) die "$1: unknown option; see --help." ;;
            *=*) settings+=("$1") ;;
            *) [[ -z $config ]] || die "$1: a second configuration; settings are written key=value."
               config=$1 ;;
        esac
        shift
    done
    [[ -n $config ]] || die "name a configuration, such as configs/revsci/small_cpu.yaml; see --help."
    [[ -f $config ]] || die "$config: no such configuration file."
    ((servers >= 1 && server < servers)) || die "--server-index $server: expected 0 to $((servers - 1)) of --servers $servers."
    [[ $start == msrun || ($start == rank-table && $device == ascend) ]] ||
        die "--start $start: expected msrun or, on Ascend, rank-table."
    [[ -z $table || $start == rank-table ]] || die "--rank-table $table: goes with --start rank-table, on Ascend."
    [[ -z $list || $device != cpu ]] || die "--device-ids: a CPU's processes have no device numbers; give --devices."
    if [[ -n $list ]]; then
        mapfile -t ids < <(expand "$list" || echo wrong)
        local twice
        twice=$(printf '%s\n' "${ids[@]}" | sort | uniq -d | head -n 1)
        [[ " ${ids[*]} " != *" wrong "* ]] || die "--device-ids $list: expected numbers and ranges such as 0,2,4-7."
        [[ -z $twice ]] || die "--device-ids $list: device $twice is named twice."
        [[ -z $count || $count == "${#ids[@]}" ]] || die "--devices $count: --device-ids names ${#ids[@]}."
    fi
    [[ $start == msrun ]] && : "${port:=8118}" || : "${port:=60000}"
    ((port >= 1024 && port <= 65520)) || die "--port $port: expected 1024 to 65520."
    [[ -n $logs ]] || logs=logs/$(basename "${config%.*}")
}

# shellcheck shell=bash
# What the run_*.sh scripts share: options, the dry run, starting ranks, watching them, stopping them.
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

# place_ranks: fill server_of, device_of (by rank), count, total, first, cores (by rank of this server)
place_ranks() {
    local rank
    server_of=() device_of=()
    if [[ -n $table ]]; then
        [[ -z $count && ${#ids[@]} == 0 ]] ||
            die "--rank-table $table: says which devices; leave --devices and --device-ids out."
        read_table
    else
        ((servers == 1)) || [[ $start == msrun ]] || die "$servers servers need a rank table, merged from one file of each" \
            "with scripts/generate_rank_table.py --merge; give --rank-table FILE, or --start msrun."
        : "${count:=$((${#ids[@]} > 0 ? ${#ids[@]} : default_devices))}"
        ((count)) || die "--devices 0: expected 1 or more."
        ((${#ids[@]})) || mapfile -t ids < <(seq 0 $((count - 1)))
        for ((rank = 0; rank < servers * count; rank++)); do
            server_of+=($((rank / count)))
            device_of+=("${ids[rank % count]}")
        done
    fi
    total=$((servers * count)) first=$((server * count))
    share_cores
}

read_table() {
    local lines rank index number
    lines=$(python "$root/scripts/generate_rank_table.py" --show "$table") || exit 2
    while read -r rank index number _; do
        server_of[rank]=$index device_of[rank]=$number
    done <<<"$lines"
    local in_table=$((server_of[${#server_of[@]} - 1] + 1))
    ((in_table == servers)) || die "--rank-table $table: has $in_table servers, --servers says $servers."
    count=$((${#server_of[@]} / servers))
    for rank in "${!server_of[@]}"; do
        ((server_of[rank] == rank / count)) || die "--rank-table $table: its servers have different numbers of devices."
    done
}

# share_cores: this server's cores in equal contiguous parts, or one core for several ranks where they do not suffice
share_cores() {
    local all=() index
    cores=()
    command -v taskset >/dev/null || return 0
    mapfile -t all < <(expand "$(taskset -cp $$ | sed 's/.*: //')")
    for ((index = 0; index < count; index++)); do
        if ((${#all[@]} < count)); then
            cores+=("${all[index % ${#all[@]}]}")
        else
            local from=$((index * ${#all[@]} / count)) to=$(((index + 1) * ${#all[@]} / count))
            cores+=("$(compress "${all[@]:from:to-from}")")
        fi
    done
    threads=$((${#all[@]} / count > 0 ? ${#all[@]} / count : 1))
}

# command_of_rank: settings last, which train.py takes in one row only
command_of_rank() {
    show python "$root/train.py" --config "$config" --device "$device" ${flags[@]+"${flags[@]}"} \
        ${settings[@]+"${settings[@]}"}
}

# environment_of_all: what every rank of this server has in its environment
environment_of_all() {
    echo PYTHONUNBUFFERED=1
    [[ -n ${OMP_NUM_THREADS:-} || ${#cores[@]} == 0 ]] || echo "OMP_NUM_THREADS=$threads"
    if [[ $device == ascend ]]; then
        echo "HCCL_CONNECT_TIMEOUT=${HCCL_CONNECT_TIMEOUT:-600}"
    fi
    if [[ $start == rank-table ]]; then
        echo "HCCL_IF_BASE_PORT=$port"
        echo "RANK_TABLE_FILE=${table:-$logs/rank_table.json}"
        echo "RANK_SIZE=$total"
        echo "DEVICE_NUM=$count"
    elif ((${#ids[@]})) && [[ $device != cpu ]]; then
        local visible=CUDA_VISIBLE_DEVICES
        [[ $device != ascend ]] || visible=ASCEND_RT_VISIBLE_DEVICES
        echo "$visible=$(IFS=,; echo "${ids[*]}")"
    fi
}

# environment_of RANK: what only this rank has; with msrun it is msrun that sets it
environment_of() {
    if [[ $start == rank-table ]]; then
        echo "RANK_ID=$1 DEVICE_ID=${device_of[$1]}"
    else
        echo "MS_ROLE=MS_WORKER MS_WORKER_NUM=$total MS_SCHED_HOST=$address MS_SCHED_PORT=$port MS_NODE_ID=$1" \
            "RANK_ID=$1 RANK_SIZE=$total DEVICE_ID=$(($1 % count))"
    fi
}

msrun_command() {
    msrun=(msrun "--worker_num=$total" "--local_worker_num=$count" "--master_addr=$address" "--master_port=$port"
        "--node_rank=$server" "--log_dir=$logs" --worker_log_name=rank --join=True
        "--tail_worker_log=$total")  # which is no rank's number: this script prints rank 0's log
}

dry_run() {
    local rank where common
    mapfile -t common < <(environment_of_all)
    for ((rank = 0; rank < total; rank++)); do
        where="on server ${server_of[rank]}"
        ((server_of[rank] != server)) || where="here on server $server, cores ${cores[rank % count]:-not bound}"
        echo "rank $rank: $where, device ${device_of[rank]}, log $logs/rank_$rank.log"
        echo "  environment: ${common[*]} $(environment_of "$rank")"
        echo "  command: $(command_of_rank)"
    done
    if [[ $start == msrun ]]; then
        msrun_command
        echo "started by: $(show "${msrun[@]}"), scheduler on server 0, log $logs/scheduler.log"
    elif [[ -z $table ]]; then
        echo "rank table: made before by: $(table_command)"
    fi
}

table_command() {
    show python "$root/scripts/generate_rank_table.py" --devices "$(IFS=,; echo "${ids[*]}")" --output "$logs/rank_table.json"
}

# take_port: hold the port against a second start for as long as this run lives; on a CPU ranks meet at the next one
take_port() {
    local taken=("$port") each holder lock
    [[ $device != cpu ]] || taken+=($((port + 1)))
    for each in "${taken[@]}"; do
        if command -v flock >/dev/null; then
            holder=${TMPDIR:-/tmp}/mindrestore-$UID-port-$each.lock
            exec {lock}>>"$holder"
            flock -n "$lock" || die "port $each: another run that was started here uses it; wait for its end, or give --port."
        fi
        if ((server == 0)) && [[ $start == msrun ]] && (exec 3<>"/dev/tcp/127.0.0.1/$each") 2>/dev/null; then
            die "port $each: a program on this server listens on it; give another with --port."
        fi
    done
}

start_ranks() {
    local rank common keeper command
    for command in python setsid $([[ $start == rank-table ]] || echo msrun); do
        command -v "$command" >/dev/null || die "$command: not on PATH; activate the environment that has MindSpore."
    done
    mkdir -p "$logs"
    ((server != 0)) || rm -f "$logs"/scheduler.{log,pid,status}
    for ((rank = first; rank < first + count; rank++)); do rm -f "$logs/rank_$rank".{log,pid,status}; done
    began=$logs/.began-server-$server
    : >"$began"
    if [[ $start == rank-table && -z $table ]]; then
        eval "$(table_command)" || exit 2
    fi
    run_id=$$-$(date +%s%N)
    mapfile -t common < <(environment_of_all)
    common+=("MINDRESTORE_RUN=$run_id")
    keeper=("$root/scripts/lib/rank.py" --folder "$logs" --launcher $$)
    ((${#cores[@]} == 0)) || keeper+=(--cores "$(IFS=';'; echo "${cores[*]}")")
    command=$(command_of_rank)
    eval "keeper+=($command)"
    say "$total ranks on $servers servers, of which $count here; logs are $logs/rank_*.log"
    if [[ $start == msrun ]]; then
        msrun_command
        env "${common[@]}" setsid "${msrun[@]}" "${keeper[@]}" </dev/null >"$logs/msrun_$server.log" 2>&1 &
        starters=($!)
        disown "$!"  # or bash reports how it ended
        return
    fi
    starters=()
    for ((rank = first; rank < first + count; rank++)); do
        # shellcheck disable=SC2046  # two words are meant
        env "${common[@]}" $(environment_of "$rank") setsid python "${keeper[@]}" </dev/null >"$logs/rank_$rank.log" 2>&1 &
        starters+=($!)
        disown "$!"
    done
}

# watch_ranks: print rank 0's progress until all ranks of this server ended well, any rank died, or this script is stopped
watch_ranks() {
    start_printing "$logs/rank_$first.log"
    until [[ -n $interrupted ]] || dead_rank || all_ended; do
        if ! starters_run; then  # it may just have ended: look once more
            dead_rank || all_ended || break
        fi
        sleep 0.5 || true
    done
    if [[ -n $interrupted ]]; then
        say "stopping: ranks finish their step and save, for up to $grace s; Ctrl-C again kills them"
        stop_ranks "$grace"
        end_printing
        say "stopped by SIG$interrupted; no process is left"
        [[ $interrupted == INT ]] && exit 130 || exit 143
    elif dead_rank; then
        stop_ranks 10
        end_printing
        report_dead
    elif all_ended; then
        ((servers == 1)) || wait_for_starters 120  # the ranks of other servers may still need the scheduler
        stop_ranks 0
        end_printing
    else
        stop_ranks 10
        end_printing
        say "error: ${start} ended before its ranks. The last lines of its log:"
        tail -n 15 "$logs/$([[ $start == msrun ]] && echo "msrun_$server" || echo "rank_$first").log" >&2
        exit 1
    fi
}

# dead_rank: whether any rank ended with a status other than 0; sets dead and dead_status to the first that did
dead_rank() {
    local file status time earliest=""
    dead=""
    for file in "$logs"/rank_*.status; do
        [[ -f $file && ! $file -ot $began ]] || continue  # an older one is a former run's
        read -r status time <"$file" || continue
        if ((status != 0)) && [[ -z $earliest || $time -lt $earliest ]]; then
            dead=${file##*rank_} dead=${dead%.status} dead_status=$status earliest=$time
        fi
    done
    [[ -n $dead ]]
}

report_dead() {
    local how="status $dead_status"
    ((dead_status <= 128)) || how+=" (SIG$(kill -l $((dead_status - 128))))"
    say "error: rank $dead of $total ended with $how; the others were stopped. The last lines of $logs/rank_$dead.log:"
    tail -n 15 "$logs/rank_$dead.log" >&2 || true
    exit "$dead_status"
}

all_ended() {
    local rank
    for ((rank = first; rank < first + count; rank++)); do [[ -f $logs/rank_$rank.status ]] || return 1; done
}

starters_run() {
    local pid
    for pid in "${starters[@]}"; do
        ! kill -0 "$pid" 2>/dev/null || return 0
    done
    return 1
}

wait_for_starters() {
    local end=$((SECONDS + $1))
    while starters_run && ((SECONDS < end)); do sleep 0.2 || true; done
}

# processes: all of this run that live, whoever their parent is now
processes() { grep -lzx "MINDRESTORE_RUN=$run_id" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true; }

ranks_run() {
    local rank pid
    for ((rank = first; rank < first + count; rank++)); do
        [[ -f $logs/rank_$rank.pid && ! -f $logs/rank_$rank.status ]] || continue
        read -r pid <"$logs/rank_$rank.pid"
        ! kill "${1:--0}" "$pid" 2>/dev/null || running=1
    done
    [[ -n ${running:-} ]]
}

# stop_ranks SECONDS: ask the ranks to end, wait so long, kill what is left
stop_ranks() {
    local end=$((SECONDS + $1)) seen=$interruptions left running="" round
    ranks_run -TERM || true
    while running="" && ranks_run && ((SECONDS < end && interruptions == seen)); do sleep 0.2 || true; done
    for ((round = 0; round < 50; round++)); do
        mapfile -t left < <(processes)
        ((${#left[@]})) || return 0
        kill -KILL "${left[@]}" 2>/dev/null || true
        sleep 0.1 || true
    done
    say "cannot be killed: processes ${left[*]}"
}

# start_printing LOG: print it as it grows, to its last line when end_printing is called
start_printing() {
    tail -f "--pid=$$" /dev/null &  # lives until it is killed, or this script is
    printing=$!
    disown "$printing"
    tail -n +1 -F -s 0.2 "--pid=$printing" "$1" 2>/dev/null &
    printer=$!
}

end_printing() {
    kill "$printing" 2>/dev/null || true
    wait "$printer" 2>/dev/null || true  # once more to the end of the log, and it ends
}

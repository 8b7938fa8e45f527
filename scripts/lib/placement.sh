# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other files that launch.sh sources
# Which rank runs where, on which cores, in what environment, by what command; the dry run shows it.

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

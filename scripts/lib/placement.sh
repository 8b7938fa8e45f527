# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other files that launch.sh sources
# Which rank runs where, on which cores, in what environment, by what command; the dry run shows it.

# place_ranks: fill server_of, device_of (by rank), here (devices of this server), count, total, first, cores (of its ranks)
place_ranks() {
    local rank
    server_of=() device_of=() here=()
    if [[ -n $table ]]; then
        [[ -z $count && ${#ids[@]} == 0 ]] ||
            die "--rank-table $table: says which devices; leave --devices and --device-ids out."
        read_table
    else
        ((servers == 1)) || [[ -n $address ]] || die "--servers $servers: say where server 0 is, with --address HOST."
        choose_devices
        for ((rank = 0; rank < servers * count; rank++)); do
            server_of+=($((rank / count)))
            device_of+=("${here[rank % count]}")
        done
    fi
    : "${address:=127.0.0.1}"
    total=$((servers * count)) first=$((server * count))
    [[ $device != ascend || -n $any ]] ||
        python "$root/scripts/generate_rank_table.py" --check-devices --devices "$(commas "${here[@]}")" || exit 2
    share_cores
}

# commas WORD ...: with commas between
commas() { local IFS=,; echo "$*"; }

# choose_devices: the devices of this server as its mask numbers them, or as the machine does
choose_devices() {
    local id slices
    : "${count:=${#ids[@]}}"
    ((count)) || count=$([[ -n $masked ]] && echo ${#mask[@]} || echo "$default_devices")
    ((${#ids[@]})) || mapfile -t ids < <(seq 0 $((count - 1)))
    [[ $device != ascend ]] || mapfile -t ids < <(printf '%s\n' "${ids[@]}" | sort -n)  # its mask has to ascend
    for id in "${ids[@]}"; do
        need_shown "$([[ -n $list ]] && echo "--device-ids $list" || echo "--devices $count")" "$id"
        here+=("$([[ -n $masked ]] && echo "${mask[id]}" || echo "$id")")
    done
    slices=$(printf '%s\n' "${here[@]}" | grep -c ^MIG- || true)
    ((count == 1 || slices == 0)) ||
        die "$variable=${!variable}: a process sees only the first MIG slice; take whole GPUs, or --devices 1."
}

read_table() {
    local lines rank index number host
    lines=$(python "$root/scripts/generate_rank_table.py" --show "$table") || exit 2
    while read -r rank index number host; do
        server_of[rank]=$index device_of[rank]=$number
        : "${address:=$host}"
        ((index != server)) || here+=("$number")
    done <<<"$lines"
    local in_table=$((server_of[${#server_of[@]} - 1] + 1))
    ((in_table == servers)) || die "--rank-table $table: has $in_table servers, --servers says $servers."
    ((servers > 1)) || address=127.0.0.1
    count=$((${#server_of[@]} / servers))
    for rank in "${!server_of[@]}"; do
        ((server_of[rank] == rank / count)) || die "--rank-table $table: its servers have different numbers of devices."
    done
    for number in "${here[@]}"; do
        [[ -z $masked || " ${mask[*]} " == *" $number "* ]] ||
            die "--rank-table $table: has device $number, which $variable=${!variable} hides."
    done
}

# share_cores: this server's cores, by the nodes of its memory
share_cores() {
    local of node fewest=""
    cores=() nodes=()
    while read -r of node; do
        cores+=("$of") nodes+=("$node")
    done < <(python "$root/scripts/lib/cores.py" --count "$count" --kind "$device" --devices "$(commas "${here[@]}")")
    ((${#cores[@]} == count)) || die "the cores of this server cannot be shared out among $count ranks; see above."
    for of in "${cores[@]}"; do
        of=$(expand "$of" | wc -l)
        [[ -n $fewest ]] && ((fewest <= of)) || fewest=$of
    done
    threads=$fewest
}

# command_of_rank: settings last, which train.py takes in one row only
command_of_rank() {
    set_program train
    show python "${program_words[@]}" --config "$config" --device "$device" ${flags[@]+"${flags[@]}"} \
        ${settings[@]+"${settings[@]}"}
}

# environment_of_all: what every rank of this server has in its environment
environment_of_all() {
    echo PYTHONUNBUFFERED=1
    [[ -n ${OMP_NUM_THREADS:-} ]] || echo "OMP_NUM_THREADS=$threads"
    [[ $device != ascend ]] || echo "HCCL_CONNECT_TIMEOUT=${HCCL_CONNECT_TIMEOUT:-600}"
    [[ $device != ascend && -z $masked && -z $list ]] || echo "$variable=$(commas "${here[@]}")"
}

# environment_of RANK: what only this rank has; it is msrun that sets it
environment_of() {
    echo "MS_ROLE=MS_WORKER MS_WORKER_NUM=$total MS_SCHED_HOST=$address MS_SCHED_PORT=$port MS_NODE_ID=$1" \
        "RANK_ID=$1 RANK_SIZE=$total DEVICE_ID=$(($1 % count))" ${table:+"RANK_TABLE_FILE=$table"}
}

msrun_command() {
    msrun=(msrun "--worker_num=$total" "--local_worker_num=$count" "--master_addr=$address" "--master_port=$port"
        "--node_rank=$server" "--log_dir=$logs" --worker_log_name=rank --join=True
        "--tail_worker_log=$total")  # which is no rank's number: this script prints rank 0's log
    [[ -z $table ]] || msrun+=("--rank_table_file=$table")
}

dry_run() {
    local rank where common made=""
    if makes_table; then made=1 table=$logs/rank_table.json; fi
    mapfile -t common < <(environment_of_all)
    for ((rank = 0; rank < total; rank++)); do
        where="on server ${server_of[rank]}"
        ((server_of[rank] != server)) ||
            where="here on server $server, cores ${cores[rank % count]} of NUMA node ${nodes[rank % count]}"
        echo "rank $rank: $where, device ${device_of[rank]}, log $logs/rank_$rank.log"
        echo "  environment: ${common[*]} $(environment_of "$rank")"
        echo "  command: $(command_of_rank)"
    done
    msrun_command
    [[ -z $made ]] || echo "rank table: made before by: $(table_command)"
    echo "started by: $(show "${msrun[@]}"), scheduler on server 0, log $logs/scheduler.log"
}

# makes_table: whether this script makes the table itself, as it can for one server
makes_table() { [[ $device == ascend && -z $table && -z $no_table && $servers == 1 ]]; }

table_command() {
    show python "$root/scripts/generate_rank_table.py" --devices "$(commas "${here[@]}")" ${any:+--any-devices} \
        --output "$logs/rank_table.json"
}

# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other files that launch.sh sources
# Ranks of this server: holding their port, starting them, watching them, printing rank 0's log, stopping them.

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

# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other files that launch.sh sources
# Ranks of this server: holding their port, starting them, watching them, printing rank 0's log, stopping them.

# take_port: find the scheduler a port, or hold the one that was given, for as long as this script lives
take_port() {
    ((server == 0)) || return 0
    exec {held}< <(exec python "$root/scripts/lib/port.py" --launcher $$ ${port:+--port "$port"} 2>&1)
    holder=$!
    read -r port <&"$held" || true
    [[ $port =~ ^[0-9]+$ ]] || die "${port:-no free port was found; give one with --port.}"
}

let_port_go() {
    [[ -z $holder ]] || kill "$holder" 2>/dev/null || return 0
    [[ -z $holder ]] || wait "$holder" 2>/dev/null || true
}

start_ranks() {
    local rank common keeper command
    for command in setsid msrun; do
        command -v "$command" >/dev/null || die "$command: not on PATH; activate the environment that has MindSpore."
    done
    mkdir -p "$logs"
    ((server != 0)) || rm -f "$logs"/scheduler.{log,pid,status}
    for ((rank = first; rank < first + count; rank++)); do rm -f "$logs/rank_$rank".{log,pid,status}; done
    began=$logs/.began-server-$server
    : >"$began"
    if makes_table; then
        eval "$(table_command)" || die "no rank table; mend what is said above, or start without one by --rank-table none."
        table=$logs/rank_table.json
    fi
    run_id=$$-$(date +%s%N)
    mapfile -t common < <(environment_of_all)
    common+=("MINDRESTORE_RUN=$run_id")
    keeper=("$root/scripts/lib/rank.py" --folder "$logs" --launcher $$ --cores "$(IFS=';'; echo "${cores[*]}")")
    command=$(command_of_rank)
    eval "keeper+=($command)"
    say "$total ranks on $servers servers, of which $count here; logs are $logs/rank_*.log"
    msrun_command
    env "${common[@]}" setsid "${msrun[@]}" "${keeper[@]}" </dev/null >"$logs/msrun_$server.log" 2>&1 &
    starter=$!
    disown "$!"  # or bash reports how it ended
}

# watch_ranks: print rank 0's progress until all ranks of this server ended well, a rank or the scheduler died, or this
# script is stopped
watch_ranks() {
    start_printing "$logs/rank_$first.log"
    until [[ -n $interrupted ]] || dead_rank || all_ended || dead_scheduler; do
        if ! starter_runs; then  # it may just have ended: look once more
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
        report "$dead_status" "$logs/rank_$dead.log" \
            "rank $dead of $total ended with $(named "$dead_status"); the others were stopped"
    elif all_ended; then
        ((servers == 1)) || wait_for_starter 120  # the ranks of other servers may still need the scheduler
        stop_ranks 0
        end_printing
    elif dead_scheduler; then
        report 1 "$logs/scheduler.log" \
            "the scheduler ended with $(named "$scheduler_status") before the ranks, which were stopped"
    else
        report 1 "$logs/msrun_$server.log" "msrun ended before its ranks"
    fi
}

# report STATUS LOG WORDS: stop the ranks, say why, show what in a log tells more, and end
report() {
    stop_ranks 10
    end_printing
    say "error: $3. What $2 says of it:"
    python "$root/scripts/lib/errors.py" "$2" >&2 || true
    exit "$1"
}

# named STATUS: and the signal it stands for
named() { echo "status $1$( (($1 <= 128)) || echo " (SIG$(kill -l $(($1 - 128))))")"; }

# read_status FILE: what a process left there when it ended: status, time. Others may write into a folder of logs that is
# shared, so that it is read as data: what is no number is as good as not there, and so is what a former run left
read_status() {
    [[ -f $1 && ! $1 -ot $began ]] && read -r status time <"$1" || return 1
    [[ $status =~ ^(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$ && $time =~ ^[1-9][0-9]{0,18}$ ]]
}

# dead_rank: whether any rank ended with a status other than 0; sets dead and dead_status to the first that did
dead_rank() {
    local file rank status time earliest=""
    dead=""
    for file in "$logs"/rank_*.status; do
        rank=${file##*/rank_} rank=${rank%.status}
        if [[ $rank =~ ^(0|[1-9][0-9]{0,6})$ ]] && read_status "$file" && ((status != 0)) &&
            [[ -z $earliest || $time -lt $earliest ]]; then
            dead=$rank dead_status=$status earliest=$time
        fi
    done
    [[ -n $dead ]]
}

# dead_scheduler: whether it ended with an error, or well but long before the ranks, which it outlives otherwise
dead_scheduler() {
    local status time
    read_status "$logs/scheduler.status" || return 1
    scheduler_status=$status
    ((status != 0 || $(date +%s) - time / 1000000000 > 15))
}

all_ended() {
    local rank status time
    for ((rank = first; rank < first + count; rank++)); do read_status "$logs/rank_$rank.status" || return 1; done
}

starter_runs() { kill -0 "$starter" 2>/dev/null; }

wait_for_starter() {
    local end=$((SECONDS + $1))
    while starter_runs && ((SECONDS < end)); do sleep 0.2 || true; done
}

# processes: all of this run that live, whoever their parent is now
processes() { grep -lzx "MINDRESTORE_RUN=$run_id" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true; }

# ranks_run [SIGNAL]: whether ranks of this server run; a number in a shared folder counts only for a process of this run
ranks_run() {
    local rank pid running=""
    for ((rank = first; rank < first + count; rank++)); do
        [[ -f $logs/rank_$rank.pid && ! -f $logs/rank_$rank.status ]] || continue
        read -r pid <"$logs/rank_$rank.pid" || true
        if [[ $pid =~ ^[1-9][0-9]{0,9}$ ]] && grep -qzx "MINDRESTORE_RUN=$run_id" "/proc/$pid/environ" 2>/dev/null &&
            kill "${1:--0}" "$pid" 2>/dev/null; then
            running=1
        fi
    done
    [[ -n $running ]]
}

# stop_ranks SECONDS: ask the ranks to end, wait so long, kill what is left
stop_ranks() {
    local end=$((SECONDS + $1)) seen=$interruptions left round
    ranks_run -TERM || true
    while ranks_run && ((SECONDS < end && interruptions == seen)); do sleep 0.2 || true; done
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

#!/bin/sh
# Carries out steps of setup.sh, each in a job that outlives the connection and runs once. Jobs are folders in jobs/.
#   start JOB STEP SECONDS DIGEST   start a job unless it was started before, and show its state
#   look                            show the state of each job: name, state, exit status, digest, seconds, last line
#   read JOB                        print what a job has written: the beginning, and the end if it is long
set -u
umask 077
cd "$(dirname "$0")" || exit 1
BEGINNING=524288 # bytes
END=131072

state_of() {
    job=jobs/$1 exit=- state=running until=$(date +%s)
    if [ ! -d "$job/started" ]; then state=new
    elif [ ! -f "$job/exit" ] && flock -n "$job/lock" true && [ ! -f "$job/exit" ]; then state=died # killed, or a reboot
    fi
    if [ -f "$job/exit" ]; then state=ended exit=$(cat "$job/exit") until=$(stat -c %Y "$job/exit"); fi
    since=$until
    [ ! -d "$job/started" ] || since=$(stat -c %Y "$job/started")
    last=$(tail -c 400 "$job/log" 2>/dev/null | tr -d '\r\000' | tail -n 1 | cut -c 1-200)
    printf 'job %s %s %s %s %s %s\n' "$1" "$state" "$exit" "$(cat "$job/digest" 2>/dev/null)" "$((until - since))" "$last"
}

case ${1-} in
start)
    mkdir -p "jobs/$2" && echo "$5" >"jobs/$2/digest" || exit 1
    if [ ! -d "jobs/$2/started" ]; then
        unit=envagent-$(basename "$PWD")-$2
        if [ -d /run/systemd/system ] && sudo -n true 2>/dev/null; then
            sudo -n systemd-run --quiet --collect --unit="$unit" --uid="$(id -u)" --gid="$(id -g)" \
                --setenv=HOME="$HOME" --setenv=USER="$(id -un)" --setenv=LANG=C.UTF-8 \
                sh "$PWD/supervise.sh" carry "$2" "$3" "$4" >&2
        else
            setsid nohup sh ./supervise.sh carry "$2" "$3" "$4" >/dev/null 2>&1 </dev/null &
        fi
        for pause in 0.1 0.2 0.2 0.5 1 2 3 3; do
            [ ! -d "jobs/$2/started" ] || break
            sleep $pause
        done
        [ -d "jobs/$2/started" ] || exit 1
    fi
    state_of "$2"
    ;;
carry) # whoever holds the lock and makes the folder runs the job; there is only one
    job=jobs/$2
    exec 9>"$job/lock"
    flock -n 9 || exit 0
    mkdir "$job/started" 2>/dev/null || exit 0
    echo $$ >"$job/pid"
    {
        timeout -k 10 "$4" sh -c 'exec 9>&-; exec bash ./setup.sh "$1"' sh "$3" </dev/null
        echo $? >"$job/exit.part" && mv "$job/exit.part" "$job/exit"
    } 2>&1 | { stdbuf -o0 head -c "$BEGINNING" >"$job/log"; tail -c "$END" >"$job/end"; } 9>&-
    ;;
look)
    for job in jobs/*/; do
        [ ! -d "$job" ] || state_of "$(basename "$job")"
    done
    ;;
read)
    cat "jobs/$2/log" 2>/dev/null
    if [ -s "jobs/$2/end" ]; then printf '\n[... only the end follows]\n' && cat "jobs/$2/end"; fi
    ;;
*) exit 2 ;;
esac

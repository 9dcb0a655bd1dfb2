# Sourced by the fakes virsh, virt-install and qemu-img. They share one world, the folder
# $FAKE_DIR: `domains/UUID/` holds name, state, persistent and xml; `pools/UUID/` holds
# name and folder; `calls` gets a line per call. It does not
# model libvirt's checks: it stores its input and prints it in the form of tests/fixtures/virsh.
#
# Faults: `at` contains "MODE 7" for the 7th act (see `act`), or "MODE 7+" for that act and
# all later ones; wild-before and wild-after run the shell script `wild` before or after the
# act; `answers/PROGRAM-VERB.rc` (with .out and .err) is replayed instead; as long as
# `answers/PROGRAM-VERB.hang` exists, the call does not answer. Kill tests: `hold` contains
# "before 7" or "after 7", and the 7th act stops at a fifo until a process writes there.

say() { printf '%s\n' "$*"; }
log() { say "$*${N_VM_TOKEN:+ and a TOKEN}${OPENSVC_SID:+ and a SID}" >>"$FAKE_DIR/calls"; }

# Waits at the fifo if `hold` names this point.
stop_at() { # before|after
    [ -e "$FAKE_DIR/hold" ] || return 0
    read -r when which <"$FAKE_DIR/hold"
    [ "$when $which" = "$1 $act" ] || return 0
    say $$ >"$FAKE_DIR/held.new"
    mv "$FAKE_DIR/held.new" "$FAKE_DIR/held"
    read -r _ <"$FAKE_DIR/fifo"
}

# Runs a command as the next act.
act() {
    act=0
    [ ! -e "$FAKE_DIR/acts" ] || read -r act <"$FAKE_DIR/acts"
    act=$((act + 1))
    say "$act" >"$FAKE_DIR/acts"
    this=$act
    stop_at before
    code=0
    moment "$@"
    case $mode in
        fail-before) code=1 ;;
        kill-before) end_parent; exit 1 ;;
        orphan-before) end_parent; "$@" || code=$? ;;
        fail-after) "$@"; code=1 ;;
        kill-after) "$@"; end_parent; exit 1 ;;
        twice) "$@"; "$@" || code=$? ;;
        wild-before) exec sh "$FAKE_DIR/wild" ;;
        wild-after) "$@" >/dev/null; exec sh "$FAKE_DIR/wild" ;;
        *) "$@" || code=$? ;;
    esac
    act=$this
    stop_at after
    return $code
}

# Replays the test's answer for this program and verb.
answered() { # PROGRAM-VERB
    answer=$FAKE_DIR/answers/$1
    if [ -e "$answer.hang" ]; then
        while [ -e "$answer.hang" ]; do sleep 0.2; done
        exit 1
    fi
    [ -e "$answer.rc" ] || return 0
    [ ! -e "$answer.out" ] || cat "$answer.out"
    [ ! -e "$answer.err" ] || cat "$answer.err" >&2
    read -r code <"$answer.rc"
    exit "$code"
}

fail() { printf 'error: %s\n' "$@" >&2; exit 1; }

# The fault of `at` for this act: it has its own count, which a test can read.
moment() {
    mode=
    [ -e "$FAKE_DIR/at" ] || return 0
    read -r wanted number <"$FAKE_DIR/at"
    case $number in
        *+) [ "$act" -ge "${number%+}" ] || return 0 ;;
        *) [ "$act" = "$number" ] || return 0 ;;
    esac
    mode=$wanted
    say "$mode $number $*" >"$FAKE_DIR/happened"
}
end_parent() { kill -9 "$PPID"; }

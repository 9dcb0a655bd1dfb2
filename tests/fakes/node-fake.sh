# Sourced by the fakes virsh, virt-install and qemu-img. They share one world, the folder
# $FAKE_DIR: `domains/UUID/` holds name, state, persistent and xml; `pools/UUID/` holds
# name and folder; `calls` gets a line per call. Nothing here is a mock of libvirt's
# judgement: it keeps what was said and prints it in the form of tests/fixtures/virsh.
#
# Faults: `at` says "MODE 7", and that is done at the 7th act (see `act`), with "MODE 7+" from
# then on; wild-before and wild-after are the shell script `wild`, with nothing or all done;
# `answers/PROGRAM-VERB.rc` (with .out and .err) is replayed instead; as long as there is an
# `answers/PROGRAM-VERB.hang`, that one does not answer. Kill tests: `hold` says "before 7" or
# "after 7", and the 7th act stops at a fifo until somebody writes there.

say() { printf '%s\n' "$*"; }
log() { say "$*${N_VM_TOKEN:+ and a TOKEN}${OPENSVC_SID:+ and a SID}" >>"$FAKE_DIR/calls"; }

# Waits at the fifo if this is the point of time that `hold` names.
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

# Replays what the test put down for this program and verb.
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

# What `at` wants of this act: it counts its own, so that a test can tell how many there are.
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

# shellcheck shell=bash
# bash completion of n_vm. Made from its help by tests/completions: do not edit.

_n_vm_ask() { # KIND PREFIX
    N_VM_VIRSH_TIMEOUT=1 command n_vm list 2>/dev/null | sed -n '1d;s/^\([A-Za-z0-9][A-Za-z0-9._-]*\)  .*/\1/p'
}

_n_vm_verb() { # PATH: sets verbs, options, words
    verbs='' options='' words=()
    case $1 in
        '')
            verbs='create start stop reboot pause unpause destroy status list config ips-command remote-log' options='--version -v --verbose --config --help'
            words=()
            ;;
        'create')
            verbs='' options='--dry-run --help'
            words=('' '')
            ;;
        'start')
            verbs='' options='--help'
            words=('@vms')
            ;;
        'stop')
            verbs='' options='--wait --timeout --force-after --help'
            words=('@vms' 'force')
            ;;
        'reboot')
            verbs='' options='--wait --timeout --help'
            words=('@vms' 'force')
            ;;
        'pause')
            verbs='' options='--help'
            words=('@vms')
            ;;
        'unpause')
            verbs='' options='--help'
            words=('@vms')
            ;;
        'destroy')
            verbs='' options='--keep-storage --dry-run --help'
            words=('@vms')
            ;;
        'status')
            verbs='' options='--json --help'
            words=('@vms')
            ;;
        'list')
            verbs='' options='--json --report --definitions --help'
            words=()
            ;;
        'config')
            verbs='' options='--help'
            words=('')
            ;;
        'ips-command')
            verbs='' options='--help'
            words=('' '')
            ;;
        'remote-log')
            verbs='' options='--help'
            words=('' '')
            ;;
    esac
}

_n_vm_value() { # OPTION: sets value; fails where it takes none
    case $1 in
        --config) value='@files' ;;
        --timeout) value='' ;;
        *) return 1 ;;
    esac
}

_n_vm_offer() { # WHAT PREFIX
    case $1 in
        '') ;;
        @files) compopt -o default 2>/dev/null ;;
        @*)
            while IFS=$'\t' read -r word _; do
                [[ $word != "$2"* ]] || COMPREPLY+=("$word")
            done < <(_n_vm_ask "${1#@}" "$2")
            ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
    esac
}

_n_vm() {
    local cur=${COMP_WORDS[COMP_CWORD]} given=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    local path='' at=0 pending='' is_plain='' word verbs options words value
    COMPREPLY=()
    case ${COMP_WORDS[0]##*/} in
        n_vm_create) given=(create "${given[@]}") ;;
        n_vm_start) given=(start "${given[@]}") ;;
        n_vm_stop) given=(stop "${given[@]}") ;;
        n_vm_reboot) given=(reboot "${given[@]}") ;;
        n_vm_pause) given=(pause "${given[@]}") ;;
        n_vm_unpause) given=(unpause "${given[@]}") ;;
        n_vm_destroy) given=(destroy "${given[@]}") ;;
        n_ips_command) given=(ips-command "${given[@]}") ;;
        n_remote_log) given=(remote-log "${given[@]}") ;;
    esac
    _n_vm_verb ''
    for word in "${given[@]}"; do
        if [[ -n $pending ]]; then
            pending=''
        elif [[ -z $is_plain && $word == -- ]]; then
            is_plain=yes
        elif [[ -z $is_plain && $word == -* ]]; then
            ! _n_vm_value "$word" || pending=$word
        elif [[ -n $verbs ]]; then
            path=${path:+$path }$word
            _n_vm_verb "$path"
        else
            at=$((at + 1))
        fi
    done
    if [[ -n $pending ]]; then
        _n_vm_value "$pending"
        _n_vm_offer "$value" "$cur"
    elif [[ -z $is_plain && $cur == -* ]]; then
        _n_vm_offer "$options" "$cur"
    else
        _n_vm_offer "${verbs:-${words[at]-}}" "$cur"
    fi
}

complete -F _n_vm n_vm n_vm_create n_vm_start n_vm_stop n_vm_reboot n_vm_pause n_vm_unpause n_vm_destroy n_ips_command n_remote_log

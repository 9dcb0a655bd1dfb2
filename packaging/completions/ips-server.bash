# shellcheck shell=bash
# bash completion of ips-server. Made from its help by tests/completions: do not edit.

_ips_server_ask() { # KIND PREFIX
    command o_vm __complete "$1" "$2" 2>/dev/null
}

_ips_server_verb() { # PATH: sets verbs, options, words
    verbs='' options='' words=()
    case $1 in
        '')
            verbs='serve nginx vm' options='--version -v --verbose --config --help'
            words=()
            ;;
        'serve')
            verbs='' options='--listen --help'
            words=()
            ;;
        'nginx')
            verbs='' options='--check --help'
            words=('@files')
            ;;
    esac
}

_ips_server_value() { # OPTION: sets value; fails where it takes none
    case $1 in
        --config) value='@files' ;;
        --listen) value='' ;;
        *) return 1 ;;
    esac
}

_ips_server_offer() { # WHAT PREFIX
    case $1 in
        '') ;;
        @files) compopt -o default 2>/dev/null ;;
        @*)
            while IFS=$'\t' read -r word _; do
                [[ $word != "$2"* ]] || COMPREPLY+=("$word")
            done < <(_ips_server_ask "${1#@}" "$2")
            ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
    esac
}

_ips_server() {
    local cur=${COMP_WORDS[COMP_CWORD]} given=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    local path='' at=0 pending='' is_plain='' word verbs options words value
    COMPREPLY=()
    if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} == vm ]]; then
        # shellcheck source=/dev/null
        declare -F _o_vm >/dev/null || . "${BASH_SOURCE[0]%/*}/o_vm"
        COMP_WORDS=(o_vm "${COMP_WORDS[@]:2}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _o_vm
        return
    fi
    _ips_server_verb ''
    for word in "${given[@]}"; do
        if [[ -n $pending ]]; then
            pending=''
        elif [[ -z $is_plain && $word == -- ]]; then
            is_plain=yes
        elif [[ -z $is_plain && $word == -* ]]; then
            ! _ips_server_value "$word" || pending=$word
        elif [[ -n $verbs ]]; then
            path=${path:+$path }$word
            _ips_server_verb "$path"
        else
            at=$((at + 1))
        fi
    done
    if [[ -n $pending ]]; then
        _ips_server_value "$pending"
        _ips_server_offer "$value" "$cur"
    elif [[ -z $is_plain && $cur == -* ]]; then
        _ips_server_offer "$options" "$cur"
    else
        _ips_server_offer "${verbs:-${words[at]-}}" "$cur"
    fi
}

complete -F _ips_server ips-server

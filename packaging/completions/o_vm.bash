# shellcheck shell=bash
# bash completion of o_vm. Made from its help by tests/completions: do not edit.

_o_vm_ask() { # KIND PREFIX
    command o_vm __complete "$1" "$2" 2>/dev/null
}

_o_vm_verb() { # PATH: sets verbs, options, words
    verbs='' options='' words=()
    case $1 in
        '')
            verbs='define create start stop reboot pause unpause destroy undefine list show status console set config nodes validate-node healthy-nodes release operations sweep export import backup restore adopt task log' options='--version -v --verbose --config --help'
            words=()
            ;;
        'define')
            verbs='' options='--id --name --cpus --ram --disk --net --title --description --reason --help'
            words=('@files')
            ;;
        'create')
            verbs='' options='--json --reason --help'
            words=('@vms' '@nodes')
            ;;
        'start')
            verbs='' options='--json --reason --help'
            words=('@vms')
            ;;
        'stop')
            verbs='' options='--wait --timeout --force-after --json --reason --help'
            words=('@vms' 'force')
            ;;
        'reboot')
            verbs='' options='--wait --timeout --json --reason --help'
            words=('@vms' 'force')
            ;;
        'pause')
            verbs='' options='--json --reason --help'
            words=('@vms')
            ;;
        'unpause')
            verbs='' options='--json --reason --help'
            words=('@vms')
            ;;
        'destroy')
            verbs='' options='--keep-storage --json --reason --help'
            words=('@vms')
            ;;
        'undefine')
            verbs='' options='--reason --help'
            words=('@vms')
            ;;
        'list')
            verbs='' options='--node --state --name --json --columns --help'
            words=()
            ;;
        'show')
            verbs='' options='--json --help'
            words=('@vms')
            ;;
        'status')
            verbs='' options='--all --cached --json --help'
            words=('@vms')
            ;;
        'console')
            verbs='' options='--help'
            words=('@vms')
            ;;
        'set')
            verbs='' options='--reason --help'
            words=('@vms' '')
            ;;
        'config')
            verbs='' options='--token --reason --help'
            words=('@vms')
            ;;
        'nodes')
            verbs='' options='--tag --names --json --help'
            words=()
            ;;
        'validate-node')
            verbs='' options='-q --quiet --help'
            words=('@nodes')
            ;;
        'healthy-nodes')
            verbs='' options='--help'
            words=('@nodes')
            ;;
        'release')
            verbs='' options='--node-is-off --reason --help'
            words=('@vms')
            ;;
        'operations')
            verbs='' options='--vm --follow --json --help'
            words=()
            ;;
        'sweep')
            verbs='' options='-n --dry-run --help'
            words=()
            ;;
        'export')
            verbs='' options='--help'
            words=()
            ;;
        'import')
            verbs='' options='--reason --help'
            words=('@files')
            ;;
        'backup')
            verbs='' options='--help'
            words=('@files')
            ;;
        'restore')
            verbs='' options='--help'
            words=('@files')
            ;;
        'adopt')
            verbs='' options='--take --reason --help'
            words=('@nodes')
            ;;
        'task')
            verbs='create run delete list' options='--help'
            words=()
            ;;
        'log')
            verbs='' options='--help'
            words=('' 'debug info notice warning err crit')
            ;;
        'task create')
            verbs='' options='--help'
            words=('' '' '' '@nodes')
            ;;
        'task run')
            verbs='' options='--exit-code --help'
            words=('' '' '@nodes')
            ;;
        'task delete')
            verbs='' options='--help'
            words=('')
            ;;
        'task list')
            verbs='' options='--help'
            words=()
            ;;
    esac
}

_o_vm_value() { # OPTION: sets value; fails where it takes none
    case $1 in
        --config) value='@files' ;;
        --id) value='' ;;
        --name) value='' ;;
        --cpus) value='' ;;
        --ram) value='' ;;
        --disk) value='' ;;
        --net) value='' ;;
        --title) value='' ;;
        --description) value='' ;;
        --reason) value='' ;;
        --timeout) value='' ;;
        --node) value='@nodes' ;;
        --state) value='running paused shut-off crashed pmsuspended absent unknown' ;;
        --columns) value='vm_id name node state seen desired cpus memory title uuid' ;;
        --tag) value='' ;;
        --node-is-off) value='@nodes' ;;
        --vm) value='@vms' ;;
        --follow) value='@operations' ;;
        --take) value='@files' ;;
        *) return 1 ;;
    esac
}

_o_vm_offer() { # WHAT PREFIX
    case $1 in
        '') ;;
        @files) compopt -o default 2>/dev/null ;;
        @*)
            while IFS=$'\t' read -r word _; do
                [[ $word != "$2"* ]] || COMPREPLY+=("$word")
            done < <(_o_vm_ask "${1#@}" "$2")
            ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
    esac
}

_o_vm() {
    local cur=${COMP_WORDS[COMP_CWORD]} given=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    local path='' at=0 pending='' is_plain='' word verbs options words value
    COMPREPLY=()
    case ${COMP_WORDS[0]##*/} in
        o_vm_create) given=(create "${given[@]}") ;;
        o_vm_start) given=(start "${given[@]}") ;;
        o_vm_stop) given=(stop "${given[@]}") ;;
        o_vm_reboot) given=(reboot "${given[@]}") ;;
        o_vm_pause) given=(pause "${given[@]}") ;;
        o_vm_unpause) given=(unpause "${given[@]}") ;;
        o_vm_destroy) given=(destroy "${given[@]}") ;;
        o_vm_list) given=(list "${given[@]}") ;;
        o_vm_status) given=(status "${given[@]}") ;;
        o_vm_validate_node) given=(validate-node "${given[@]}") ;;
        o_vm_validate_node_quiet) given=(validate-node --quiet "${given[@]}") ;;
        o_vm_get_healthy_nodes) given=(healthy-nodes "${given[@]}") ;;
        o_vm_get_nodes_by_tag) given=(nodes --names --tag "${given[@]}") ;;
        o_task_create) given=(task create "${given[@]}") ;;
        o_task_run) given=(task run "${given[@]}") ;;
        o_task_delete) given=(task delete "${given[@]}") ;;
        o_task_list) given=(task list "${given[@]}") ;;
        o_log) given=(log "${given[@]}") ;;
    esac
    _o_vm_verb ''
    for word in "${given[@]}"; do
        if [[ -n $pending ]]; then
            pending=''
        elif [[ -z $is_plain && $word == -- ]]; then
            is_plain=yes
        elif [[ -z $is_plain && $word == -* ]]; then
            ! _o_vm_value "$word" || pending=$word
        elif [[ -n $verbs ]]; then
            path=${path:+$path }$word
            _o_vm_verb "$path"
        else
            at=$((at + 1))
        fi
    done
    if [[ -n $pending ]]; then
        _o_vm_value "$pending"
        _o_vm_offer "$value" "$cur"
    elif [[ -z $is_plain && $cur == -* ]]; then
        _o_vm_offer "$options" "$cur"
    else
        _o_vm_offer "${verbs:-${words[at]-}}" "$cur"
    fi
}

complete -F _o_vm o_vm o_vm_create o_vm_start o_vm_stop o_vm_reboot o_vm_pause o_vm_unpause o_vm_destroy o_vm_list o_vm_status o_vm_validate_node o_vm_validate_node_quiet o_vm_get_healthy_nodes o_vm_get_nodes_by_tag o_task_create o_task_run o_task_delete o_task_list o_log

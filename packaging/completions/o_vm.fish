# fish completion of o_vm. Made from its help by tests/completions: do not edit.

function __o_vm_ask # KIND
    command o_vm __complete $argv[1] (commandline -ct) 2>/dev/null
end

# Prints the verb before the cursor and how many of its words are there: "create 1".
function __o_vm_where
    set -l given (commandline -opc)
    set -e given[1]
    set -l path
    set -l at 0
    set -l is_value no
    set -l is_plain no
    for word in $given
        if test $is_value = yes
            set is_value no
        else if test $is_plain = no; and test "$word" = --
            set is_plain yes
        else if test $is_plain = no; and string match -q -- '-*' $word
            contains -- $word --config --id --name --cpus --ram --disk --net --title --description --reason --timeout --node --state --columns --tag --node-is-off --vm --follow --take; and set is_value yes
        else if contains -- "$path" '' 'task'
            set path $path $word
        else
            set at (math $at + 1)
        end
    end
    echo "$path $at"
end

function __o_vm_in # PATH: whether that verb is before the cursor
    string match -qr -- "^$argv[1] [0-9]+\$" (__o_vm_where)
end

function __o_vm_at # PATH N: whether word N behind that verb is at the cursor
    test (__o_vm_where) = "$argv[1] $argv[2]"
end

complete -c o_vm -f
complete -c o_vm -n '__o_vm_at "" 0' -a define -d 'Define a VM; prints its vm_id.'
complete -c o_vm -n '__o_vm_at "" 0' -a create -d 'Create and start a VM on a node.'
complete -c o_vm -n '__o_vm_at "" 0' -a start -d 'Start a VM.'
complete -c o_vm -n '__o_vm_at "" 0' -a stop -d 'Shut a VM down; force powers it off at once.'
complete -c o_vm -n '__o_vm_at "" 0' -a reboot -d 'Reboot a VM; force resets it at once.'
complete -c o_vm -n '__o_vm_at "" 0' -a pause -d 'Pause a VM; it stays in memory.'
complete -c o_vm -n '__o_vm_at "" 0' -a unpause -d 'Resume a paused VM.'
complete -c o_vm -n '__o_vm_at "" 0' -a destroy -d 'Remove a VM from its node; its definition stays.'
complete -c o_vm -n '__o_vm_at "" 0' -a undefine -d 'Remove a VM\'s definition; refused while a node owns the VM.'
complete -c o_vm -n '__o_vm_at "" 0' -a list -d 'List the VMs of the registry.'
complete -c o_vm -n '__o_vm_at "" 0' -a show -d 'Show a VM: definition, node, state and history.'
complete -c o_vm -n '__o_vm_at "" 0' -a status -d 'Show the state of a VM, or of all VMs.'
complete -c o_vm -n '__o_vm_at "" 0' -a console -d 'Show how to reach a VM\'s VNC console.'
complete -c o_vm -n '__o_vm_at "" 0' -a set -d 'Change keys of a VM\'s config; an empty value removes an optional key.'
complete -c o_vm -n '__o_vm_at "" 0' -a config -d 'Print a VM\'s config, or a token to fetch it with.'
complete -c o_vm -n '__o_vm_at "" 0' -a nodes -d 'List the nodes with their health.'
complete -c o_vm -n '__o_vm_at "" 0' -a validate-node -d 'Check that a node is in the cluster, reachable and not frozen.'
complete -c o_vm -n '__o_vm_at "" 0' -a healthy-nodes -d 'Filter a list of nodes to the healthy ones.'
complete -c o_vm -n '__o_vm_at "" 0' -a release -d 'End a VM\'s claim on a node that is off for good.'
complete -c o_vm -n '__o_vm_at "" 0' -a operations -d 'List operations, newest first.'
complete -c o_vm -n '__o_vm_at "" 0' -a sweep -d 'Recover: settle interrupted operations, delete leftover task services, refresh the inventory.'
complete -c o_vm -n '__o_vm_at "" 0' -a export -d 'Print all definitions, for o_vm import.'
complete -c o_vm -n '__o_vm_at "" 0' -a import -d 'Define many VMs at once, all or none.'
complete -c o_vm -n '__o_vm_at "" 0' -a backup -d 'Write a consistent copy of the registry; the server and operations go on meanwhile.'
complete -c o_vm -n '__o_vm_at "" 0' -a restore -d 'Replace the registry with a backup; the old registry is kept beside it.'
complete -c o_vm -n '__o_vm_at "" 0' -a adopt -d 'Print definitions for a node\'s unregistered domains; --take registers them.'
complete -c o_vm -n '__o_vm_at "" 0' -a task -d 'Create, run, delete and list task services.'
complete -c o_vm -n '__o_vm_at "" 0' -a log -d 'Write a line to syslog (facility local0).'
complete -c o_vm -n '__o_vm_in ""' -l version -d 'print the version'
complete -c o_vm -n '__o_vm_in ""' -s v -l verbose -d 'log each child process'
complete -c o_vm -n '__o_vm_in ""' -l config -d 'settings file (default /etc/hps/ips.toml)' -r -F
complete -c o_vm -n '__o_vm_in ""' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "define"' -l id -d 'vm_id (default: a new UUID)' -x
complete -c o_vm -n '__o_vm_in "define"' -l name -d 'name of the VM' -x
complete -c o_vm -n '__o_vm_in "define"' -l cpus -d 'number of CPUs' -x
complete -c o_vm -n '__o_vm_in "define"' -l ram -d 'memory in MiB' -x
complete -c o_vm -n '__o_vm_in "define"' -l disk -d 'PATH or PATH,SECOND_PATH; repeat for each disk' -x
complete -c o_vm -n '__o_vm_in "define"' -l net -d 'VXLAN network and its bridge; repeat for each network' -x
complete -c o_vm -n '__o_vm_in "define"' -l title -d 'title' -x
complete -c o_vm -n '__o_vm_in "define"' -l description -d 'description' -x
complete -c o_vm -n '__o_vm_in "define"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "define"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "define" 0' -F
complete -c o_vm -n '__o_vm_in "create"' -l json -d 'print the operation record as JSON'
complete -c o_vm -n '__o_vm_in "create"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "create"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "create" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_at "create" 1' -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_in "start"' -l json -d 'print the operation record as JSON'
complete -c o_vm -n '__o_vm_in "start"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "start"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "start" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "stop"' -l wait -d 'wait until the VM is off'
complete -c o_vm -n '__o_vm_in "stop"' -l timeout -d 'how long to wait: 90, 90s or 2m (default 90s)' -x
complete -c o_vm -n '__o_vm_in "stop"' -l force-after -d 'power the VM off when the time is over'
complete -c o_vm -n '__o_vm_in "stop"' -l json -d 'print the operation record as JSON'
complete -c o_vm -n '__o_vm_in "stop"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "stop"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "stop" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_at "stop" 1' -a 'force'
complete -c o_vm -n '__o_vm_in "reboot"' -l wait -d 'wait until the VM has rebooted'
complete -c o_vm -n '__o_vm_in "reboot"' -l timeout -d 'how long to wait: 90, 90s or 2m (default 90s)' -x
complete -c o_vm -n '__o_vm_in "reboot"' -l json -d 'print the operation record as JSON'
complete -c o_vm -n '__o_vm_in "reboot"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "reboot"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "reboot" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_at "reboot" 1' -a 'force'
complete -c o_vm -n '__o_vm_in "pause"' -l json -d 'print the operation record as JSON'
complete -c o_vm -n '__o_vm_in "pause"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "pause"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "pause" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "unpause"' -l json -d 'print the operation record as JSON'
complete -c o_vm -n '__o_vm_in "unpause"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "unpause"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "unpause" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "destroy"' -l keep-storage -d 'keep all files of the VM'
complete -c o_vm -n '__o_vm_in "destroy"' -l json -d 'print the operation record as JSON'
complete -c o_vm -n '__o_vm_in "destroy"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "destroy"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "destroy" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "undefine"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "undefine"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "undefine" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "list"' -l node -d 'only on this node' -x -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_in "list"' -l state -d 'only in this state' -x -a 'running paused shut-off crashed pmsuspended absent unknown'
complete -c o_vm -n '__o_vm_in "list"' -l name -d 'only names that match this pattern of * and ?' -x
complete -c o_vm -n '__o_vm_in "list"' -l json -d 'print JSON'
complete -c o_vm -n '__o_vm_in "list"' -l columns -d 'columns of the table, separated by commas: vm_id,name,node,state,seen,desired,cpus,memory,title,uuid' -x -a 'vm_id name node state seen desired cpus memory title uuid'
complete -c o_vm -n '__o_vm_in "list"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "show"' -l json -d 'print JSON'
complete -c o_vm -n '__o_vm_in "show"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "show" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "status"' -l all -d 'every VM; asks all nodes at once'
complete -c o_vm -n '__o_vm_in "status"' -l cached -d 'the last state in the registry; asks no node'
complete -c o_vm -n '__o_vm_in "status"' -l json -d 'print JSON'
complete -c o_vm -n '__o_vm_in "status"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "status" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "console"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "console" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "set"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "set"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "set" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "config"' -l token -d 'print a token for get_config instead, valid for ten minutes'
complete -c o_vm -n '__o_vm_in "config"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "config"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "config" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "nodes"' -l tag -d 'only nodes with this label: TAG or key=value' -x
complete -c o_vm -n '__o_vm_in "nodes"' -l names -d 'print only the names, separated by spaces'
complete -c o_vm -n '__o_vm_in "nodes"' -l json -d 'print JSON'
complete -c o_vm -n '__o_vm_in "nodes"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "validate-node"' -s q -l quiet -d 'print nothing'
complete -c o_vm -n '__o_vm_in "validate-node"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "validate-node" 0' -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_in "healthy-nodes"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "healthy-nodes" 0' -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_in "release"' -l node-is-off -d 'the node, which you confirm is powered off' -x -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_in "release"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "release"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "release" 0' -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "operations"' -l vm -d 'only operations of this VM: vm_id or name' -x -a '(__o_vm_ask vms)'
complete -c o_vm -n '__o_vm_in "operations"' -l follow -d 'wait for this operation and exit with its code' -x -a '(__o_vm_ask operations)'
complete -c o_vm -n '__o_vm_in "operations"' -l json -d 'print JSON'
complete -c o_vm -n '__o_vm_in "operations"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "sweep"' -s n -l dry-run -d 'print what would be done; change nothing'
complete -c o_vm -n '__o_vm_in "sweep"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "export"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "import"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "import"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "import" 0' -F
complete -c o_vm -n '__o_vm_in "backup"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "backup" 0' -F
complete -c o_vm -n '__o_vm_in "restore"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "restore" 0' -F
complete -c o_vm -n '__o_vm_in "adopt"' -l take -d 'register the definitions of this file, all or none; - is standard input' -r -F
complete -c o_vm -n '__o_vm_in "adopt"' -l reason -d 'reason, for the audit log' -x
complete -c o_vm -n '__o_vm_in "adopt"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "adopt" 0' -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_at "task" 0' -a create -d 'Create a service with one task (o_task_create).'
complete -c o_vm -n '__o_vm_at "task" 0' -a run -d 'Run a task on a node and wait for it (o_task_run).'
complete -c o_vm -n '__o_vm_at "task" 0' -a delete -d 'Delete a service and verify that it is gone (o_task_delete).'
complete -c o_vm -n '__o_vm_at "task" 0' -a list -d 'List all services (o_task_list).'
complete -c o_vm -n '__o_vm_in "task"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "log"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "log" 1' -a 'debug info notice warning err crit'
complete -c o_vm -n '__o_vm_in "task create"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "task create" 3' -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_in "task run"' -l exit-code -d 'exit with the exit code of the task'
complete -c o_vm -n '__o_vm_in "task run"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_at "task run" 2' -a '(__o_vm_ask nodes)'
complete -c o_vm -n '__o_vm_in "task delete"' -l help -d 'display usage information'
complete -c o_vm -n '__o_vm_in "task list"' -l help -d 'display usage information'
complete -c o_vm_create -w 'o_vm create'
complete -c o_vm_start -w 'o_vm start'
complete -c o_vm_stop -w 'o_vm stop'
complete -c o_vm_reboot -w 'o_vm reboot'
complete -c o_vm_pause -w 'o_vm pause'
complete -c o_vm_unpause -w 'o_vm unpause'
complete -c o_vm_destroy -w 'o_vm destroy'
complete -c o_vm_list -w 'o_vm list'
complete -c o_vm_status -w 'o_vm status'
complete -c o_vm_validate_node -w 'o_vm validate-node'
complete -c o_vm_validate_node_quiet -w 'o_vm validate-node --quiet'
complete -c o_vm_get_healthy_nodes -w 'o_vm healthy-nodes'
complete -c o_vm_get_nodes_by_tag -w 'o_vm nodes --names --tag'
complete -c o_task_create -w 'o_vm task create'
complete -c o_task_run -w 'o_vm task run'
complete -c o_task_delete -w 'o_vm task delete'
complete -c o_task_list -w 'o_vm task list'
complete -c o_log -w 'o_vm log'

# fish completion of n_vm. Made from its help by tests/completions: do not edit.

function __n_vm_ask # KIND
    N_VM_VIRSH_TIMEOUT=1 command n_vm list 2>/dev/null | sed -n '1d;s/^\([A-Za-z0-9][A-Za-z0-9._-]*\)  .*/\1/p'
end

# Prints the verb before the cursor and how many of its words are there: "create 1".
function __n_vm_where
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
            contains -- $word --config --timeout; and set is_value yes
        else if contains -- "$path" ''
            set path $path $word
        else
            set at (math $at + 1)
        end
    end
    echo "$path $at"
end

function __n_vm_in # PATH: whether that verb is before the cursor
    string match -qr -- "^$argv[1] [0-9]+\$" (__n_vm_where)
end

function __n_vm_at # PATH N: whether word N behind that verb is at the cursor
    test (__n_vm_where) = "$argv[1] $argv[2]"
end

complete -c n_vm -f
complete -c n_vm -n '__n_vm_at "" 0' -a create -d 'Create a VM from its IPS config; safe to repeat.'
complete -c n_vm -n '__n_vm_at "" 0' -a start -d 'Start a VM that is off.'
complete -c n_vm -n '__n_vm_at "" 0' -a stop -d 'Ask a VM to shut down, or force it off.'
complete -c n_vm -n '__n_vm_at "" 0' -a reboot -d 'Ask a VM to reboot, or reset it.'
complete -c n_vm -n '__n_vm_at "" 0' -a pause -d 'Stop a VM\'s CPUs; it stays in memory.'
complete -c n_vm -n '__n_vm_at "" 0' -a unpause -d 'Resume a paused VM.'
complete -c n_vm -n '__n_vm_at "" 0' -a destroy -d 'Remove a VM, and the files that are proved to be its own.'
complete -c n_vm -n '__n_vm_at "" 0' -a status -d 'Show one VM.'
complete -c n_vm -n '__n_vm_at "" 0' -a list -d 'Show every domain of this node.'
complete -c n_vm -n '__n_vm_at "" 0' -a config -d 'Fetch a VM\'s config and print it; change nothing.'
complete -c n_vm -n '__n_vm_at "" 0' -a ips-command -d 'Send any command to the IPS and print its answer.'
complete -c n_vm -n '__n_vm_at "" 0' -a remote-log -d 'Send a line to the IPS log.'
complete -c n_vm -n '__n_vm_in ""' -l version -d 'print the version'
complete -c n_vm -n '__n_vm_in ""' -s v -l verbose -d 'log each child process'
complete -c n_vm -n '__n_vm_in ""' -l config -d 'settings file instead of /etc/hps/node.conf' -r -F
complete -c n_vm -n '__n_vm_in ""' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_in "create"' -l dry-run -d 'print the virt-install command that would run; change nothing'
complete -c n_vm -n '__n_vm_in "create"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_in "start"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_at "start" 0' -a '(__n_vm_ask vms)'
complete -c n_vm -n '__n_vm_in "stop"' -l wait -d 'wait until it is off; repeat the request now and then'
complete -c n_vm -n '__n_vm_in "stop"' -l timeout -d 'how long to wait: 90, 90s, 2m or 1h (default 90s)' -x
complete -c n_vm -n '__n_vm_in "stop"' -l force-after -d 'force it off when that time is over'
complete -c n_vm -n '__n_vm_in "stop"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_at "stop" 0' -a '(__n_vm_ask vms)'
complete -c n_vm -n '__n_vm_at "stop" 1' -a 'force'
complete -c n_vm -n '__n_vm_in "reboot"' -l wait -d 'wait until the guest has restarted'
complete -c n_vm -n '__n_vm_in "reboot"' -l timeout -d 'how long to wait: 90, 90s, 2m or 1h (default 90s)' -x
complete -c n_vm -n '__n_vm_in "reboot"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_at "reboot" 0' -a '(__n_vm_ask vms)'
complete -c n_vm -n '__n_vm_at "reboot" 1' -a 'force'
complete -c n_vm -n '__n_vm_in "pause"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_at "pause" 0' -a '(__n_vm_ask vms)'
complete -c n_vm -n '__n_vm_in "unpause"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_at "unpause" 0' -a '(__n_vm_ask vms)'
complete -c n_vm -n '__n_vm_in "destroy"' -l keep-storage -d 'remove no file'
complete -c n_vm -n '__n_vm_in "destroy"' -l dry-run -d 'show what would be removed and what kept; change nothing'
complete -c n_vm -n '__n_vm_in "destroy"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_at "destroy" 0' -a '(__n_vm_ask vms)'
complete -c n_vm -n '__n_vm_in "status"' -l json -d 'one JSON object'
complete -c n_vm -n '__n_vm_in "status"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_at "status" 0' -a '(__n_vm_ask vms)'
complete -c n_vm -n '__n_vm_in "list"' -l json -d 'one JSON array'
complete -c n_vm -n '__n_vm_in "list"' -l report -d 'send them to the IPS instead'
complete -c n_vm -n '__n_vm_in "list"' -l definitions -d 'with the XML of each, in the form that is sent'
complete -c n_vm -n '__n_vm_in "list"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_in "config"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_in "ips-command"' -l help -d 'display usage information'
complete -c n_vm -n '__n_vm_in "remote-log"' -l help -d 'display usage information'
complete -c n_vm_create -w 'n_vm create'
complete -c n_vm_start -w 'n_vm start'
complete -c n_vm_stop -w 'n_vm stop'
complete -c n_vm_reboot -w 'n_vm reboot'
complete -c n_vm_pause -w 'n_vm pause'
complete -c n_vm_unpause -w 'n_vm unpause'
complete -c n_vm_destroy -w 'n_vm destroy'
complete -c n_ips_command -w 'n_vm ips-command'
complete -c n_remote_log -w 'n_vm remote-log'

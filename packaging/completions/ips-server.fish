# fish completion of ips-server. Made from its help by tests/completions: do not edit.

function __ips_server_ask # KIND
    command o_vm __complete $argv[1] (commandline -ct) 2>/dev/null
end

# Prints the verb before the cursor and how many of its words are there: "create 1".
function __ips_server_where
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
            contains -- $word --config --listen; and set is_value yes
        else if contains -- "$path" ''
            set path $path $word
        else
            set at (math $at + 1)
        end
    end
    echo "$path $at"
end

function __ips_server_in # PATH: whether that verb is before the cursor
    string match -qr -- "^$argv[1] [0-9]+\$" (__ips_server_where)
end

function __ips_server_at # PATH N: whether word N behind that verb is at the cursor
    test (__ips_server_where) = "$argv[1] $argv[2]"
end

complete -c ips-server -f
complete -c ips-server -n '__ips_server_at "" 0' -a serve -d 'Run the HTTP server until SIGTERM.'
complete -c ips-server -n '__ips_server_at "" 0' -a nginx -d 'Print the nginx configuration, or check that it is installed.'
complete -c ips-server -n '__ips_server_in ""' -l version -d 'print the version'
complete -c ips-server -n '__ips_server_in ""' -s v -l verbose -d 'log at level debug'
complete -c ips-server -n '__ips_server_in ""' -l config -d 'settings file (default /etc/hps/ips.toml)' -r -F
complete -c ips-server -n '__ips_server_in ""' -l help -d 'display usage information'
complete -c ips-server -n '__ips_server_in "serve"' -l listen -d 'ADDRESS:PORT or unix:/path (default: the setting; port 0 is any)' -x
complete -c ips-server -n '__ips_server_in "serve"' -l help -d 'display usage information'
complete -c ips-server -n '__ips_server_in "nginx"' -l check -d 'check that nginx has these lines'
complete -c ips-server -n '__ips_server_in "nginx"' -l help -d 'display usage information'
complete -c ips-server -n '__ips_server_at "nginx" 0' -F
complete -c ips-server -n '__ips_server_at "" 0' -a vm -d 'Run a verb of o_vm'
complete -c ips-server -n '__ips_server_in vm' -a '(complete -C (string replace -r -- "^\S+\s+vm\b" o_vm (commandline -cp)))'

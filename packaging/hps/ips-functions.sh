# shellcheck shell=sh
# Opt-in: for scripts that source the old IPS library. Source this after it
#   . /usr/share/hps/ips-functions.sh
# and its functions call the programs of this package instead, with the same words and
# exit codes. `command` looks past functions, so nothing calls itself.

o_vm_create() { command o_vm_create "$@"; }
o_vm_start() { command o_vm_start "$@"; }
o_vm_stop() { command o_vm_stop "$@"; }
o_vm_reboot() { command o_vm_reboot "$@"; }
o_vm_pause() { command o_vm_pause "$@"; }
o_vm_unpause() { command o_vm_unpause "$@"; }
o_vm_destroy() { command o_vm_destroy "$@"; }
o_vm_list() { command o_vm_list "$@"; }
o_vm_status() { command o_vm_status "$@"; }
o_vm_validate_node() { command o_vm_validate_node "$@"; }
o_vm_validate_node_quiet() { command o_vm_validate_node_quiet "$@"; }
o_vm_get_healthy_nodes() { command o_vm_get_healthy_nodes "$@"; }
o_vm_get_nodes_by_tag() { command o_vm_get_nodes_by_tag "$@"; }
o_task_create() { command o_task_create "$@"; }
o_task_run() { command o_task_run "$@"; }
o_task_delete() { command o_task_delete "$@"; }
o_task_list() { command o_task_list "$@"; }
o_log() { command o_log "$@"; }

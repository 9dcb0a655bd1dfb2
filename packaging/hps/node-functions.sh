# shellcheck shell=sh
# Opt-in: for scripts that source the old node library. Source this after it
#   . /usr/share/hps/node-functions.sh
# and its functions call the programs of this package instead, with the same words and
# exit codes. `command` looks past functions, so nothing calls itself.

n_vm_create() { command n_vm_create "$@"; }
n_vm_start() { command n_vm_start "$@"; }
n_vm_stop() { command n_vm_stop "$@"; }
n_vm_reboot() { command n_vm_reboot "$@"; }
n_vm_pause() { command n_vm_pause "$@"; }
n_vm_unpause() { command n_vm_unpause "$@"; }
n_vm_destroy() { command n_vm_destroy "$@"; }
n_ips_command() { command n_ips_command "$@"; }
n_remote_log() { command n_remote_log "$@"; }

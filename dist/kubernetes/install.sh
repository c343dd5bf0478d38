#!/bin/sh
# Installs insula on a node, proves that it works there, and removes it.
#
#   install.sh install     put program and snippet on the node, prove, restart the engine if its settings changed
#   install.sh status      0 if the node has this very program and it still passes its proof
#   install.sh uninstall   take everything away, unless containers still need it
#   install.sh watch       install, label the node, wait; uninstall when told to end (what the DaemonSet runs)
#
# HOST is the node's root file system (default /); NODE_NAME the node to label; RESTART=no leaves the engine alone.
set -eu

HOST=${HOST:-/}
HERE=$(cd "$(dirname "$0")" && pwd)
HOST=${HOST%/}
PROGRAM=/usr/local/bin/insula
MAIN=/etc/containerd/config.toml
CRIO=/etc/crio/crio.conf.d/50-insula.conf
# Where the engines keep the states of their containers.
ROOTS="/run/containerd/runc/k8s.io /run/insula"

say() { echo "insula installer: $*"; }
fail() { say "$*" >&2; exit 1; }

# Beside the script in the image, above it in the release tarball.
find_file() {
    for place in "$HERE/$1" "$HERE/../$1" "$HERE/../../$1"; do
        if [ -e "$place" ]; then echo "$place"; return; fi
    done
    fail "$1 is not beside this script"
}

# Replaces a file in one step: whoever executes or reads it sees the old one or the new one.
place() { # from to mode
    mkdir -p "$(dirname "$HOST$2")"
    cp "$1" "$HOST$2.new"
    chmod "$3" "$HOST$2.new"
    mv "$HOST$2.new" "$HOST$2"
}

on_host() {
    if [ -z "$HOST" ]; then "$@"; else chroot "$HOST" "$@"; fi
}

# containerd's settings have a version: 2 up to containerd 1.7, 3 since 2.0.
containerd_version() {
    sed -n 's/^[[:space:]]*version[[:space:]]*=[[:space:]]*\([0-9]*\).*/\1/p' "$HOST$MAIN" | head -n 1
}

BEGIN='# insula begins: by its installer'
END='# insula ends'

# containerd's settings without the handler.
without_handler() {
    sed "/^$BEGIN\$/,/^$END\$/d" "$HOST$MAIN"
}

# containerd's settings with the handler. Where they name no runtime yet, with the built-in one, too: any that is named
# replaces the built-in list, and the plugin does not start without its default.
with_handler() { # snippet
    without_handler
    # Its last line may lack its end.
    [ -z "$(tail -c 1 "$HOST$MAIN")" ] || echo
    echo "$BEGIN"
    if ! without_handler | grep -q '^[[:space:]]*\[.*\.containerd\.runtimes'; then
        sed -n 's/^\(\[plugins.*runtimes\.\)insula\]$/\1runc]/p' "$1"
        echo '  runtime_type = "io.containerd.runc.v2"'
    fi
    sed -e '/^#/d' -e '/^version/d' -e "s|/usr/bin/insula|$PROGRAM|" "$1"
    echo "$END"
}

register() {
    CHANGED=no
    if [ -e "$HOST$MAIN" ]; then
        case $(containerd_version) in
            3) snippet=$(find_file containerd/config.toml) ;;
            2) snippet=$(find_file containerd/config-v1.toml) ;;
            *) fail "$MAIN has no version 2 or 3; migrate it first (containerd config migrate)" ;;
        esac
        # Appended, not imported: up to containerd 1.7 a file that is imported replaces all that is said of a plugin.
        with_handler "$snippet" > "$HOST$MAIN.new"
        if cmp -s "$HOST$MAIN.new" "$HOST$MAIN"; then
            rm "$HOST$MAIN.new"
        else
            chmod --reference="$HOST$MAIN" "$HOST$MAIN.new"
            mv "$HOST$MAIN.new" "$HOST$MAIN"
            CHANGED=yes
        fi
    fi
    if [ -d "$HOST/etc/crio" ]; then
        sed "s|/usr/bin/insula|$PROGRAM|" "$(find_file crio/50-insula.conf)" > "/tmp/insula-crio.$$"
        if ! cmp -s "/tmp/insula-crio.$$" "$HOST$CRIO"; then CHANGED=yes; fi
        place "/tmp/insula-crio.$$" "$CRIO" 644
        rm -f "/tmp/insula-crio.$$"
    fi
}

restart() {
    if [ "${RESTART:-yes}" = no ]; then return; fi
    for engine in containerd crio; do
        # In the node's namespaces: systemd is reached through its sockets in /run.
        if on_host systemctl is-active --quiet "$engine" 2>/dev/null; then on_host systemctl restart "$engine"; fi
    done
}

# A real container on this node, compared with its plan.
prove() {
    on_host "$PROGRAM" doctor > /dev/null || fail "this node cannot run containers: $(on_host "$PROGRAM" doctor)"
    id=insula-proof-$$
    bundle=/run/$id
    mkdir -p "$HOST$bundle/rootfs"
    # The static program is all that this container's root has.
    cp "$HOST$PROGRAM" "$HOST$bundle/rootfs/insula"
    on_host "$PROGRAM" spec --bundle "$bundle"
    sed -i 's|"sh"|"/insula", "--version"|; s|"terminal": true|"terminal": false|' "$HOST$bundle/config.json"
    proved=no
    if on_host "$PROGRAM" create --bundle "$bundle" "$id" > /dev/null < /dev/null; then
        if on_host "$PROGRAM" verify "$id" > "$HOST$bundle/proof"; then proved=yes; else cat "$HOST$bundle/proof"; fi
    fi
    on_host "$PROGRAM" delete --force "$id"
    rm -rf "$HOST$bundle"
    [ "$proved" = yes ] || fail "the kernel did not give what was asked for"
}

label() { # value, or null to take it away
    [ -n "${NODE_NAME:-}" ] || return 0
    account=/var/run/secrets/kubernetes.io/serviceaccount
    curl --silent --show-error --fail --output /dev/null --cacert "$account/ca.crt" \
        --header "Authorization: Bearer $(cat "$account/token")" \
        --header 'Content-Type: application/merge-patch+json' --request PATCH \
        --data "{\"metadata\":{\"labels\":{\"insula.io/runtime\":$1}}}" \
        "https://${KUBERNETES_SERVICE_HOST}:${KUBERNETES_SERVICE_PORT}/api/v1/nodes/$NODE_NAME"
}

install() {
    program=$(find_file insula)
    place "$program" "$PROGRAM" 755
    prove
    register
    if [ "$CHANGED" = yes ]; then restart; fi
    say "installed: $(on_host "$PROGRAM" --version | head -n 1)"
}

status() {
    cmp -s "$(find_file insula)" "$HOST$PROGRAM" || fail "$PROGRAM is not the installer's"
    on_host "$PROGRAM" doctor > /dev/null
    for root in $ROOTS; do
        if [ -d "$HOST$root" ]; then on_host "$PROGRAM" --root "$root" verify --all; fi
    done
}

uninstall() {
    if [ ! -e "$HOST$PROGRAM" ]; then say "not installed"; return; fi
    for root in $ROOTS; do
        if [ -d "$HOST$root" ]; then
            # containerd's directory also has other runtimes' containers, which insula cannot read and leaves out.
            left=$(on_host "$PROGRAM" --root "$root" list --quiet 2>/dev/null)
            [ -z "$left" ] || fail "still needed by containers in $root: $(echo "$left" | tr '\n' ' ')"
        fi
    done
    rm -f "$HOST$CRIO"
    if [ -e "$HOST$MAIN" ]; then
        without_handler > "$HOST$MAIN.new"
        chmod --reference="$HOST$MAIN" "$HOST$MAIN.new"
        mv "$HOST$MAIN.new" "$HOST$MAIN"
    fi
    restart
    rm -f "$HOST$PROGRAM"
    say "removed"
}

watch() {
    trap 'trap - TERM INT; label null; uninstall; exit' TERM INT
    install
    label '"ready"'
    while :; do
        sleep 3600 &
        wait $!
    done
}

case ${1:-} in
    install | status | uninstall | watch) "$1" ;;
    *) fail "usage: $0 install|status|uninstall|watch" ;;
esac

#!/bin/sh
# as-user COMMAND [ARG...]: runs it as the ordinary user, who has a systemd and a message bus of their own.
systemctl start user@1000.service || exit
cd /home/user || exit
exec setpriv --reuid 1000 --regid 1000 --init-groups env -i HOME=/home/user USER=user LOGNAME=user SHELL=/bin/bash \
    LANG=C.UTF-8 PATH="$PATH" XDG_RUNTIME_DIR=/run/user/1000 \
    DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"

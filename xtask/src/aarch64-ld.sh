#!/bin/sh
# What rustc would tell a C compiler of the other architecture, told to rust-lld, which links for every one.
for word; do
    shift
    case $word in
        -Wl,*)
            words=${word#-Wl,}
            while [ -n "$words" ]; do
                part=${words%%,*}
                set -- "$@" "$part"
                [ "$part" = "$words" ] && words= || words=${words#*,}
            done ;;
        -nostartfiles | -nostdlib | -nodefaultlibs) ;;
        *) set -- "$@" "$word" ;;
    esac
done
exec "$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld" -flavor gnu "$@"

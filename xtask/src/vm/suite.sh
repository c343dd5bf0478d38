#!/bin/bash
# Inside the machine: runs the test programs named in ./programs with the words in ./filter. A test that fails is run
# once more alone, so that its own journal can be shown; it stays failed.
export INSULA=/in/insula INSULA_SKIPS=/out/skipped INSULA_VM=1 INSULA_PATIENCE=${INSULA_PATIENCE:-150}
cd /tmp || exit
: > "$INSULA_SKIPS"
mapfile -t filter < /in/filter
code=0
while read -r name; do
    # A test there opens device numbers without a driver thousands of times, and the kernel would look for a module.
    [ "$name" = kernel ] && modprobe='' || modprobe=/sbin/modprobe
    echo "$modprobe" > /proc/sys/kernel/modprobe
    start=$SECONDS
    printf '\n     Running %s\n' "$name"
    timeout --kill-after 10 "$LIMIT" "/in/tests/$name" --test-threads "$(nproc)" "${filter[@]}" 2>&1 | tee /tmp/log
    result=${PIPESTATUS[0]}
    echo "     $name: $((SECONDS - start)) s"
    [ "$result" = 0 ] && continue
    code=1
    [ "$result" -lt 124 ] || echo "test program $name ended with $result (124: more than $LIMIT s)"
    sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' /tmp/log | head -n 5 | while read -r test; do
        from=$(date +%s)
        timeout "$LIMIT" "/in/tests/$name" --exact "$test" > /tmp/alone 2>&1 && again=passes || again="fails too"
        printf '\n---- %s: run once more, alone, it %s; the journal meanwhile:\n' "$test" "$again"
        journalctl --no-pager --quiet --since "@$from" --output short-monotonic | tail -n 60
    done
done < /in/programs
exit "$code"

// SPDX-License-Identifier: Apache-2.0
//! Buildah with `--runtime insula`: images from a Dockerfile, commands in working containers.

use crate::daemon::is_installed;
use crate::machine::machine_and_lab;
use insula_tests::skip;

#[test]
fn an_image_is_built() {
    let (machine, lab) = machine_and_lab!();
    if !is_installed("buildah") {
        skip!("buildah is not installed");
    }
    let _alone = machine.alone();
    let printed = machine.ok(
        &lab,
        "set -e; directory=$(mktemp -d /run/buildah-XXXXXX); cd $directory; \
        printf 'FROM docker.io/library/busybox\\nRUN tr \"\\\\0\" \" \" </proc/1/cmdline >/built; echo $$ >/number\\n' >Dockerfile; \
        buildah bud --runtime insula --isolation oci --network none --quiet --tag made . >/dev/null; \
        container=$(buildah from --quiet made); \
        buildah run --runtime insula --isolation oci --network none $container sh -c 'cat /number; hostname; ls /proc | grep -c \"^[0-9]\"'; \
        buildah run --runtime insula --isolation oci --network none $container sh -c 'exit 6' >/dev/null 2>&1 || echo $?; \
        buildah rm $container >/dev/null; buildah rmi made >/dev/null; insula --root /run/insula list --quiet; \
        cd /; rm -r $directory",
    );
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!((lines[0], lines.last().copied()), ("1", Some("6")), "{printed}");
}

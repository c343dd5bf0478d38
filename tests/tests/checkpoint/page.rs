// SPDX-License-Identifier: Apache-2.0
//! docs/checkpoint.md: its examples are run where CRIU works.

use crate::counter::needs_criu;

#[test]
fn the_page_about_checkpoints() {
    needs_criu!("mem_dirty_track");
    needs_criu!("uffd-noncoop");
    insula_tests::page::run("checkpoint.md", include_str!("../../../docs/checkpoint.md"));
}

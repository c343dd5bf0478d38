// SPDX-License-Identifier: Apache-2.0
//! What must hold of a container as long as it runs, taken from the plan when it is created and kept in its record.

use alloc::vec::Vec;
use insula_plan::{Plan, Want};
use insula_spec::{IdMapping, Spec};
use insula_steps::Step;
use serde::{Deserialize, Serialize};

/// Expectations beside the identities of the namespaces. Sets of capabilities are bits, in the kernel's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Expectation {
    /// Lines of the user map of a new user namespace: inside, outside, count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uids: Vec<[u32; 3]>,
    /// As `uids`, of groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gids: Vec<[u32; 3]>,
    /// The bounding set.
    pub bounding: u64,
    /// The inheritable set.
    pub inheritable: u64,
    /// The ambient set.
    pub ambient: u64,
    /// PR_SET_NO_NEW_PRIVS was set.
    pub no_new_privs: bool,
    /// A filter was installed.
    pub seccomp: bool,
    /// The mount namespace is the container's own.
    pub own_mounts: bool,
    /// The document wants the root mount shared with the host.
    pub shared_root: bool,
    /// The document has a process, so that the above holds once it is started.
    pub process: bool,
}

impl Expectation {
    /// What `plan`, compiled from `spec`, promises.
    pub(crate) fn of(plan: &Plan, spec: &Spec<'_>) -> Self {
        let new = |kind: insula_ns::Kind| matches!(plan.wants[kind], Want::New(_));
        let mut expectation = Self {
            own_mounts: new(insula_ns::Kind::MOUNT),
            shared_root: matches!(spec.linux.rootfs_propagation.as_deref(), Some("shared" | "rshared")),
            process: spec.process.is_some(),
            ..Self::default()
        };
        if new(insula_ns::Kind::USER) {
            expectation.uids = lines(&spec.linux.uid_mappings);
            expectation.gids = lines(&spec.linux.gid_mappings);
        }
        for planned in &plan.steps {
            match planned.step {
                Step::Bounding { keep } => expectation.bounding = keep,
                Step::Capabilities { inheritable, ambient, .. } => {
                    (expectation.inheritable, expectation.ambient) = (inheritable, ambient);
                }
                Step::NoNewPrivs {} => expectation.no_new_privs = true,
                Step::Seccomp { .. } => expectation.seccomp = true,
                _ => {}
            }
        }
        expectation
    }
}

fn lines(mappings: &[IdMapping]) -> Vec<[u32; 3]> {
    mappings.iter().map(|m| [m.container_id, m.host_id, m.size]).collect()
}

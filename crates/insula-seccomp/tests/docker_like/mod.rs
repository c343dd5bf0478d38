//! x
use insula_spec::Seccomp;
pub(crate) fn profile() -> Seccomp<'static> { Seccomp { default_action: "SCMP_ACT_ERRNO".into(), ..Seccomp::default() } }

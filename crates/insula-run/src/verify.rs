// SPDX-License-Identifier: Apache-2.0
//! The proof: before the user's program runs, the eight identities that the kernel gave are compared with the plan.

use crate::handle::Handle;
use crate::record::Held;
use crate::share::namespace_of;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Kind as ErrorKind, Result};
use insula_ns::{Identity, Kind, PerKind, identity};
use insula_plan::{Facts, Plan, Want};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::CWD;

/// Compares the namespaces of `init`, our unreaped child, with what `plan` wants of each. One that CRIU has `restored`,
/// whose /proc directory that is, is always in a time namespace of its own, in which the clocks go on where they were.
///
/// # Errors
/// `NotIsolated` naming the kind, what was wanted and what is there.
pub(crate) fn namespaces(
    plan: &Plan,
    facts: &Facts,
    init: &Handle,
    restored: Option<BorrowedFd<'_>>,
) -> Result<Vec<Held>> {
    let mut own = PerKind::from_fn(|kind| {
        let known = kind == Kind::USER && !facts.inner_user;
        if known { None } else { Identity::of_self(kind).ok() }
    });
    let dev = Kind::all().find_map(|kind| own[kind].map(|own| own.dev));
    if !facts.inner_user {
        own[Kind::USER] = match dev {
            Some(dev) => Some(Identity::initial_user(dev)),
            None => Identity::of_self(Kind::USER).ok(),
        };
    }
    let (directory, path) = match restored {
        Some(directory) => (directory, String::from("ns")),
        None => (CWD, format!("/proc/{}/ns", init.pid)),
    };
    let dev = dev.or(own[Kind::USER].map(|own| own.dev));
    let with_ids = dev.and_then(|dev| identity::all_with_ids(directory, &path, dev));
    let told = with_ids.is_some();
    let given = match with_ids {
        Some(given) => given,
        None => identity::all_below(directory, &path)?,
    };
    let mut held = Vec::with_capacity(8);
    let mut known = true;
    for kind in Kind::all() {
        let elsewhere = || own[kind].is_some_and(|own| given[kind].is_some_and(|is| !is.same_object(&own)));
        let want = match plan.wants[kind] {
            Want::Inherit if restored.is_some() && kind == Kind::TIME && elsewhere() => Want::New(0),
            want => want,
        };
        if let Some(mut entry) = one(facts, kind, want, &own, &given)? {
            // KERNEL(6.18): before, only mount namespaces have ids, and asking for the others is in vain.
            if !want.leaves() {
                entry.id = None;
            } else if !told && (kind == Kind::MOUNT || known) {
                entry.id = namespace_of(init, kind).ok().and_then(|fd| identity::id(fd.as_fd()));
                known = entry.id.is_some();
            }
            held.push(entry);
        }
    }
    Ok(held)
}

fn one(
    facts: &Facts,
    kind: Kind,
    want: Want,
    own: &PerKind<Option<Identity>>,
    given: &PerKind<Option<Identity>>,
) -> Result<Option<Held>> {
    let wrong = |is: &Identity, wanted: String| {
        let field = match want {
            Want::New(index) | Want::Join(index) | Want::Stay(index) => format!("/linux/namespaces/{index}"),
            Want::Inherit => String::from("/linux/namespaces"),
        };
        Error::new(ErrorKind::NotIsolated, format!("trust the {kind} namespace"))
            .field(field)
            .reason(format!("the process is in {is}, and the plan wants {wanted}"))
    };
    let (Some(is), Some(own)) = (&given[kind], &own[kind]) else {
        // A kernel without the kind: only inheriting it is true.
        return match want {
            Want::Inherit => Ok(None),
            _ => Err(Error::unsupported(
                "/linux/namespaces",
                format!("use a {kind} namespace"),
                "this kernel has none, or its identity cannot be read",
            )),
        };
    };
    let how = match want {
        Want::New(_) if is.same_object(own) => {
            return Err(wrong(is, String::from("a new one, not the runtime's own")));
        }
        Want::New(_) => "created",
        Want::Join(_) => match &facts.joins[kind] {
            Some(fact) if fact.identity.same_object(is) => "joined",
            Some(fact) => return Err(wrong(is, format!("{}", fact.identity))),
            None => return Err(wrong(is, String::from("a joined one"))),
        },
        Want::Inherit | Want::Stay(_) if !is.same_object(own) => {
            return Err(wrong(is, format!("the runtime's own {own}")));
        }
        Want::Inherit | Want::Stay(_) => "inherited",
    };
    Ok(Some(Held {
        kind: String::from(kind.namespace().spec_name),
        how: String::from(how),
        dev: is.dev,
        ino: is.ino,
        id: is.id,
    }))
}

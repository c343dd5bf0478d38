// SPDX-License-Identifier: Apache-2.0
//! systemd's Manager object: the few methods that a container needs. Source: org.freedesktop.systemd1(5).

use super::environment::{Environment, procfs};
use super::{Instance, Properties};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use insula_dbus::{Answer, Call, Connection, Message, Refusal, Value};
use insula_error::{Error, Result};

const SERVICE: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
/// Which signals of the manager the bus is to pass on.
const MATCH: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
     interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// The system's bus, where the environment names no other.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket;unix:path=/var/run/dbus/system_bus_socket";
/// systemd's own socket, for root: there while the bus is not (COMPAT(runc)).
const SYSTEM_SOCKET: &str = "/run/systemd/private";

/// How long systemd may take to start or stop a unit (COMPAT(runc)).
const PATIENCE: Duration = Duration::from_secs(30);

/// How a job ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job {
    Done,
    /// There is nothing to do it to.
    NoSuchUnit,
    /// Otherwise: systemd's word for it.
    Ended(String),
}

/// A connection to one.
#[derive(Debug)]
pub(super) struct Manager {
    connection: Connection,
    instance: Instance,
    listens: bool,
    version: Option<u32>,
}

fn call(member: &str) -> Call<'_> {
    Call { destination: SERVICE, path: OBJECT, interface: MANAGER, member }
}

fn refused(attempted: &str, object: &str, refusal: &Refusal) -> Error {
    let error = Error::state(format!("{attempted} over D-Bus"), refusal.text.clone()).object(object);
    match &*refusal.name {
        "org.freedesktop.DBus.Error.AccessDenied"
        | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
        | "org.freedesktop.DBus.Error.AuthFailed" => {
            error.advice("ask for a user namespace, so that the user's own systemd is asked, or run as root")
        }
        _ => error,
    }
}

impl Manager {
    pub(super) fn connect(instance: Instance) -> Result<Self> {
        let connection = match instance {
            Instance::System => system(),
            Instance::User => user(),
        }?;
        Ok(Self { connection, instance, listens: false, version: None })
    }

    fn property(&mut self, name: &str) -> Result<String> {
        let get = Call { interface: "org.freedesktop.DBus.Properties", ..call("Get") };
        let answer = self.connection.call(&get, &[Value::text(MANAGER), Value::text(name)])?;
        let message = answer.map_err(|refusal| refused("ask systemd", name, &refusal))?;
        let text = message.body.first().and_then(Value::as_text).map(String::from);
        text.ok_or_else(|| Error::state("ask systemd over D-Bus", "the property is no text").object(name))
    }

    /// The release, such as 252. One that does not say counts as the first that is supported.
    pub(super) fn version(&mut self) -> Result<u32> {
        if let Some(version) = self.version {
            return Ok(version);
        }
        let version = release(&self.property("Version")?).unwrap_or(OLDEST);
        self.version = Some(version);
        Ok(version)
    }

    /// Path of the manager's own cgroup, below which all of its units are.
    pub(super) fn control_group(&mut self) -> Result<String> {
        self.property("ControlGroup")
    }

    /// Asks for the signals that say how jobs end, once.
    fn listen(&mut self) -> Result<()> {
        if self.listens {
            return Ok(());
        }
        if self.connection.is_bus() {
            let add = Call {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                member: "AddMatch",
            };
            // Both at once: the answers come in order.
            let matched = self.connection.start(&add, &[Value::text(MATCH)])?;
            let subscribed = self.connection.start(&call("Subscribe"), &[])?;
            self.connection.answer(matched)?.map_err(|refusal| refused("listen to systemd", "AddMatch", &refusal))?;
            self.connection
                .answer(subscribed)?
                .map_err(|refusal| refused("listen to systemd", "Subscribe", &refusal))?;
        }
        self.listens = true;
        Ok(())
    }

    /// Calls a method that starts a job, and waits for the job's end.
    fn job(&mut self, member: &str, body: &[Value]) -> Result<core::result::Result<Job, Refusal>> {
        self.listen()?;
        let reply = match self.connection.call(&call(member), body)? {
            Ok(reply) => reply,
            Err(refusal) if refusal.name == NO_SUCH_UNIT => return Ok(Ok(Job::NoSuchUnit)),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let job = reply.body.first().and_then(Value::as_text).unwrap_or_default();
        // Nobody else can speak in the name of who answered.
        let is_ours = |signal: &Message| {
            signal.sender == reply.sender
                && signal.member.as_deref() == Some("JobRemoved")
                && signal.interface.as_deref() == Some(MANAGER)
                && signal.body.get(1).and_then(Value::as_text) == Some(job)
        };
        let signal = self.connection.signal(PATIENCE, is_ours)?;
        let result = signal.body.get(3).and_then(Value::as_text).unwrap_or_default();
        Ok(Ok(if result == "done" { Job::Done } else { Job::Ended(result.to_string()) }))
    }

    /// Makes and starts a unit.
    pub(super) fn start_transient(&mut self, name: &str, properties: &Properties) -> Result<()> {
        const ATTEMPTED: &str = "have systemd start the unit";
        let body = [
            Value::text(name),
            Value::text("replace"),
            encoded(properties),
            Value::Array("(sa(sv))".to_string(), Vec::new()),
        ];
        let mut answer = self.job("StartTransientUnit", &body)?;
        if matches!(&answer, Err(refusal) if refusal.name == UNIT_EXISTS) {
            // It may be what is left of one that failed; then it goes now.
            self.reset_failed(name)?;
            answer = self.job("StartTransientUnit", &body)?;
        }
        match answer {
            Ok(Job::Done) => Ok(()),
            Ok(job) => {
                let word = if let Job::Ended(word) = job { word } else { "NoSuchUnit".to_string() };
                let _ = self.reset_failed(name);
                let advice = match self.instance {
                    Instance::System => "see `journalctl -u` with the unit's name",
                    Instance::User => "see `journalctl --user -u` with the unit's name",
                };
                Err(Error::state(ATTEMPTED, format!("its job ended with {word:?}")).object(name).advice(advice))
            }
            Err(refusal) => Err(refused(ATTEMPTED, name, &refusal)),
        }
    }

    pub(super) fn stop(&mut self, name: &str) -> Result<Job> {
        let answer = self.job("StopUnit", &[Value::text(name), Value::text("replace")])?;
        answer.map_err(|refusal| refused("have systemd stop the unit", name, &refusal))
    }

    /// Has a failed unit forgotten. One that has not failed, or is not there, is fine.
    pub(super) fn reset_failed(&mut self, name: &str) -> Result<()> {
        let _: Answer = self.connection.call(&call("ResetFailedUnit"), &[Value::text(name)])?;
        Ok(())
    }

    pub(super) fn set_properties(&mut self, name: &str, properties: &Properties) -> Result<()> {
        // `true`: until the unit ends.
        let body = [Value::text(name), Value::Bool(true), encoded(properties)];
        match self.connection.call(&call("SetUnitProperties"), &body)? {
            Ok(_) => Ok(()),
            Err(refusal) => Err(refused("set properties of the systemd unit", name, &refusal)),
        }
    }
}

/// `a(sv)`
fn encoded(properties: &Properties) -> Value {
    let property =
        |(name, value): &(String, Value)| Value::Struct(Vec::from([Value::text(name), value.clone().variant()]));
    Value::Array("(sv)".to_string(), properties.iter().map(property).collect())
}

/// The oldest release that is supported.
const OLDEST: u32 = 240;

/// `v245.4-1.fc32`, `245`, `252 (252.36-1~deb12u1)` as a number.
fn release(text: &str) -> Option<u32> {
    let text = text.trim_start_matches(['"', 'v']);
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn system() -> Result<Connection> {
    let environment = Environment::read();
    if let Some(address) = environment.get("DBUS_SYSTEM_BUS_ADDRESS") {
        return Connection::to_bus(address);
    }
    Connection::to_bus(SYSTEM_BUS).or_else(|error| {
        if rustix::process::geteuid().is_root()
            && let Ok(connection) = Connection::to_service(SYSTEM_SOCKET)
        {
            return Ok(connection);
        }
        let running = rustix::fs::stat("/run/systemd/system").is_ok();
        Err(error.advice(if running {
            "systemd runs here, and neither the system's bus nor systemd itself answers: install or start dbus"
        } else {
            "systemd does not run here: leave out --systemd-cgroup; for Docker: --exec-opt native.cgroupdriver=cgroupfs"
        }))
    })
}

/// The bus of the user's session: by its address, in the runtime directory, or where that is by custom; else the user's
/// systemd itself.
fn user() -> Result<Connection> {
    let environment = Environment::read();
    if let Some(address) = environment.get("DBUS_SESSION_BUS_ADDRESS") {
        return Connection::to_bus(address);
    }
    let directory = match environment.get("XDG_RUNTIME_DIR") {
        Some(directory) => directory.to_string(),
        None => format!("/run/user/{}", outer_user()),
    };
    let bus = format!("unix:path={}", insula_dbus::escape(&format!("{directory}/bus")));
    Connection::to_bus(&bus).or_else(|error| {
        Connection::to_service(&format!("{directory}/systemd/private")).map_err(|_| {
            error.advice(
                "rootless with systemd needs the user's session: log in rather than su, have dbus-user-session installed, \
                 or set DBUS_SESSION_BUS_ADDRESS",
            )
        })
    })
}

/// The user outside of the user namespace that this process may be in (user_namespaces(7)).
fn outer_user() -> u32 {
    let own = rustix::process::geteuid().as_raw();
    let map = procfs("/proc/self/uid_map").unwrap_or_default();
    let outside = map.lines().find_map(|line| {
        let mut numbers = line.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok());
        let (inside, outside, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
        own.checked_sub(inside).filter(|distance| *distance < count).map(|distance| outside + distance)
    });
    outside.unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        for (text, number) in [
            ("257.9-1~deb13u1", Some(257)),
            ("v245.4-1.fc32", Some(245)),
            ("\"v252\"", Some(252)),
            ("245", Some(245)),
            ("", None),
            ("unknown", None),
        ] {
            assert_eq!(release(text), number, "{text}");
        }
    }

    #[test]
    fn without_a_user_namespace_a_user_is_itself() {
        assert_eq!(outer_user(), rustix::process::geteuid().as_raw());
    }
}

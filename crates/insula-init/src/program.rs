// SPDX-License-Identifier: Apache-2.0
//! Finding the user's program in the container, its home directory, and becoming it.

use crate::fault::{Fault, Of, On, Outcome};
use crate::paths::{as_c_str, c_string, open_in};
use crate::walk::Init;
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_steps::Strings;
use insula_steps::message::Call;
use insula_sys::process::{StringList, execve};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

impl Init {
    /// [`insula_steps::Step::Find`]: as Go's exec.LookPath does it, because engines turn its words into exit statuses.
    /// The path that is found is kept for [`Init::exec`].
    pub(crate) fn find(&mut self, program: &CStr, path: &CStr) -> Outcome<()> {
        let name = program.to_bytes();
        if name.contains(&b'/') {
            executable(program).of(Call::Find).on(name)?;
            self.program = Vec::from(program.to_bytes_with_nul());
            return Ok(());
        }
        for dir in path.to_bytes().split(|byte| *byte == b':') {
            let mut whole = Vec::from(if dir.is_empty() { b"." } else { dir });
            whole.push(b'/');
            whole.extend_from_slice(program.to_bytes_with_nul());
            if executable(as_c_str(&whole)).is_ok() {
                self.program = whole;
                return Ok(());
            }
        }
        Err(Fault::new(Call::Find, Errno::NOENT).on(name))
    }

    /// [`insula_steps::Step::Home`]
    pub(crate) fn home(&mut self, uid: u32) {
        let mut home = Vec::from(&b"HOME="[..]);
        let open = open_in(self.root(), c"/etc/passwd", OFlags::NONBLOCK, Mode::empty(), ResolveFlags::empty());
        let found = open.ok().and_then(|file| {
            let stat = rustix::fs::fstat(&file).ok()?;
            // Neither a fifo nor something huge is a password file.
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_size > 1 << 20 {
                return None;
            }
            let mut text = Vec::with_capacity(stat.st_size as usize + 1);
            while rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text)).ok()? > 0 && text.len() < 1 << 20 {
                text.reserve(1);
            }
            directory_of(&text, uid).map(Vec::from)
        });
        home.extend_from_slice(found.as_deref().unwrap_or(b"/"));
        self.home = Some(c_string(&home));
    }

    /// [`insula_steps::Step::Exec`]: returns only on failure.
    pub(crate) fn exec(&self, argv: Strings<'_>, env: Strings<'_>) -> Outcome<()> {
        let argv: StringList<'_> = argv.iter().collect();
        let mut environment = StringList::with_capacity(env.len() + 1);
        for entry in env.iter() {
            environment.push(entry);
        }
        if let Some(home) = &self.home {
            environment.push(as_c_str(home));
        }
        let errno = execve(as_c_str(&self.program), &argv, &environment);
        Err(Fault::new(Call::Execve, errno).on(as_c_str(&self.program).to_bytes()))
    }
}

/// Whether `path` is a file that the process, as it is now, may execute.
fn executable(path: &CStr) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(Errno::ACCESS),
        _ if stat.st_mode & 0o111 == 0 => Err(Errno::ACCESS),
        _ => rustix::fs::accessat(CWD, path, rustix::fs::Access::EXEC_OK, AtFlags::EACCESS),
    }
}

/// The home directory of `uid` in the text of a passwd(5) file.
fn directory_of(text: &[u8], uid: u32) -> Option<&[u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':').skip(2);
        let number = fields.next()?;
        let parsed = number.iter().try_fold(0_u32, |n, digit| {
            n.checked_mul(10)?.checked_add(u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))
        });
        if number.is_empty() || parsed != Some(uid) {
            return None;
        }
        fields.nth(2).filter(|home| !home.is_empty())
    })
}

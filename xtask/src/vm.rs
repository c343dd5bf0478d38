// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask vm-test`: the tests of this host's build inside a virtual machine that has what a build machine may
//! lack: systemd, cgroup version 2 with all controllers, a distribution's kernel.
//!
//! The image is made without root tricks (mmdebstrap, `mke2fs -d`) and kept; the machine boots on a throw-away
//! snapshot of it, gets everything on a second disk, and answers through ports of its serial device.

mod image;
mod lane;
mod machine;
mod pack;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::setup;
use crate::shell::{cargo, output, program, run as execute, target};
use crate::test::unexpected;
use lane::{LANES, Lane};

/// What `vm-test` exits with where no virtual machine can be had: neither passed nor failed.
const SKIPPED: u8 = 77;

/// Time for a whole lane, in which it must be done on two busy cores.
const LANE_LIMIT: Duration = Duration::from_mins(40);

/// What one test program may take, in seconds.
const PROGRAM_LIMIT: u32 = 900;

/// `cargo xtask vm-test [LANE] [NAME...] [-- FILTER...]`: the lane's own selection of test programs, or those named.
pub(crate) fn test(args: &[String]) -> Outcome {
    let split = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (words, filter) = (&args[..split], args.get(split + 1..).unwrap_or_default());
    let (lane, names) = lane_of(words);
    if let Some(reason) = setup::ensure_machine()? {
        eprintln!("vm-test: SKIPPED, nothing was tested: {reason}");
        return Ok(ExitCode::from(SKIPPED));
    }
    let started = Instant::now();
    execute(&mut cargo(["build", "--release", "--package", "insula"]))?;
    let names = lane.choose(names);
    let programs = pack::test_programs(&names)?;
    let image = image::ensure(lane)?;
    let place = Place::new(lane)?;
    let input = pack::suite(&place.path("in"), &programs, filter, PROGRAM_LIMIT)?;
    let (ready, booted) = (started.elapsed(), Instant::now());
    let end = machine::run(&image, lane.kernel, &input, place.dir(), LANE_LIMIT)?;
    let skips = std::fs::read_to_string(place.path("back/skipped")).unwrap_or_default();
    let unexpected = unexpected(&skips, &lane.skips(include_str!("vm/skips-allowed.txt")));
    eprintln!(
        "vm-test: lane {}: {} test programs, {} skipped tests; {} s for builds and image, {} s in the machine",
        lane.name,
        programs.len(),
        skips.lines().count(),
        ready.as_secs(),
        booted.elapsed().as_secs()
    );
    if !unexpected.is_empty() {
        place.keep();
        return Err(format!("skipped, but not in xtask/src/vm/skips-allowed.txt:\n{}", unexpected.join("\n")));
    }
    if end != 0 {
        eprintln!("vm-test: journal and serial log: {}", place.keep().display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// `cargo xtask vm-run [LANE] SCRIPT [FILE...]`: a script of yours inside, as root, in a directory with insula, the
/// test programs (`tests/`) and the files named. What it leaves in /out comes back.
pub(crate) fn run(args: &[String]) -> Outcome {
    let (lane, words) = lane_of(args);
    let Some((script, files)) = words.split_first() else {
        return Err("usage: cargo xtask vm-run [LANE] SCRIPT [FILE...]".into());
    };
    if let Some(reason) = setup::ensure_machine()? {
        return Err(reason);
    }
    execute(&mut cargo(["build", "--release", "--package", "insula"]))?;
    let image = image::ensure(lane)?;
    let place = Place::new(lane)?;
    let input = pack::script(&place.path("in"), Path::new(script), files)?;
    let code = machine::run(&image, lane.kernel, &input, place.dir(), LANE_LIMIT)?;
    eprintln!("vm-run: exit code {code}; journal, serial log and what was in /out: {}", place.keep().display());
    Ok(ExitCode::from(code))
}

/// The lane that the first word names, else the first one, and the other words.
fn lane_of(words: &[String]) -> (&'static Lane, &[String]) {
    match words.first().and_then(|word| LANES.iter().find(|lane| lane.name == word)) {
        Some(lane) => (lane, &words[1..]),
        None => (&LANES[0], words),
    }
}

/// A run's directory. It goes with this value unless it is kept.
struct Place {
    dir: PathBuf,
    kept: std::cell::Cell<bool>,
}

impl Place {
    fn new(lane: &Lane) -> Result<Self, String> {
        let dir = target().join("vm").join(format!("{}-{}", lane.name, std::process::id()));
        for part in ["in", "back"] {
            let path = dir.join(part);
            std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(Self { dir, kept: std::cell::Cell::new(false) })
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Leaves what came back for somebody to look at.
    fn keep(&self) -> PathBuf {
        self.kept.set(true);
        self.path("back")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.path("in"));
        if !self.kept.get() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A tar archive of a directory's content.
fn archive(directory: &Path, archive: &Path) -> Result<(), String> {
    output(program("tar").arg("-C").arg(directory).arg("-cf").arg(archive).arg(".")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_may_name_a_lane() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let named = words(&["bookworm", "pause"]);
        assert_eq!((lane_of(&named).0.name, lane_of(&named).1), ("bookworm", &named[1..]));
        let unnamed = words(&["pause"]);
        assert_eq!((lane_of(&unnamed).0.name, lane_of(&unnamed).1), (LANES[0].name, &unnamed[..]));
    }

    #[test]
    fn a_place_goes_unless_kept() {
        let place = Place::new(&LANES[0]).unwrap();
        let dir = place.dir().to_owned();
        assert!(dir.join("in").is_dir());
        drop(place);
        assert!(!dir.exists());
    }
}

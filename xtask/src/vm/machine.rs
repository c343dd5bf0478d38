// SPDX-License-Identifier: Apache-2.0
//! One run of a virtual machine: qemu's command line, what it prints, and how it ended.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::{output, program};

/// MiB of memory: every test has a tmpfs of its own.
const MEMORY: &str = "2048";

/// The kernel's words: nothing on the console that takes time, the unit that does the work instead of a login, and
/// patience, for a busy host.
const KERNEL: &str = "console=ttyS0 quiet panic=-1 systemd.unit=insula-vm.service systemd.show_status=no \
    systemd.default_timeout_start_sec=900 systemd.service_watchdogs=no no_timer_check mitigations=off random.trust_cpu=on";

/// Boots the image, `kernel` being further words for its kernel, with the archive `input` as its second disk. What its script prints goes to standard output; what
/// it leaves comes into `dir/back`, with the journal and the serial log. The script's exit code.
pub(super) fn run(image: &Path, kernel: &str, input: &Path, dir: &Path, limit: Duration) -> Result<u8, String> {
    let back = dir.join("back");
    let file = |name: &str| back.join(name);
    let fail = |error| format!("{}: {error}", back.display());
    for name in PORTS {
        fs::write(file(name), "").map_err(fail)?;
    }
    let log = File::create(file("qemu.log")).map_err(fail)?;
    let mut child = qemu(image, kernel, input, &back)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(fail)?)
        .stderr(log)
        .spawn()
        .map_err(|error| format!("qemu-system-x86_64: {error}"))?;
    let ended = follow(&mut child, &file("output"), limit).map_err(fail);
    // However that went, no machine is left behind.
    let _ = child.kill();
    let _ = child.wait();
    let in_time = ended?;
    // The archive is empty if the machine did not get so far, which the status tells.
    let _ = output(program("tar").arg("-C").arg(&back).arg("-xf").arg(file("files")));
    let _ = fs::remove_file(file("files"));
    let status = fs::read_to_string(file("status")).map_err(fail)?;
    status.trim().parse().map_err(|_| {
        let what = if in_time { "ended without a result".into() } else { format!("took more than {limit:?}") };
        let serial = fs::read(file("serial.log")).unwrap_or_default();
        let serial = String::from_utf8_lossy(&serial);
        let lines: Vec<&str> = serial.lines().collect();
        let qemu = fs::read_to_string(file("qemu.log")).unwrap_or_default();
        let last = lines[lines.len().saturating_sub(30)..].join("\n");
        format!("the machine {what}; the end of its console:\n{last}\n{qemu}")
    })
}

/// The serial device's ports, each a file of that name.
const PORTS: [&str; 4] = ["output", "files", "journal", "status"];

fn qemu(image: &Path, kernel: &str, input: &Path, back: &Path) -> Command {
    let accelerator = if has_kvm() { "kvm" } else { "tcg,thread=multi,tb-size=512" };
    // Five levels of page tables would cost a fifth of the speed where they are walked by software.
    let processor = if has_kvm() { "host" } else { "max,la57=off" };
    let mut qemu = program("qemu-system-x86_64");
    qemu.args(["-accel", accelerator, "-cpu", processor, "-smp", "2", "-m", MEMORY])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(image.join("vmlinuz"))
        .arg("-initrd")
        .arg(image.join("initrd"))
        .arg("-append")
        .arg(format!("{KERNEL} {kernel}"));
    let mut drive = |file: &Path, options| {
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,{options}", file.display()));
    };
    drive(&image.join("disk"), "snapshot=on,cache=unsafe");
    drive(input, "readonly=on");
    qemu.arg("-serial").arg(format!("file:{}", back.join("serial.log").display()));
    qemu.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
    for port in PORTS {
        qemu.arg("-chardev").arg(format!("file,id={port},path={}", back.join(port).display()));
        qemu.arg("-device").arg(format!("virtserialport,chardev={port},name={port}"));
    }
    qemu
}

/// Whether the processor's own virtualization can be used. A /dev/kvm alone does not say so: where the machine is a
/// virtual one itself, it may be there and fail.
fn has_kvm() -> bool {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let virtualizes = flags
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| line.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"));
    virtualizes && File::options().read(true).write(true).open("/dev/kvm").is_ok()
}

/// Copies what comes into the file `text` to standard output until the machine ends; `false` if it did not in time.
fn follow(child: &mut Child, text: &Path, limit: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + limit;
    let mut text = File::open(text)?;
    let mut stdout = std::io::stdout();
    loop {
        let ended = child.try_wait()?.is_some();
        let mut piece = Vec::new();
        text.read_to_end(&mut piece)?;
        stdout.write_all(&piece)?;
        stdout.flush()?;
        if ended {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_followed_to_its_end() {
        let path = std::env::temp_dir().join(format!("insula-vm-follow-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let sleeper = |seconds| Command::new("sleep").arg(seconds).spawn().unwrap();
        assert!(follow(&mut sleeper("0.01"), &path, Duration::from_mins(1)).unwrap());
        let mut child = sleeper("60");
        assert!(!follow(&mut child, &path, Duration::from_millis(1)).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_file(&path).unwrap();
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Statistics and news of a lack of memory, from cgroups in which something happens.

use crate::scratch::{PATIENCE, Scratch, Sleeper, cannot_run, default_rules, read, resources, rest};
use insula_cgroup::{Group, Layout, Mode, OomEvent};
use insula_error::Kind;
use std::time::{Duration, Instant};

#[test]
fn counters_count() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    created.apply(&resources("{}"), &default_rules()).unwrap();
    let busy = Sleeper::start(&created.open_for_join(&[]).unwrap(), || {
        loop {
            let _ = rustix::fs::statfs(c"/");
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let stats = loop {
        let stats = created.stats().unwrap();
        if stats.cpu.usage.total > 30_000_000 && stats.cpu.usage.kernel + stats.cpu.usage.user > 0 {
            break stats;
        }
        assert!(Instant::now() < deadline, "{:?}", stats.cpu);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(stats.pids.current, 1);
    assert_eq!(stats.pids.limit, 0);
    if Layout::probe().unwrap().mode() != Mode::Unified {
        assert_eq!(stats.cpu.usage.percpu.len(), stats.cpu.usage.percpu_kernel.len());
        assert!(stats.cpu.usage.percpu.iter().sum::<u64>() > 0);
        assert!(stats.memory.usage.limit > 0 && stats.memory.raw.iter().any(|(key, _)| key == "rss"));
        assert!(stats.cpuset.cpus.contains(&0) && stats.cpuset.mems.contains(&0));
        assert_eq!(stats.cpuset.sched_load_balance, 1);
        Group::apply(&created, &resources(r#"{"pids":{"limit":9},"memory":{"limit":67108864}}"#), None).unwrap();
        let limited = created.stats().unwrap();
        assert_eq!((limited.pids.limit, limited.memory.usage.limit), (9, 67_108_864));
    } else if read(&created, "", "hugetlb.2MB.current").is_some() {
        assert!(stats.hugetlb.iter().any(|(size, counters)| size == "2MB" && counters.usage == 0));
    }
    drop(busy);
}

#[test]
fn a_lack_of_memory_is_news() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let has_memory =
        read(&created, "memory", "memory.limit_in_bytes").is_some() || read(&created, "", "memory.max").is_some();
    if !has_memory {
        let error = created.watch_oom().unwrap_err();
        assert!(error.errno() == Some(2) || error.kind() == Kind::Unsupported, "{error}");
        println!("skipped: no memory controller");
        return;
    }
    Group::apply(&created, &resources(r#"{"memory":{"limit":4194304,"swap":4194304}}"#), None).unwrap();
    assert_eq!(created.oom_kills().unwrap(), 0);
    let held = Sleeper::enter(&created.open_for_join(&[]).unwrap());
    let mut watch = created.watch_oom().unwrap();
    assert_eq!(watch.wait(Duration::from_millis(20)).unwrap(), OomEvent::Timeout);
    let greedy = Sleeper::start(&created.open_for_join(&[]).unwrap(), || {
        if let Ok(fd) = rustix::fs::memfd_create(c"greed", rustix::fs::MemfdFlags::CLOEXEC) {
            while rustix::io::write(&fd, &[1_u8; 4096]).is_ok() {}
        }
        loop {
            rest();
        }
    });
    assert_eq!(watch.wait(PATIENCE).unwrap(), OomEvent::OutOfMemory);
    // v1 reports before it kills
    let deadline = Instant::now() + PATIENCE;
    while created.oom_kills().unwrap() == 0 {
        assert!(Instant::now() < deadline, "nothing was killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop((greedy, held));
    created.wait_empty(PATIENCE).unwrap();
    created.remove(PATIENCE).unwrap();
    let mut last = watch.wait(PATIENCE).unwrap();
    for _ in 0..20 {
        if last == OomEvent::Ended {
            break;
        }
        last = watch.wait(PATIENCE).unwrap();
    }
    assert_eq!(last, OomEvent::Ended);
}

// SPDX-License-Identifier: Apache-2.0
//! Pods as Kubernetes makes them: containerd's CRI plugin with the handler `insula`, driven by a small client.
//! Source: k8s.io/cri-api, pkg/apis/runtime/v1/api.proto, for the numbers of fields.

use crate::grpc::call;
use crate::machine::{Machine, machine_and_lab};
use crate::protobuf::{self, Message};
use insula_tests::{Lab, eventually, parse_json};
use std::collections::BTreeMap;

/// `NamespaceMode`.
#[derive(Clone, Copy)]
enum Mode {
    Pod = 0,
    Container = 1,
    Node = 2,
    Target = 3,
}

/// The namespaces of a pod and of a container in it.
#[derive(Clone)]
struct Namespaces {
    network: Mode,
    pid: Mode,
    ipc: Mode,
    target: String,
}

/// What Kubernetes asks for unless told otherwise: each container has its own pid namespace.
const USUAL: Namespaces =
    Namespaces { network: Mode::Pod, pid: Mode::Container, ipc: Mode::Pod, target: String::new() };

impl Namespaces {
    /// The message `NamespaceOption`.
    fn message(&self) -> Message {
        let message = Message::default().number(1, self.network as u64).number(2, self.pid as u64);
        message.number(3, self.ipc as u64).text(4, &self.target)
    }
}

/// A pod that is stopped and removed in the end.
struct Pod<'a> {
    machine: &'a Machine,
    lab: &'a Lab,
    id: String,
    /// The message `PodSandboxConfig`.
    config: Message,
    namespaces: Namespaces,
}

impl<'a> Pod<'a> {
    /// `RunPodSandbox` with the runtime handler `insula`.
    #[track_caller]
    fn start(machine: &'a Machine, lab: &'a Lab, name: &str, namespaces: Namespaces) -> Self {
        let name = format!("{}-{name}", lab.name());
        let metadata = Message::default().text(1, &name).text(2, &name).text(3, "default");
        let security = Message::default().message(1, &namespaces.message());
        let linux = Message::default().message(2, &security);
        // With the node's network comes its name.
        let hostname = if matches!(namespaces.network, Mode::Node) { "" } else { "island" };
        let config = Message::default().message(1, &metadata).text(2, hostname).message(8, &linux);
        let mut pod = Self { machine, lab, id: String::new(), config, namespaces };
        let request = Message::default().message(1, &pod.config).text(2, "insula");
        pod.id = protobuf::text(&pod.ask("RunPodSandbox", &request), 1);
        pod
    }

    /// Calls a method, which must succeed.
    #[track_caller]
    fn ask(&self, method: &str, request: &Message) -> Vec<u8> {
        let socket = self.machine.path("/run/containerd/containerd.sock");
        let method = format!("/runtime.v1.RuntimeService/{method}");
        let answer = call(&socket, &method, request.bytes());
        answer.unwrap_or_else(|error| panic!("{error}\n{}", self.machine.log("containerd")))
    }

    /// Creates and starts a container of busybox with the pod's namespaces or others.
    #[track_caller]
    fn container(&self, name: &str, namespaces: Option<&Namespaces>, command: &[&str]) -> String {
        let metadata = Message::default().text(1, name);
        let image = Message::default().text(1, "docker.io/library/busybox:latest");
        let namespaces = namespaces.unwrap_or(&self.namespaces).message();
        let linux = Message::default().message(2, &Message::default().message(3, &namespaces));
        let config = Message::default().message(1, &metadata).message(2, &image).texts(3, command).message(15, &linux);
        let request = Message::default().text(1, &self.id).message(2, &config).message(3, &self.config);
        let id = protobuf::text(&self.ask("CreateContainer", &request), 1);
        self.ask("StartContainer", &Message::default().text(1, &id));
        id
    }

    /// The state (`ContainerState`: 1 running, 2 exited) and the exit code of a container.
    #[track_caller]
    fn status(&self, id: &str) -> (u64, u64) {
        let answer = self.ask("ContainerStatus", &Message::default().text(1, id));
        let status = protobuf::all(&answer, 1)[0];
        (protobuf::number(status, 3), protobuf::number(status, 7))
    }

    /// The namespaces of a container's or a sandbox's first process, `kind` to `kind:[inode]`.
    #[track_caller]
    fn links(&self, method: &str, id: &str) -> BTreeMap<String, String> {
        let answer = self.ask(method, &Message::default().text(1, id).number(2, 1));
        // map<string, string> info: an entry is a message of key and value.
        let entries = protobuf::all(&answer, 2);
        let info = entries.iter().find(|entry| protobuf::text(entry, 1) == "info").expect("verbose information");
        let pid = parse_json(protobuf::text(info, 2))["pid"].as_i64().expect("a process id");
        kinds(&self.machine.ok(self.lab, &format!("readlink /proc/{pid}/ns/*")))
    }

    /// The namespaces of a process that `ExecSync` starts in a container.
    #[track_caller]
    fn links_of_exec(&self, id: &str) -> BTreeMap<String, String> {
        kinds(&self.exec(id, "for link in /proc/self/ns/*; do readlink $link; done"))
    }

    /// `ExecSync` of a shell script, which must succeed; its standard output.
    #[track_caller]
    fn exec(&self, id: &str, script: &str) -> String {
        let (code, printed) = self.exec_with_code(id, script);
        assert_eq!(code, 0, "{script}: {printed}");
        printed
    }

    #[track_caller]
    fn exec_with_code(&self, id: &str, script: &str) -> (u64, String) {
        let request = Message::default().text(1, id).texts(2, &["sh", "-c", script]).number(3, 100);
        let answer = self.ask("ExecSync", &request);
        (protobuf::number(&answer, 3), protobuf::text(&answer, 1) + &protobuf::text(&answer, 2))
    }

    /// Everything in the pod is as planned.
    #[track_caller]
    fn verify(&self, ids: &[&str]) {
        let report = self.machine.ok(self.lab, "insula --root /run/containerd/runc/k8s.io verify --all --format json");
        for id in ids {
            assert!(report.contains(id), "{id} is verified: {report}");
        }
    }

    /// Stops and removes the containers and the pod; nothing is left.
    #[track_caller]
    fn remove(self, containers: &[&str]) {
        for id in containers {
            self.ask("StopContainer", &Message::default().text(1, id).number(2, 0));
            self.ask("RemoveContainer", &Message::default().text(1, id));
        }
        self.ask("StopPodSandbox", &Message::default().text(1, &self.id));
        self.ask("RemovePodSandbox", &Message::default().text(1, &self.id));
        let states = self.machine.ok(self.lab, "ls /run/containerd/runc/k8s.io 2>/dev/null || true");
        for id in containers.iter().copied().chain([&*self.id]) {
            assert!(!states.contains(id), "{id} is left in {states}");
            eventually("the container's cgroups to go", || insula_tests::cgroups::named(id).is_empty().then_some(()));
        }
    }
}

/// Links such as `net:[4026531840]` by kind.
fn kinds(links: &str) -> BTreeMap<String, String> {
    let kind = |link: &str| link.split(':').next().unwrap_or_default().to_owned();
    let links = links.lines().map(|link| (kind(link), link.to_owned()));
    // What children will be in is not what the process is in.
    links.filter(|(kind, _)| !kind.ends_with("_for_children")).collect()
}

#[test]
fn two_containers_of_a_pod() {
    let (machine, lab) = machine_and_lab!();
    let pod = Pod::start(machine, &lab, "usual", USUAL);
    let web = pod.container("web", None, &["httpd", "-f", "-p", "8080", "-h", "/etc"]);
    let watch = pod.container("watch", None, &["sleep", "600"]);
    let sandbox = pod.links("PodSandboxStatus", &pod.id);
    let (one, two) = (pod.links("ContainerStatus", &web), pod.links("ContainerStatus", &watch));
    for kind in ["net", "ipc", "uts"] {
        assert_eq!(one[kind], sandbox[kind], "{kind}");
        assert_eq!(two[kind], sandbox[kind], "{kind}");
    }
    for kind in ["pid", "mnt"] {
        assert!(one[kind] != two[kind] && one[kind] != sandbox[kind] && two[kind] != sandbox[kind], "{kind}");
    }
    assert_eq!(pod.links_of_exec(&web), one);
    assert_eq!(pod.exec(&watch, "hostname"), "island\n");
    eventually("an answer over the pod's loopback", || {
        let (code, printed) = pod.exec_with_code(&watch, "wget -q -O - http://127.0.0.1:8080/passwd");
        (code == 0 && printed.contains("root")).then_some(())
    });
    assert!(pod.exec(&watch, "ip addr").contains("10.88.7."), "the network plugin's address");
    assert_eq!(pod.exec_with_code(&watch, "exit 7").0, 7);
    assert_eq!(pod.exec_with_code(&watch, "ps | grep -c '[h]ttpd'").1, "0\n");
    pod.verify(&[&pod.id, &web, &watch]);
    pod.remove(&[&web, &watch]);
}

/// The pod of dist/kubernetes/pod-shared.yaml.
#[test]
fn a_pod_that_shares_its_processes() {
    let (machine, lab) = machine_and_lab!();
    let pod = Pod::start(machine, &lab, "shared", Namespaces { pid: Mode::Pod, ..USUAL });
    let web = pod.container("web", None, &["httpd", "-f", "-p", "8080", "-h", "/etc"]);
    let watch = pod.container("watch", None, &["sh", "-c", "while sleep 5; do ps; done"]);
    let sandbox = pod.links("PodSandboxStatus", &pod.id);
    for id in [&web, &watch] {
        let links = pod.links("ContainerStatus", id);
        for kind in ["net", "ipc", "uts", "pid"] {
            assert_eq!(links[kind], sandbox[kind], "{kind}");
        }
        assert_ne!(links["mnt"], sandbox["mnt"]);
        assert_eq!(pod.links_of_exec(id), links);
    }
    eventually("the programs of all", || {
        let processes = pod.exec(&watch, "ps");
        (processes.contains("httpd -f") && processes.contains("sleep 86400")).then_some(())
    });
    pod.verify(&[&pod.id, &web, &watch]);
    // The end of one container is not the end of the others.
    pod.ask("StopContainer", &Message::default().text(1, &web).number(2, 0));
    assert_eq!(pod.status(&web), (2, 137));
    assert_eq!(pod.status(&watch).0, 1);
    assert_eq!(pod.exec_with_code(&watch, "ps | grep -c '[h]ttpd'").1, "0\n");
    pod.remove(&[&web, &watch]);
}

#[test]
fn a_pod_with_the_namespaces_of_its_node() {
    let (machine, lab) = machine_and_lab!();
    let host = Namespaces { network: Mode::Node, pid: Mode::Node, ipc: Mode::Node, target: String::new() };
    let pod = Pod::start(machine, &lab, "node", host);
    let agent = pod.container("agent", None, &["sleep", "600"]);
    let node = kinds(&machine.ok(&lab, "readlink /proc/1/ns/*"));
    let links = pod.links("ContainerStatus", &agent);
    for kind in ["net", "pid", "ipc"] {
        assert_eq!(links[kind], node[kind], "{kind}");
    }
    assert_ne!(links["mnt"], node["mnt"]);
    assert_eq!(pod.links_of_exec(&agent), links);
    pod.verify(&[&pod.id, &agent]);
    pod.remove(&[&agent]);
}

/// `kubectl debug --target`: a container that joins another one's pid namespace.
#[test]
fn a_container_that_debugs_another() {
    let (machine, lab) = machine_and_lab!();
    let pod = Pod::start(machine, &lab, "debug", USUAL);
    let web = pod.container("web", None, &["httpd", "-f", "-p", "8080"]);
    let options = Namespaces { pid: Mode::Target, target: web.clone(), ..USUAL };
    let debug = pod.container("debug", Some(&options), &["sleep", "600"]);
    let (one, two) = (pod.links("ContainerStatus", &web), pod.links("ContainerStatus", &debug));
    for kind in ["net", "ipc", "uts", "pid"] {
        assert_eq!(one[kind], two[kind], "{kind}");
    }
    assert_ne!(one["mnt"], two["mnt"]);
    eventually("the other's program", || {
        pod.exec(&debug, "tr '\\0' ' ' </proc/1/cmdline").starts_with("httpd -f").then_some(())
    });
    pod.verify(&[&pod.id, &web, &debug]);
    pod.remove(&[&debug, &web]);
}

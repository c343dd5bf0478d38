# SPDX-License-Identifier: Apache-2.0
# Makes this mount, network, pid namespace look like a machine with insula and its snippets installed as docs/engines.md
# says, and runs containerd and Docker there. $1: a directory for everything; $2: insula; $3: dist/ of the project;
# $4: a root file system of which images are made.
set -e
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
directory=$1 insula=$2 dist=$3 rootfs=$4

# cgroups: a part of each hierarchy, seen as all of it.
controllers=$(sed -n 's/^[0-9]*:\(.*\):.*$/\1/p' /proc/self/cgroup)
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    part=$hierarchy/${directory##*/}
    mkdir "$part"
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$part/$file" ] || [ -n "$(cat "$part/$file")" ] || cat "$hierarchy/$file" >"$part/$file" || true
    done
    [ ! -e "$part/cgroup.clone_children" ] || echo 1 >"$part/cgroup.clone_children"
    echo $$ >"$part/cgroup.procs"
done
export controllers directory insula dist rootfs
exec unshare --cgroup sh -e -c '
version=$(stat -f -c %T /sys/fs/cgroup)
umount -R /sys/fs/cgroup
if [ "$version" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir /sys/fs/cgroup/init
    echo $$ >/sys/fs/cgroup/init/cgroup.procs
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
    done
else
    mount -t tmpfs cgroups /sys/fs/cgroup
    for controller in $controllers; do
        place=/sys/fs/cgroup/${controller#name=}
        mkdir "$place"
        mount -t cgroup -o "$controller" cgroup "$place" || rmdir "$place"
    done
fi

mkdir -p /run/upper/etc /run/upper/work /run/upper/bin "$directory/lib"
install -m 755 "$insula" /run/upper/bin/insula
mount -t overlay -o lowerdir=/run/upper/bin:/usr/bin programs /usr/bin
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper/etc,workdir=/run/upper/work settings /etc
mount --bind "$directory/lib" /var/lib
mount -t tmpfs opt /opt
# What README.md installs stays here.
mount -t tmpfs local /usr/local/bin

# What docs/engines.md says to install.
mkdir -p /etc/docker /etc/containerd /etc/containers/containers.conf.d
cp "$dist/docker/daemon.json" /etc/docker/daemon.json
cp "$dist/podman/50-insula.conf" /etc/containers/containers.conf.d/
# And what belongs to this machine: nothing is fetched, no iptables, a bridge without a way out.
cp "$dist/containerd/config-v1.toml" /etc/containerd/config.toml
cat >>/etc/containerd/config.toml <<END
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:latest"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cri-net.d"
END
mkdir /etc/cri-net.d
cat >/etc/cri-net.d/10-pods.conflist <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
  "subnet": "10.88.7.0/24", "dataDir": "/run/pods"}}]}
END
cat >/etc/containers/containers.conf.d/10-machine.conf <<END
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
infra_image = "localhost/pause:latest"
END
cat >/etc/containers/policy.json <<END
{"default": [{"type": "insecureAcceptAnything"}]}
END

# One archive for every engine: busybox, and what keeps a sandbox alive.
image=/run/image; mkdir $image; tar -C "$rootfs" -cf $image/layer.tar .
layer=$(sha256sum $image/layer.tar | cut -d " " -f 1)
describe() {
    echo "{\"architecture\": \"$(uname -m | sed s/x86_64/amd64/)\", \"os\": \"linux\", \"config\": {\"Cmd\": [$2],
      \"Env\": [\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"]},
      \"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"sha256:$layer\"]}}" >$image/$1.json
}
describe busybox "\"sh\""
describe pause "\"sleep\", \"86400\""
cat >$image/manifest.json <<END
[{"Config": "busybox.json", "Layers": ["layer.tar"],
  "RepoTags": ["docker.io/library/busybox:latest", "docker.io/library/busybox:stable"]},
 {"Config": "pause.json", "Layers": ["layer.tar"], "RepoTags": ["localhost/pause:latest"]}]
END
tar -C $image -cf "$directory/images.tar" manifest.json busybox.json pause.json layer.tar

containerd >"$directory/containerd.log" 2>&1 &
until ctr version >/dev/null 2>&1; do sleep 0.1; done
ctr --namespace k8s.io images import --snapshotter native "$directory/images.tar"
ctr images import "$directory/images.tar"
if command -v dockerd >/dev/null; then
    dockerd --containerd /run/containerd/containerd.sock --iptables=false --ip6tables=false >"$directory/dockerd.log" 2>&1 ||
        dockerd --containerd /run/containerd/containerd.sock --bridge=none --iptables=false >"$directory/dockerd.log" 2>&1 &
    until docker load --input "$directory/images.tar" >/dev/null 2>&1; do sleep 0.1; done
fi
podman load --input "$directory/images.tar"
mkdir /run/page && cp -r "$dist" /run/page/dist
touch "$directory/ready"
wait
'

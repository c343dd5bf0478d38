// SPDX-License-Identifier: Apache-2.0
//! insula below real engines: docker, containerd's ctr and CRI plugin, podman, buildah.

mod buildah;
mod containerd;
mod cri;
mod daemon;
mod docker;
mod docker_life;
mod docker_options;
mod docker_remap;
mod grpc;
mod machine;
mod nested;
mod page;
mod podman;
mod podman_life;
mod protobuf;

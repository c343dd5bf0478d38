// SPDX-License-Identifier: Apache-2.0
//! insula below real engines: docker, containerd's ctr, podman.

mod containerd;
mod daemon;
mod docker;
mod docker_options;
mod podman;

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! BPF programs that only tests and benches load, compiled by the build script.

/// The bucket index function with the loader's resolution: bpf/bucket.bpf.c.
pub const BUCKET_FINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bucket-fine.bpf.o"));
/// The same with the resolution of the objects for ebpf_exporter.
pub const BUCKET_LOG2: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bucket-log2.bpf.o"));

/// The object for ebpf_exporter with one program more: bpf/inject.bpf.c.
pub const INJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inject.bpf.o"));
/// The same for kernels before 5.19.
pub const INJECT_BEFORE_5_19: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/before-5.19/inject.bpf.o"));

/// Programs that do next to nothing: bpf/floor.bpf.c.
pub mod floor {
    #![allow(clippy::all, clippy::undocumented_unsafe_blocks)]
    include!(concat!(env!("OUT_DIR"), "/floor.skel.rs"));
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Compiles the BPF programs that only tests and benches load.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context as _, Result};
use libbpf_cargo::SkeletonBuilder;

/// Where the project's own programs and the kernel's types are.
const INCLUDE: [&str; 4] = ["-I", "../src/bpf", "-I", "../vmlinux"];

const OBJECTS: [(&str, &str); 4] = [
    ("bucket-fine.bpf.o", "bpf/bucket_fine.bpf.c"),
    ("bucket-log2.bpf.o", "bpf/bucket_log2.bpf.c"),
    ("inject.bpf.o", "bpf/inject.bpf.c"),
    ("before-5.19/inject.bpf.o", "bpf/inject_before_5_19.bpf.c"),
];
const FLOOR: &str = "bpf/floor.bpf.c";

fn main() -> Result<()> {
    for input in ["bpf", "../src/bpf", "../vmlinux"] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rerun-if-env-changed=CLANG");
    let out = env::var("OUT_DIR").context("cargo sets OUT_DIR")?;
    let out = Path::new(&out);
    for (object, source) in OBJECTS {
        let object = out.join(object);
        fs::create_dir_all(object.parent().unwrap_or(out)).context("making a directory")?;
        builder(source)
            .obj(object)
            .build()
            .with_context(|| format!("compiling testlab/{source}"))?;
    }
    builder(FLOOR)
        .build_and_generate(out.join("floor.skel.rs"))
        .with_context(|| format!("compiling testlab/{FLOOR}"))
}

fn builder(source: &str) -> SkeletonBuilder {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let mut builder = SkeletonBuilder::new();
    let args = INCLUDE.iter().chain(&["-mcpu=v3", "-Wall"]);
    builder.source(source).clang(clang).clang_args(args);
    builder
}

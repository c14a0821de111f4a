// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Compiles the BPF objects and the loader's skeleton, and derives the Rust side
//! of the tables in `src/bpf/tables.h`. Everything generated goes to `OUT_DIR`.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use libbpf_cargo::SkeletonBuilder;

const BPF_DIR: &str = "src/bpf";
const BPF_FLAGS: [&str; 6] = ["-I", "vmlinux", "-I", BPF_DIR, "-mcpu=v3", "-Wall"];
/// The objects that the loader loads: directory and source. The one for all
/// packets, the one for a share of them and for stages, the one with filters and
/// groups, and that which shows slow packets, too.
const LOADER: [(&str, &str); 4] = [
    ("all", "loader.bpf.c"),
    ("staged", "loader_staged.bpf.c"),
    ("selected", "loader_selected.bpf.c"),
    ("slow", "loader_slow.bpf.c"),
];
/// The objects for ebpf_exporter, which `make bpf` takes from here: file and
/// source.
const FOR_EXPORTER: [(&str, &str); 3] = [
    ("netstacklat.bpf.o", "exporter.bpf.c"),
    (
        "before-5.19/netstacklat.bpf.o",
        "exporter_before_5_19.bpf.c",
    ),
    ("netstacklat-groups.bpf.o", "exporter_groups.bpf.c"),
];

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed={BPF_DIR}");
    println!("cargo:rerun-if-changed=vmlinux");
    println!("cargo:rerun-if-env-changed=CLANG");
    let out = env::var("OUT_DIR").context("cargo sets OUT_DIR")?;
    let out = Path::new(&out);
    let path = out.to_string_lossy();
    ensure!(
        !path.contains(char::is_whitespace),
        "the path of the build contains a space, which the makefiles of libbpf and libelf do not \
         support: build in another directory than {path}"
    );
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    tables(&clang, out)?;
    skeletons(&clang, out)?;
    for_exporter(&clang, out)?;
    for_chosen_keys(out)?;
    commit();
    Ok(())
}

/// Runs `tables.rs.in` through the C preprocessor: one table, two languages.
fn tables(clang: &str, out: &Path) -> Result<()> {
    let source = Path::new(BPF_DIR).join("tables.rs.in");
    let output = Command::new(clang)
        .args(["-E", "-P", "-x", "c", "-I", BPF_DIR])
        .arg(&source)
        .output()
        .with_context(|| format!("could not run {clang}: install clang, or set CLANG"))?;
    ensure!(
        output.status.success(),
        "preprocessing {} failed:\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::write(out.join("tables.rs"), output.stdout).context("writing tables.rs")
}

/// The object's file gives the skeleton, and the maps of its variables, their
/// names: both have the same file name, and differ in the directory.
fn skeletons(clang: &str, out: &Path) -> Result<()> {
    for (directory, source) in LOADER {
        let directory = out.join(directory);
        fs::create_dir_all(&directory).context("making a directory")?;
        object(clang, source)
            .obj(directory.join("netstacklat.bpf.o"))
            .build_and_generate(directory.join("netstacklat.skel.rs"))
            .with_context(|| compiling(source))?;
    }
    Ok(())
}

/// Linking strips the objects of DWARF, not of BTF.
fn for_exporter(clang: &str, out: &Path) -> Result<()> {
    // For the tests that look into them.
    println!(
        "cargo:rustc-env=NETSTACKLAT_EXPORTER_OBJECTS={}",
        out.display()
    );
    for (file, source) in FOR_EXPORTER {
        let file = out.join(file);
        fs::create_dir_all(file.parent().unwrap_or(out)).context("making a directory")?;
        object(clang, source)
            .obj(file)
            .build()
            .with_context(|| compiling(source))?;
    }
    Ok(())
}

/// What `make bpf GROUP_BY=...` compiles an object with (`examples/generated`): our
/// flags and libbpf's headers.
fn for_chosen_keys(out: &Path) -> Result<()> {
    let headers = out.join("libbpf");
    fs::create_dir_all(headers.join("bpf")).context("making a directory")?;
    for (name, text) in libbpf_rs::libbpf_sys::API_HEADERS {
        fs::write(headers.join("bpf").join(name), text).context("writing libbpf's headers")?;
    }
    println!(
        "cargo:rustc-env=NETSTACKLAT_BPF_FLAGS={} -I {}",
        BPF_FLAGS.join(" "),
        headers.display()
    );
    Ok(())
}

fn object(clang: &str, source: &str) -> SkeletonBuilder {
    let mut builder = SkeletonBuilder::new();
    builder
        .source(Path::new(BPF_DIR).join(source))
        .clang(clang)
        .clang_args(BPF_FLAGS);
    builder
}

fn compiling(source: &str) -> String {
    format!("compiling {BPF_DIR}/{source} (clang 14 or newer is needed)")
}

/// `--version` names the commit; a source archive without git has none.
fn commit() {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (output.status.success()).then(|| text.trim().to_owned())
    };
    let hash = git(&["rev-parse", "--short=12", "HEAD"]);
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]);
    let suffix = match (hash, dirty.as_deref()) {
        (Some(hash), Some("")) => format!(" ({hash})"),
        (Some(hash), _) => format!(" ({hash}, modified)"),
        (None, _) => String::new(),
    };
    println!("cargo:rustc-env=NETSTACKLAT_COMMIT={suffix}");
    if let Some(head) = git(&["rev-parse", "--git-path", "HEAD"]) {
        println!("cargo:rerun-if-changed={head}");
    }
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
}

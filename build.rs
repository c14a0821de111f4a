// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Compiles the BPF object and its skeleton, and derives the Rust side of the
//! tables in `src/bpf/netstacklat.h`. Everything generated goes to `OUT_DIR`.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use libbpf_cargo::SkeletonBuilder;

const BPF_DIR: &str = "src/bpf";
const SOURCE: &str = "src/bpf/netstacklat.bpf.c";
const COMPILING: &str = "compiling src/bpf/netstacklat.bpf.c (clang 14 or newer is needed)";

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
    wire(&clang, out)?;
    skeleton(&clang, out)?;
    drop_ins(&clang, out)?;
    commit();
    Ok(())
}

/// Runs `wire.rs.in` through the C preprocessor: one table, two languages.
fn wire(clang: &str, out: &Path) -> Result<()> {
    let source = Path::new(BPF_DIR).join("wire.rs.in");
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
    fs::write(out.join("wire.rs"), output.stdout).context("writing wire.rs")
}

/// The loader's copy of the object: with the fallback for older kernels.
fn skeleton(clang: &str, out: &Path) -> Result<()> {
    object(clang, SOURCE, &["-DNETSTACKLAT_LOADER"])
        .build_and_generate(out.join("netstacklat.skel.rs"))
        .context(COMPILING)
}

/// The objects for ebpf_exporter, which `make bpf` takes from here: file, and
/// what it is compiled with.
const DROP_INS: [(&str, &[&str]); 3] = [
    ("netstacklat.bpf.o", &[]),
    (
        "before-5.19/netstacklat.bpf.o",
        &["-DNETSTACKLAT_BEFORE_5_19"],
    ),
    ("netstacklat-groups.bpf.o", &["-DNETSTACKLAT_GROUPS"]),
];

/// Compiles them. Linking strips them of DWARF, not of BTF.
fn drop_ins(clang: &str, out: &Path) -> Result<()> {
    // For the tests that look into them.
    println!("cargo:rustc-env=NETSTACKLAT_DROP_INS={}", out.display());
    for (file, defines) in DROP_INS {
        let file = out.join(file);
        fs::create_dir_all(file.parent().unwrap_or(out)).context("making a directory")?;
        object(clang, SOURCE, defines)
            .obj(file)
            .build()
            .context(COMPILING)?;
    }
    Ok(())
}

fn object(clang: &str, source: &str, defines: &[&str]) -> SkeletonBuilder {
    let mut builder = SkeletonBuilder::new();
    builder
        .source(source)
        .clang(clang)
        .clang_args(["-I", "vmlinux", "-mcpu=v3", "-Wall"].iter().chain(defines));
    builder
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

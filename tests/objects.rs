// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is in the BPF objects for ebpf_exporter.

use netstacklat::model::hooks::{Hook, Program, programs};

/// The table in the C header and the programs in the objects say the same.
#[test]
fn the_objects_hold_the_programs_of_the_table() {
    let is_primary = |program: &Program| {
        !program.is_helper() && !program.is_fallback() && !program.hook.is_optional()
    };
    holds_the_programs("netstacklat.bpf.o", is_primary);
    holds_the_programs("before-5.19/netstacklat.bpf.o", |program| {
        let mut of_hook = program.hook.programs();
        !program.hook.is_optional()
            && (program.is_fallback()
                || is_primary(program) && !of_hook.any(|other| other.is_fallback()))
    });
}

/// ebpf_exporter attaches all that an object holds: nothing may be in it that
/// not every kernel has which it is for.
fn holds_the_programs(object: &str, expects: impl Fn(&Program) -> bool) {
    let directory = std::path::Path::new(env!("NETSTACKLAT_EXPORTER_OBJECTS"));
    let object = std::fs::read(directory.join(object)).expect("build.rs made it");
    let has = |name: &str| {
        object
            .windows(name.len())
            .any(|bytes| bytes == name.as_bytes())
    };
    for program in programs() {
        let expected = expects(&program);
        assert_eq!(
            has(&format!("\0{}\0", program.name)),
            expected,
            "{}",
            program.name
        );
        if expected {
            assert!(has(&format!("\0{}/{}\0", program.attach, program.function)));
        }
    }
    for hook in Hook::all() {
        assert_eq!(has(&hook.map_name()), !hook.is_optional(), "{hook}");
    }
}

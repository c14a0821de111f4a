// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The scan of the kernel's type information against libbpf's reading of it.

use std::collections::BTreeMap;

use libbpf_rs::btf::{Btf, ReferencesType as _, types};
use netstacklat::host::facts::HostFacts;
use netstacklat::model::hooks::programs;
use netstacklat::model::names;

#[test]
fn functions_are_those_that_libbpf_finds() {
    let btf = Btf::from_vmlinux().expect("the kernel's BTF");
    let wanted: Vec<_> = programs()
        .map(|program| program.btf_name().into_owned())
        .chain([names::CLOCK_FUNCTION.to_owned()])
        .collect();
    let is_wanted = |name: &&str| wanted.iter().any(|wanted| wanted == name);
    let mut expected = BTreeMap::new();
    for function in btf.type_by_kind::<types::Func<'_>>() {
        let name = function.name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(is_wanted) {
            let prototype = btf.type_by_id::<types::FuncProto<'_>>(function.referenced_type_id());
            let parameters = prototype.map_or(0, |prototype| prototype.len());
            expected.insert(name.to_owned(), parameters);
        }
    }
    // Tracepoints.
    for tracepoint in btf.type_by_kind::<types::Typedef<'_>>() {
        let name = tracepoint.name().and_then(|name| name.to_str());
        expected.extend(name.filter(is_wanted).map(|name| (name.to_owned(), 0)));
    }
    let helpers = btf.type_by_name::<types::Enum<'_>>("bpf_func_id");
    let tai_helper = helpers.is_some_and(|helpers| {
        let mut names = helpers.iter().filter_map(|helper| helper.name);
        names.any(|name| name == "BPF_FUNC_ktime_get_tai_ns")
    });
    assert!(expected.len() > 10, "{expected:?}");
    let facts = HostFacts::probe().expect("facts").btf.expect("BTF");
    assert_eq!(facts.functions, expected);
    assert_eq!(facts.tai_helper, tai_helper);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads the kernel's type information (BTF): which functions exist, and how many
//! parameters they have.
//!
//! One pass over the raw file compares the names of functions. libbpf would index
//! all types for this (some 75 million instructions), and index them again when
//! it loads the BPF object. `Documentation/bpf/btf.rst` describes the format.

use std::collections::BTreeMap;
use std::fs;

use crate::model::hooks::programs;
use crate::model::names;

/// Facts from the kernel's type information.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BtfFacts {
    /// The number of parameters of each function that programs attach to, and 0 for
    /// each tracepoint ([`btf_name`](crate::model::hooks::Program::btf_name)). The
    /// kernel does not have those that are missing here.
    pub functions: BTreeMap<String, usize>,
    /// Whether the helper `bpf_ktime_get_tai_ns` exists (Linux 6.1).
    pub tai_helper: bool,
    /// Whether the kernel clears the timestamp of packets that `tc` redirects: it has
    /// been built with CONFIG_NET_REDIRECT, and `struct sk_buff` a member for that.
    pub clears_redirected: bool,
}

const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// Sizes in bytes: `struct btf_type`, a member of an enum, a member of a struct,
/// a parameter of a function.
const TYPE: usize = 12;
const ENUM_MEMBER: usize = 8;
const STRUCT_MEMBER: usize = 12;
const PARAMETER: usize = 8;

impl BtfFacts {
    /// Reads the type information of the running kernel.
    pub(super) fn probe() -> Result<BtfFacts, String> {
        if !fs::exists(VMLINUX_BTF).unwrap_or(true) {
            return Err(format!("{VMLINUX_BTF} does not exist"));
        }
        let bytes = fs::read(VMLINUX_BTF).map_err(|error| format!("{VMLINUX_BTF}: {error}"))?;
        let names: Vec<_> = programs().map(|program| program.btf_name()).collect();
        let functions = names.iter().map(AsRef::as_ref);
        let wanted: Vec<&str> = functions.chain([names::CLOCK_FUNCTION]).collect();
        let facts = scan(&bytes, &wanted);
        facts.ok_or_else(|| format!("{VMLINUX_BTF} is not in BTF format"))
    }

    /// Whether the clock program has a function to attach to.
    pub fn has_clock(&self) -> bool {
        self.functions.contains_key(names::CLOCK_FUNCTION)
    }
}

/// Scans a BTF file. `None` if it is not in BTF format.
fn scan(btf: &[u8], wanted: &[&str]) -> Option<BtfFacts> {
    let field = |at: usize| u32_at(btf, at).map(|value| value as usize);
    (u16::from_ne_bytes(btf.get(..2)?.try_into().ok()?) == MAGIC).then_some(())?;
    let header = field(4)?;
    let section = |at: usize| {
        let (offset, length) = (field(at)?, field(at + 4)?);
        let start = header.checked_add(offset)?;
        btf.get(start..start.checked_add(length)?)
    };
    let (types, strings) = (section(8)?, section(16)?);

    // A name is compared as a whole only if its first two bytes are those of a
    // wanted name.
    let mut begins = vec![false; 1 << 16];
    for name in wanted {
        begins[usize::from(first_two(name.as_bytes())?)] = true;
    }
    // No other type has a member of this name.
    const MEMBER: &[u8] = b"\0from_ingress\0";
    let mut facts = BtfFacts {
        clears_redirected: memchr::memmem::find(strings, MEMBER).is_some(),
        ..BtfFacts::default()
    };
    let mut found: Vec<(&str, usize)> = Vec::new();
    // Indexed by type id, which counts from 1: the number of parameters, if the type
    // is a prototype.
    let mut parameters: Vec<u16> = vec![0];
    let mut at = 0;
    while at < types.len() {
        let name = u32_at(types, at)?;
        let info = u32_at(types, at + 4)?;
        let members = (info & 0xffff) as usize;
        let mut count = 0;
        let data = match info >> 24 & 0x1f {
            kind::PTR
            | kind::FWD
            | kind::VOLATILE
            | kind::CONST
            | kind::RESTRICT
            | kind::FLOAT
            | kind::TYPE_TAG => 0,
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => STRUCT_MEMBER * members,
            kind::ENUM => {
                if string(strings, name) == Some(b"bpf_func_id") {
                    facts.tai_helper = (0..members).any(|member| {
                        let name = u32_at(types, at + TYPE + member * ENUM_MEMBER);
                        name.and_then(|name| string(strings, name))
                            == Some(b"BPF_FUNC_ktime_get_tai_ns")
                    });
                }
                ENUM_MEMBER * members
            }
            kind::FUNC_PROTO => {
                count = members as u16;
                PARAMETER * members
            }
            // A tracepoint has a type that is named after it.
            kind::FUNC | kind::TYPEDEF => {
                let rest = strings.get(name as usize..)?;
                if first_two(rest).is_some_and(|two| begins[usize::from(two)])
                    && let Some(name) = string(strings, name)
                    && let Some(&known) = wanted.iter().find(|known| known.as_bytes() == name)
                {
                    found.push((known, u32_at(types, at + 8)? as usize));
                }
                0
            }
            _ => return None,
        };
        parameters.push(count);
        at += TYPE + data;
    }
    for (name, prototype) in found {
        let count = parameters.get(prototype).copied().unwrap_or(0);
        facts.functions.insert(name.to_owned(), count.into());
    }
    Some(facts)
}

/// `BTF_KIND_*` of `include/uapi/linux/btf.h`.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// The first two bytes of a name.
fn first_two(name: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(name.get(..2)?.try_into().ok()?))
}

/// The string at an offset, without the NUL that ends it.
fn string(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let rest = strings.get(offset as usize..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A BTF file with these types, each a list of u32, and these strings.
    fn file(types: &[&[u32]], strings: &[u8]) -> Vec<u8> {
        let types: Vec<u8> = types
            .concat()
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let (length, after) = (types.len() as u32, strings.len() as u32);
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [24, 0, length, length, after] {
            bytes.extend(word.to_ne_bytes());
        }
        [bytes, types, strings.to_vec()].concat()
    }

    const STRINGS: &[u8] = b"\0ip_rcv\0ip_rcv_core\0bpf_func_id\0BPF_FUNC_ktime_get_tai_ns\0";

    /// An int, a pointer, a prototype with 3 parameters, two functions with that
    /// prototype, and an enum with one value.
    fn types() -> Vec<&'static [u32]> {
        vec![
            &[1, kind::INT << 24, 4, 0],
            &[0, kind::PTR << 24, 1],
            &[0, kind::FUNC_PROTO << 24 | 3, 1, 0, 1, 0, 2, 0, 2],
            &[8, kind::FUNC << 24 | 1, 3],
            &[1, kind::FUNC << 24, 3],
            &[20, kind::ENUM << 24 | 1, 4, 32, 208],
        ]
    }

    #[test]
    fn wanted_functions_are_found_with_their_parameters() {
        let facts = scan(&file(&types(), STRINGS), &["ip_rcv_core", "udp_rcv"]).unwrap();
        let expected = BTreeMap::from([("ip_rcv_core".to_owned(), 3)]);
        assert_eq!(facts.functions, expected);
        assert!(facts.tai_helper);
    }

    #[test]
    fn truncated_and_unknown_data_is_no_btf() {
        let whole = file(&types(), STRINGS);
        for length in [0, 1, 7, 23, whole.len() - 1] {
            assert_eq!(scan(&whole[..length], &["ip_rcv"]), None, "{length} bytes");
        }
        assert_eq!(scan(&file(&[&[0, 31 << 24, 0]], b"\0"), &["ip_rcv"]), None);
    }
}

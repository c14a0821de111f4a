// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Dependencies between the modules of `src/` run one way: a room imports only
//! rooms below it, and within a room no modules import each other in a circle.
//!
//! `pub use` of a child in its parent is a shorter name for users, and no
//! dependency; so is `pub(crate) use`. Tests inside the sources may import what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The rooms, lowest first. docs/architecture.md describes them.
const ROOMS: [&str; 17] = [
    "error",
    "text",
    "model",
    "stats",
    "runtime",
    "process",
    "host",
    "schema",
    "runfile",
    "capture",
    "check",
    "analysis",
    "experiment",
    "render",
    "cli",
    "commands",
    "main",
];

type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn rooms_import_only_rooms_below_them() {
    let rank = |module: &str| {
        let room = module.split("::").next().unwrap_or(module);
        let place = ROOMS.iter().position(|known| *known == room);
        place.unwrap_or_else(|| panic!("{module}: {room} is no room of tests/structure.rs"))
    };
    let mut wrong = Vec::new();
    for (module, imports) in imports() {
        for import in imports {
            if rank(&import) > rank(&module) {
                wrong.push(format!("{module} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "imports upwards:\n{}", wrong.join("\n"));
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let imports = imports();
    let mut circles = BTreeSet::new();
    for module in imports.keys() {
        if let Some(path) = path_back(&imports, module) {
            circles.insert(path.join(" -> "));
        }
    }
    let circles: Vec<_> = circles.into_iter().collect();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

/// The shortest way from a module over its imports back to itself.
fn path_back(imports: &Imports, start: &str) -> Option<Vec<String>> {
    let mut paths = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in &imports[path.last()?] {
                let mut path = path.clone();
                path.push(next.clone());
                if next == start {
                    return Some(path);
                } else if seen.insert(next.clone()) {
                    longer.push(path);
                }
            }
        }
        paths = longer;
    }
    None
}

/// What each module imports, by their paths without `crate::`.
fn imports() -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let modules: BTreeMap<String, PathBuf> = files
        .into_iter()
        .map(|file| (module_of(&root, &file), file))
        .filter(|(module, _)| module != "lib" && !is_test(module))
        .collect();
    assert!(modules.len() > 50, "only {} modules found", modules.len());
    let known: BTreeSet<&str> = modules.keys().map(String::as_str).collect();
    let read = |(module, file): (&String, &PathBuf)| {
        let source = std::fs::read_to_string(file).expect("a source");
        let tree = syn::parse_file(&source).expect("Rust");
        let mut paths = Paths {
            module,
            known: &known,
            found: BTreeSet::new(),
        };
        paths.visit_file(&tree);
        paths.found.remove(module);
        (module.clone(), paths.found)
    };
    modules.iter().map(read).collect()
}

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `analysis::onset` of `src/analysis/onset.rs`.
fn module_of(root: &Path, file: &Path) -> String {
    let path = file
        .strip_prefix(root)
        .expect("below src")
        .with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let module = parts.join("::");
    module.strip_suffix("::mod").unwrap_or(&module).to_owned()
}

/// Modules that only tests have.
fn is_test(module: &str) -> bool {
    let mut words = module.split("::").flat_map(|name| name.split('_'));
    words.any(|word| ["test", "tests"].contains(&word))
}

/// Collects the modules that one module names.
struct Paths<'a> {
    module: &'a str,
    known: &'a BTreeSet<&'a str>,
    found: BTreeSet<String>,
}

impl Paths<'_> {
    /// The longest beginning of `segments` that is a module; relative ones from
    /// this module.
    fn add(&mut self, segments: &[String]) {
        let Some(first) = segments.first() else {
            return;
        };
        let child = format!("{}::{first}", self.module);
        let mut base: Vec<&str> = self.module.split("::").collect();
        let rest = match first.as_str() {
            "crate" | "netstacklat" => {
                base.clear();
                &segments[1..]
            }
            "self" => &segments[1..],
            "super" => {
                let ups = segments.iter().take_while(|part| *part == "super").count();
                base.truncate(base.len().saturating_sub(ups));
                &segments[ups..]
            }
            _ if self.known.contains(child.as_str()) => segments,
            _ => return,
        };
        let all: Vec<&str> = base
            .into_iter()
            .chain(rest.iter().map(String::as_str))
            .collect();
        let module = (1..=all.len()).rev().map(|length| all[..length].join("::"));
        let module = module
            .into_iter()
            .find(|path| self.known.contains(path.as_str()));
        self.found.extend(module);
    }

    fn add_tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, before);
                }
            }
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                before.push(ident.to_string());
                self.add(before);
                before.pop();
            }
            syn::UseTree::Glob(_) => self.add(before),
        }
    }
}

fn only_in_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

/// `pub use child::Item;` or the same with `pub(crate)`.
fn names_a_child_shorter(item: &syn::ItemUse) -> bool {
    let exported = match &item.vis {
        syn::Visibility::Public(_) => true,
        syn::Visibility::Restricted(to) => to.path.is_ident("crate"),
        syn::Visibility::Inherited => false,
    };
    let elsewhere = match &item.tree {
        syn::UseTree::Path(path) => ["crate", "super"].iter().any(|up| path.ident == up),
        _ => false,
    };
    exported && !elsewhere
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !only_in_tests(&item.attrs) && !names_a_child_shorter(item) {
            self.add_tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !only_in_tests(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if segments.len() > 1 {
            self.add(&segments);
        }
        syn::visit::visit_path(self, path);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What one hook is measured at on this kernel, and what it lacks.

use crate::host::btf::BtfFacts;
use crate::model::hooks::{Hook, Program, Role};

/// BPF trampolines pass on no more arguments (x86-64 before 6.6).
const TRAMPOLINE_ARGS: usize = 6;

/// What is to be loaded for one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookPlan {
    /// The hook.
    pub hook: Hook,
    /// The kernel functions that it is measured at.
    pub functions: Vec<&'static str>,
    /// Functions of the hook that this kernel lacks, or refused.
    pub missing: Vec<String>,
    /// Whether the user asked for the hook.
    pub wanted: bool,
}

impl HookPlan {
    /// Whether the hook is on.
    pub fn measures(&self) -> bool {
        self.wanted && !self.functions.is_empty()
    }

    /// Why the hook is off, or measures only a part; `None`: all is well.
    pub fn reason(&self) -> Option<String> {
        if !self.wanted {
            Some("not selected".into())
        } else if self.missing.is_empty() {
            None
        } else if self.functions.is_empty() {
            Some(self.missing.join("; "))
        } else {
            let how = match self.fallback() {
                Some(program) => format!("measured at {} instead", program.function),
                None => "only in part".into(),
            };
            Some(format!("{how}: {}", self.missing.join("; ")))
        }
    }

    /// The program that measures where the primary one cannot.
    fn fallback(&self) -> Option<Program> {
        let mut programs = self.hook.programs();
        programs.find(|program| program.is_fallback() && self.functions.contains(&program.function))
    }

    /// What is then different, as a sentence without its full stop.
    pub fn difference(&self) -> Option<&'static str> {
        match self.fallback()?.role {
            Role::Fallback { difference } => Some(difference),
            Role::Primary | Role::Notes { .. } | Role::Helper { .. } => None,
        }
    }
}

impl BtfFacts {
    /// Whether the program's function exists and a trampoline takes it.
    pub(super) fn fits(&self, program: &Program) -> bool {
        let parameters = self.functions.get(program.btf_name().as_ref());
        parameters.is_some_and(|&count| count <= TRAMPOLINE_ARGS)
    }
}

/// Which of a hook's functions this kernel has.
pub(super) fn hook_plan(btf: &BtfFacts, hook: Hook, wanted: bool) -> HookPlan {
    let mut verdict = HookPlan {
        hook,
        functions: Vec::new(),
        missing: Vec::new(),
        wanted,
    };
    let (fallbacks, regular): (Vec<_>, Vec<_>) = hook.programs().partition(Program::is_fallback);
    // Where it is needed and there, the fallback stands for the regular one.
    let fits = |program: &Program| btf.fits(program);
    let stands_in = fallbacks.iter().any(fits) && !regular.iter().any(fits);
    let (notes, measuring): (Vec<_>, Vec<_>) = if stands_in { fallbacks } else { regular }
        .into_iter()
        .partition(|program| matches!(program.role, Role::Notes { .. }));
    for program in measuring {
        if fits(&program) {
            verdict.functions.push(program.function);
        } else {
            verdict.missing.push(not_in_btf(&program));
        }
    }
    let required = Role::Notes { required: true };
    let lacking = notes
        .iter()
        .filter(|program| program.role == required && !fits(program));
    for program in lacking {
        verdict.functions.clear();
        verdict.missing.push(not_in_btf(program));
    }
    verdict
}

fn not_in_btf(program: &Program) -> String {
    format!("{} is not in this kernel's BTF", program.place())
}

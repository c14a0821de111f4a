// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Globs, as users write them for names of hooks, processes, containers and pods.

/// Whether a glob matches all of a text: `*` stands for any bytes, `?` for one.
/// Upper and lower case differ.
pub fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    // Where to go on when the present try fails: behind the last star, one
    // byte later each time. An earlier star need not be tried again.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                g += 1;
                retry = Some((g, t));
            }
            Some(&c) if c == b'?' || c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match &mut retry {
                None => return false,
                Some((behind_star, from)) => {
                    *from += 1;
                    (g, t) = (*behind_star, *from);
                }
            },
        }
    }
    glob[g..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the definition: a star stands for nothing, or for one byte and
        /// what another star stands for.
        #[test]
        fn globs_match_as_defined(glob in "[ab*?]{0,6}", text in "[abA]{0,6}") {
            fn defined(glob: &[u8], text: &[u8]) -> bool {
                match (glob, text) {
                    ([], []) => true,
                    ([b'*', glob @ ..], []) => defined(glob, text),
                    ([b'*', rest @ ..], [_, tail @ ..]) => defined(rest, text) || defined(glob, tail),
                    ([b'?', glob @ ..], [_, text @ ..]) => defined(glob, text),
                    ([c, glob @ ..], [d, text @ ..]) => c == d && defined(glob, text),
                    _ => false,
                }
            }
            let (glob, text) = (glob.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(glob, text), defined(glob, text));
        }
    }
}

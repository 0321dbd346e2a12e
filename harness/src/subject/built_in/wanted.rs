//! What a server can be set to, and which parts of its folder say so.

use std::collections::BTreeMap;

use serde::Deserialize;
use simulated_partners::persona::TlsVersion;

use crate::case::Need;
use crate::policy::{Level, Policy};

/// What holds for some policies.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct When {
    /// One of these; any if nothing is said.
    tls: Option<Vec<Level>>,
    /// One of these; any if nothing is said.
    sasl: Option<Vec<Level>>,
    /// Any if nothing is said.
    dialback: Option<bool>,
    /// For cases alone that need it.
    pub(super) needs: Option<Need>,
    /// Where it is set up for real, or where it is not; both if nothing is said.
    exported: Option<bool>,
    /// Where it has no other versions of TLS than these.
    tls_versions: Option<Vec<TlsVersion>>,
    /// Where it takes streams by direct TLS alone, or where it does not; both if nothing is said.
    direct_tls_only: Option<bool>,
    /// The server cannot be set so, for this reason.
    pub(super) refused: Option<String>,
    /// What stands in the templates then.
    #[serde(default)]
    pub(super) values: BTreeMap<String, String>,
}

impl When {
    pub(super) fn fits(&self, wanted: &Wanted<'_>) -> bool {
        let Wanted {
            policy,
            needs,
            export,
        } = wanted;
        let among = |levels: &Option<Vec<Level>>, level| {
            levels.as_ref().is_none_or(|levels| levels.contains(&level))
        };
        let is = |said: Option<bool>, is_so| said.is_none_or(|said| said == is_so);
        let versions = self.tls_versions.as_ref();
        among(&self.tls, policy.tls)
            && among(&self.sasl, policy.sasl)
            && is(self.dialback, policy.dialback)
            && self.needs.is_none_or(|need| needs.contains(&need))
            && is(self.exported, export.is_some())
            && is(
                self.direct_tls_only,
                export.is_some_and(|export| export.direct_tls_only),
            )
            && versions.is_none_or(|versions| {
                export.is_some_and(|export| export.tls_versions == versions.as_slice())
            })
    }
}

/// What a server is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) policy: Policy,
    /// What only some cases have it do.
    pub(super) needs: &'a [Need],
    /// What it is for, if that is no run.
    pub(super) export: Option<Export<'a>>,
}

impl<'a> Wanted<'a> {
    /// As a target of cases with this policy and these needs.
    pub(super) fn target(policy: Policy, needs: &'a [Need]) -> Self {
        Self {
            policy,
            needs,
            export: None,
        }
    }
}

/// What a server is to be besides its policy, where it is one side of a case for real.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// The domain that it serves. Its certificate and key are in files that are named after it.
    pub domain: &'a str,
    /// Its versions of TLS.
    pub tls_versions: &'a [TlsVersion],
    /// Whether it takes streams by direct TLS alone.
    pub direct_tls_only: bool,
    /// Whether to keep what makes it run on this machine: addresses, ports, DNS, short timeouts.
    pub in_lab: bool,
}

/// The text of a file without what is not for its readers: the comment that it begins with, what is only for
/// s2spec, and what is only in the lab or only with direct TLS unless that is wanted.
pub(super) fn without_asides(text: &str, comment: &str, export: Export<'_>) -> String {
    let mut kept = String::new();
    let mut is_wanted = true;
    let mut is_marked = false;
    for line in text.lines() {
        let mark = match line.trim_start_matches(['-', '#', '%', ' ']) {
            "Everywhere:" => Some(true),
            "Only for s2spec:" => Some(false),
            "Only in the lab:" => Some(export.in_lab),
            "Only with direct TLS:" => Some(export.direct_tls_only),
            _ => None,
        };
        let is_kept = match mark {
            None => is_wanted && !(line.is_empty() && (kept.is_empty() || kept.ends_with("\n\n"))),
            // In the lab it is said what is left out elsewhere.
            Some(wanted) => {
                is_wanted = wanted;
                let begins = export.in_lab && line.contains("in the lab");
                let ends = is_marked && line.contains("Everywhere");
                is_marked = begins || (is_marked && !ends);
                begins || ends
            }
        };
        if is_kept {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let begins = |line: &&str| line.starts_with(comment);
    let head = kept.split_inclusive('\n').take_while(begins);
    let head: usize = head.map(str::len).sum();
    kept[head..].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# About the template.\n\n# Only in the lab:\nport: 1\n# Everywhere:\n\n\
                        # The host.\nhost: a\n# Only for s2spec:\ninner: 2\n# Only with direct TLS:\ndirect: 3\n# Everywhere:\n";

    fn text(in_lab: bool, direct_tls_only: bool) -> String {
        let export = Export {
            domain: "a.example",
            tls_versions: &[],
            direct_tls_only,
            in_lab,
        };
        without_asides(TEXT, "#", export)
    }

    #[test]
    fn asides_are_not_for_those_who_set_it_up_for_real() {
        assert_eq!(text(false, false), "# The host.\nhost: a");
        assert_eq!(text(false, true), "# The host.\nhost: a\ndirect: 3");
    }

    #[test]
    fn in_the_lab_it_is_said_what_is_only_there() {
        let wanted = "# Only in the lab:\nport: 1\n# Everywhere:\n\n# The host.\nhost: a";
        assert_eq!(text(true, false), wanted);
    }
}

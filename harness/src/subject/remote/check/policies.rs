//! The policies of a target file.

use std::ops::Range;

use simulated_partners::diagnostic::Diagnostic;
use toml::Spanned;

use super::Check;
use crate::policy::{Policy, PolicyNumber};
use crate::subject::remote::file::{PolicyTable, Setting};

impl Check {
    pub(super) fn policies(
        &mut self,
        tables: Vec<Spanned<PolicyTable>>,
        started: bool,
    ) -> Vec<Setting> {
        if tables.is_empty() {
            self.wrong(
                Diagnostic::new(0..0, "no `[[policy]]`")
                    .help("add one, with `row = 7` for example"),
            );
        }
        let several = tables.len() > 1;
        let mut settings: Vec<(Setting, Range<usize>)> = Vec::new();
        for table in tables {
            let span = table.span();
            let table = table.into_inner();
            let switch = table.switch.as_ref().map(|switch| self.command(switch));
            if several && switch.is_none() && !started {
                self.wrong(
                    Diagnostic::new(span.clone(), "one of several policies, without `switch`").help(
                        "add `switch` with the command that sets the server to it, or `[start]`, \
                         whose command finds the policy in S2SPEC_ROW",
                    ),
                );
            }
            let Some(row) = self.row(&table, span.clone()) else {
                continue;
            };
            if let Some((_, other)) = settings.iter().find(|(setting, _)| setting.row == row) {
                let mistake = Diagnostic::new(span, format!("{row} for the second time"))
                    .also(Some(other.clone()), "here for the first time")
                    .help("each policy once");
                self.wrong(mistake);
                continue;
            }
            settings.push((Setting { row, switch }, span));
        }
        settings.into_iter().map(|(setting, _)| setting).collect()
    }

    fn row(&mut self, table: &PolicyTable, span: Range<usize>) -> Option<PolicyNumber> {
        let named = match &table.row {
            Some(row) => {
                let found = u8::try_from(*row.get_ref())
                    .ok()
                    .and_then(PolicyNumber::new);
                if found.is_none() {
                    self.wrong(
                        Diagnostic::new(row.span(), format!("there is no row {}", row.get_ref()))
                            .help(
                                "a number from 1 to 18, or `tls`, `sasl` and `dialback` in its place",
                            ),
                    );
                    return None;
                }
                found
            }
            None => None,
        };
        let spelt = match (&table.tls, &table.sasl, &table.dialback) {
            (Some(tls), Some(sasl), Some(dialback)) => Some((
                Policy {
                    tls: *tls.get_ref(),
                    sasl: *sasl.get_ref(),
                    dialback: *dialback.get_ref(),
                }
                .row(),
                tls.span(),
            )),
            (None, None, None) => None,
            _ if named.is_some() => {
                self.wrong(
                    Diagnostic::new(span, "a policy by its row, and by parts of it")
                        .help("`row` alone, or `tls`, `sasl` and `dialback`"),
                );
                return None;
            }
            (tls, sasl, dialback) => {
                let missing = [
                    ("tls", tls.is_none()),
                    ("sasl", sasl.is_none()),
                    ("dialback", dialback.is_none()),
                ];
                let missing: Vec<String> = missing
                    .iter()
                    .filter(|(_, missing)| *missing)
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                self.wrong(
                    Diagnostic::new(span, format!("a policy without {}", missing.join(" and ")))
                        .help(
                            "`tls` and `sasl` are \"required\", \"optional\" or \"not-supported\", \
                         `dialback` is true or false",
                        ),
                );
                return None;
            }
        };
        match (named, spelt) {
            (Some(row), Some((other, at))) if row != other => {
                self.wrong(
                    Diagnostic::new(at, format!("this is {other}, not {row}"))
                        .help(format!("`row = {}`, or leave it out", other.number())),
                );
                None
            }
            (Some(row), _) | (None, Some((row, _))) => Some(row),
            (None, None) => {
                self.wrong(Diagnostic::new(span, "a policy that says nothing").help(
                    "add `row = 7`, or `tls`, `sasl` and `dialback`; `s2spec explain` describes the rows",
                ));
                None
            }
        }
    }
}

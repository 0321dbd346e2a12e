//! The embedded proxy, configured differently from what the case says.

use s2spec::case::Case;
use s2spec::lab::Lab;
use s2spec::policy::PolicyNumber;
use s2spec::subject::reference::Reference;
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};

/// Treats every partner by this row, whatever the case says.
pub(crate) struct Misconfigured {
    row: PolicyNumber,
}

const PROXY: Reference = Reference {
    strict_certificates: false,
};

impl Misconfigured {
    pub(crate) fn to(row: u8) -> Self {
        Self {
            row: PolicyNumber::new(row).expect("1 to 18"),
        }
    }

    fn misread(&self, case: &Case) -> Case {
        Case {
            row: self.row,
            ..case.clone()
        }
    }
}

impl Target for Misconfigured {
    fn name(&self) -> String {
        format!("a proxy that takes every policy for {}", self.row)
    }

    fn place(&self, case: &Case) -> Placement {
        PROXY.place(&self.misread(case))
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let misread: Vec<Case> = cases.iter().map(|case| self.misread(case)).collect();
            PROXY.start(lab, group, &misread).await
        })
    }
}

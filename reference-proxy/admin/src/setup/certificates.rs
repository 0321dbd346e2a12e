//! Certificates of both sides: requested, waited for, there.

use std::path::{Path, PathBuf};

use reference_proxy::config::{Domain, Draft, List};

use super::answers::Answers;
use super::ask::Question;
use super::{State, Walk, gateway};
use crate::certificate::{Faults, Presented, faults, without_own};
use crate::error::Error;
use crate::store::{self, beside};
use crate::{csr, value};

pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let (_, draft) = store::read(walk.config)?;
    let mut found = Found::default();
    walk.side(&draft, Presented::Usual, &mut found)?;
    for own in &draft.own_certificates {
        let presented = Presented::Own(&own.domain);
        walk.judge(&draft, [&own.certificate, &own.key], presented, &mut found)?;
    }
    walk.side(&draft, Presented::Internal, &mut found)?;
    let [request, certificate] = ["csr", "crt"].map(|end| gateway::file(walk.config, end));
    if request.exists() && !certificate.exists() {
        let certificate = certificate.display();
        found.open.push(unsent(&request));
        found.open.push(format!("put its answer to {certificate}"));
    }
    let Found { open, good, noted } = found;
    if !open.is_empty() {
        return Ok(State::Open(open.join("; ")));
    }
    let mut text = good.join("; ");
    if !noted.is_empty() {
        text += &format!("; but {}", noted.join("; "));
    }
    Ok(State::Done(text))
}

fn unsent(request: &Path) -> String {
    let request = request.display();
    format!("send {request} to the authority, if it is not sent yet")
}

/// Refuses answers about the subject of a certificate where the request that is there has another one.
pub(super) fn same(config: &Path, answers: &Answers, draft: &Draft) -> Result<(), Error> {
    let Some(key) = beside(config, draft.external.key.first()) else {
        return Ok(());
    };
    let request = key.with_extension("csr");
    let Some(subject) = csr::subject(&request) else {
        return Ok(());
    };
    for (option, short, answer) in [
        ("organization", "O", &answers.organization),
        ("organizational-unit", "OU", &answers.organizational_unit),
        ("locality", "L", &answers.locality),
        ("state", "ST", &answers.state),
        ("country", "C", &answers.country),
    ] {
        let Some(text) = answer.as_deref().filter(|text| !text.is_empty()) else {
            continue;
        };
        let is_there =
            |(kind, value): &(String, String)| kind == short && value.eq_ignore_ascii_case(text);
        if !subject.iter().any(is_there) {
            let request = request.display();
            return Err(Error::Usage(format!(
                "`{text}` for --{option}: {request} has another one already; `s2spec proxy csr --force` makes another \
                 request, and another key"
            )));
        }
    }
    Ok(())
}

/// What was found out about certificates.
#[derive(Default)]
struct Found {
    /// What is to be done.
    open: Vec<String>,
    /// Which do, and for what.
    good: Vec<String>,
    /// What may be held against those.
    noted: Vec<String>,
}

impl Walk<'_> {
    /// Looks at what a side presents, and makes a request where it has no key yet.
    fn side(
        &mut self,
        draft: &Draft,
        presented: Presented<'_>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let internal = matches!(presented, Presented::Internal);
        let side = match internal {
            true => &draft.internal,
            false => &draft.external,
        };
        let before = found.open.len();
        if let Some(key) = self.lacks(side.key.first()) {
            self.request(internal)?;
            let request = key.with_extension("csr");
            let request = request.display();
            found.open.push(format!("send {request} to the authority"));
        }
        if let Some(certificate) = self.lacks(side.certificate.first()) {
            let certificate = certificate.display();
            // Only who has sent it knows.
            if found.open.len() == before
                && let Some(key) = beside(self.config, side.key.first())
            {
                let request = key.with_extension("csr");
                found.open.push(unsent(&request));
            }
            found.open.push(format!("put its answer to {certificate}"));
        }
        if let Some(ca) = self.lacks(&side.ca) {
            let ca = ca.display();
            found
                .open
                .push(format!("put the authorities of the other end to {ca}"));
        }
        if found.open.len() > before {
            return Ok(());
        }
        self.judge(draft, [&side.certificate, &side.key], presented, found)
    }

    /// Judges each certificate of a setting as whom it is presented to.
    fn judge(
        &self,
        draft: &Draft,
        [certificates, keys]: [&List; 2],
        presented: Presented<'_>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let who = match presented {
            Presented::Internal => "the gateway".to_owned(),
            Presented::Own(domain) => domain.to_string(),
            Presented::Usual => {
                let served: Vec<String> =
                    without_own(draft).iter().map(ToString::to_string).collect();
                served.join(", ")
            }
        };
        for (certificate, key) in certificates.iter().zip(keys.iter()) {
            let absent = [certificate, key]
                .into_iter()
                .find_map(|file| self.lacks(file));
            if let Some(absent) = absent {
                let absent = absent.display();
                found.open.push(format!("{absent} is not there, for {who}"));
                continue;
            }
            let files = [certificate, key].map(|file| beside(self.config, file));
            let [Some(file), Some(key)] = &files else {
                // It is in the configuration itself, and whoever reads that judges it.
                continue;
            };
            let Faults { refused, noted } = faults(self.config, draft, [file, key], presented)?;
            let file = file.display();
            if refused.is_empty() {
                found.good.push(format!("{file} does for {who}"));
            }
            let refused = refused.into_iter();
            found
                .open
                .extend(refused.map(|why| format!("replace {file}: {why}")));
            let noted = noted.into_iter();
            found
                .noted
                .extend(noted.map(|why| format!("{file}: {why}")));
        }
        Ok(())
    }

    /// The file that a setting names and that is not there.
    fn lacks(&self, setting: &str) -> Option<PathBuf> {
        beside(self.config, setting).filter(|file| !file.exists())
    }

    /// What the inner certificate of this proxy names: as answered, or as an earlier walk has requested it.
    pub(super) fn own_name(&mut self) -> Result<Domain, Error> {
        let first = self.answers.member.first();
        let first = first.and_then(|member| member.split('=').next());
        let requested = || {
            let (_, draft) = store::read(self.config).ok()?;
            let key = beside(self.config, draft.internal.key.first())?;
            let subject = csr::subject(&key.with_extension("csr"))?;
            let name = subject.into_iter().find(|(kind, _)| kind == "CN");
            name.map(|(_, name)| name)
        };
        let first = first.map(str::to_owned).or_else(requested);
        let question = Question {
            text: "Name of this proxy, for its inner certificate",
            option: "member",
            default: None,
        };
        self.asker.ask(&question, first.as_deref(), value::domain)
    }

    fn request(&mut self, internal: bool) -> Result<(), Error> {
        let answers = self.answers.clone();
        let mut wish = csr::Args::default();
        if internal {
            wish = csr::Args::internal(self.own_name()?);
        }
        type Reader = fn(&str) -> Result<String, String>;
        let mut field = |text, option, given: &Option<String>, read: Reader| {
            let question = Question {
                text,
                option,
                default: Some(""),
            };
            let answer = self
                .asker
                .ask(&question, given.as_deref(), |text| match text {
                    "" => Ok(String::new()),
                    text => read(text),
                })?;
            Ok::<_, Error>(Some(answer).filter(|answer| !answer.is_empty()))
        };
        wish.organization = field(
            "Organization",
            "organization",
            &answers.organization,
            value::organization,
        )?;
        let unit = &answers.organizational_unit;
        wish.organizational_unit = field(
            "Unit of the organization",
            "organizational-unit",
            unit,
            value::organization,
        )?;
        wish.locality = field("City", "locality", &answers.locality, value::place)?;
        wish.state = field("State or province", "state", &answers.state, value::place)?;
        let country = &answers.country;
        wish.country = field("Country, two letters", "country", country, csr::country)?;
        csr::make(self.config, &wish).map(drop)
    }
}

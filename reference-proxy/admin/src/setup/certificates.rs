//! Certificates of both sides: requested, waited for, there.

use std::path::PathBuf;

use reference_proxy::config::Draft;

use super::ask::Question;
use super::{State, Walk};
use crate::certificate::faults;
use crate::error::Error;
use crate::store::{self, beside};
use crate::{csr, value};

pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let (_, draft) = store::read(walk.config)?;
    let mut open = Vec::new();
    for internal in [false, true] {
        open.extend(walk.side(&draft, internal)?);
    }
    Ok(match open.is_empty() {
        true => State::Done("both sides have a certificate and authorities".to_owned()),
        false => State::Open(open.join("; ")),
    })
}

impl Walk<'_> {
    /// What a side lacks, after its request has been made.
    fn side(&mut self, draft: &Draft, internal: bool) -> Result<Vec<String>, Error> {
        let side = match internal {
            true => &draft.internal,
            false => &draft.external,
        };
        let files = [side.certificate.first(), side.key.first(), &side.ca]
            .map(|file| beside(self.config, file));
        let [certificate, key, ca] = files;
        let lacks = |file: &Option<PathBuf>| file.as_ref().filter(|file| !file.exists()).cloned();
        let mut open = Vec::new();
        if let Some(key) = lacks(&key) {
            self.request(internal)?;
            let request = key.with_extension("csr");
            open.push(format!("send {} to the authority", request.display()));
        }
        if let Some(certificate) = lacks(&certificate) {
            let certificate = certificate.display();
            open.push(format!("put its answer to {certificate}"));
        }
        if let Some(ca) = lacks(&ca) {
            let ca = ca.display();
            open.push(format!("put the authorities of the other end to {ca}"));
        }
        if let ([], Some(certificate), Some(key)) = (open.as_slice(), &certificate, &key) {
            let faults = faults(self.config, draft, [certificate, key], internal)?;
            let certificate = certificate.display();
            let faults = faults.into_iter();
            open.extend(faults.map(|why| format!("replace {certificate}: {why}")));
        }
        Ok(open)
    }

    fn request(&mut self, internal: bool) -> Result<(), Error> {
        let answers = self.answers.clone();
        let mut wish = csr::Args::default();
        if internal {
            let members = answers.member.first().map(|member| {
                let name = member.split('=').next();
                name.unwrap_or_default().to_owned()
            });
            let question = Question {
                text: "Name of this proxy, for its inner certificate",
                option: "member",
                default: None,
            };
            let name = self
                .asker
                .ask(&question, members.as_deref(), value::domain)?;
            wish = csr::Args::internal(name);
        }
        let mut field = |text, option, given: &Option<String>| {
            let question = Question {
                text,
                option,
                default: Some(""),
            };
            let answer = self
                .asker
                .ask(&question, given.as_deref(), |text| Ok(text.to_owned()))?;
            Ok::<_, Error>(Some(answer).filter(|answer| !answer.is_empty()))
        };
        wish.organization = field("Organization", "organization", &answers.organization)?;
        let unit = &answers.organizational_unit;
        wish.organizational_unit = field("Unit of the organization", "organizational-unit", unit)?;
        wish.locality = field("City", "locality", &answers.locality)?;
        wish.state = field("State or province", "state", &answers.state)?;
        let country = field("Country, two letters", "country", &answers.country)?;
        wish.country = country
            .map(|text| {
                csr::country(&text).map_err(|error| format!("`{text}` for --country: {error}"))
            })
            .transpose()
            .map_err(Error::Usage)?;
        csr::make(self.config, &wish).map(drop)
    }
}

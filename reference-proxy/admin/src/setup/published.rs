//! The DNS records: written to a file, published by somebody, checked.

use std::fs;

use super::ask::Question;
use super::{State, Walk};
use crate::dns;
use crate::error::Error;
use crate::store::{self, create};

pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let zone = walk.config.with_extension("zone");
    let name = zone.display();
    let (_, draft) = store::read(walk.config)?;
    if !zone.exists() {
        let given = walk.answers.member.join(" ");
        let question = Question {
            text: "Proxies of the pool, the best one first (NAME=ADDRESS,... with spaces between)",
            option: "member",
            default: None,
        };
        let given = Some(given).filter(|given| !given.is_empty());
        let members = walk.asker.ask(&question, given.as_deref(), dns::members)?;
        let text = dns::zone(&draft, &members);
        create(&zone, text.as_bytes(), false, false)
            .map_err(|error| Error::environment(format!("cannot write {name}"), error))?;
    }
    let text = fs::read_to_string(&zone)
        .map_err(|error| Error::environment(format!("cannot read {name}"), error))?;
    let records =
        dns::from_zone(&text).map_err(|error| Error::Usage(format!("{name}: {error}")))?;
    let compared = dns::compare(&records, &draft)?;
    Ok(match compared.good {
        true => State::Done(format!("what {name} says is published")),
        false => State::Open(format!(
            "have the records of {name} published. Now:\n{}",
            compared.text
        )),
    })
}

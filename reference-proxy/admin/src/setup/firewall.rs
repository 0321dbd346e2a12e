//! Which connections have to be let through, and whether the addresses for them are there.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, TcpListener};

use super::{State, Walk};
use crate::error::Error;
use crate::store;

pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let (_, draft) = store::read(walk.config)?;
    let listening = draft.external.listen.iter().chain(&draft.internal.listen);
    let used: BTreeSet<IpAddr> = listening
        .map(|address| address.ip())
        .chain(draft.source.iter().copied())
        .collect();
    let absent: Vec<String> = used
        .into_iter()
        .filter(is_absent)
        .map(|address| address.to_string())
        .collect();
    if !absent.is_empty() {
        let name = walk.config.display();
        let absent = absent.join(" and ");
        return Ok(State::Open(format!(
            "{absent}: no address of this machine; give it one, or change `listen` and `source` in {name}"
        )));
    }
    let [outside, inside] = [draft.external.listen, draft.internal.listen].map(|all| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        all.join(" and ")
    });
    Ok(State::Done(format!(
        "let through: TCP from anywhere to {outside}; TCP from this host to port 5269 anywhere; TCP from the \
         gateway to {inside}; DNS"
    )))
}

/// Whether nobody can listen at the address, whatever the port.
fn is_absent(address: &IpAddr) -> bool {
    match TcpListener::bind((*address, 0)) {
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::AddrNotAvailable,
    }
}

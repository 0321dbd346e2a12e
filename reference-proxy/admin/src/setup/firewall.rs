//! Which connections have to be let through, and whether the addresses for them are there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use reference_proxy::config::Draft;

use super::{State, Walk};
use crate::error::Error;
use crate::{dns, store};

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
    let members = walk.addresses(&draft);
    let listens = |address: &IpAddr| {
        let mut outside = draft.external.listen.iter().map(SocketAddr::ip);
        outside.any(|own| match own {
            // It takes both families.
            IpAddr::V6(any) if any.is_unspecified() => true,
            own => own.is_ipv4() == address.is_ipv4(),
        })
    };
    if let Some(deaf) = members.iter().find(|address| !listens(address)) {
        let name = walk.config.display();
        return Ok(State::Open(format!(
            "nobody listens at {deaf}, the address of a member: with `listen = \"[::]:5269\"` in [external] of {name} \
             the proxy does at both families"
        )));
    }
    let elsewhere = match !members.is_empty() && members.iter().all(is_absent) {
        true => {
            "; no member's address is one of this machine: what comes to it has to be forwarded here"
        }
        false => "",
    };
    let [outside, inside] = [draft.external.listen, draft.internal.listen].map(|all| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        all.join(" and ")
    });
    Ok(State::Done(format!(
        "let through: TCP from anywhere to {outside}; TCP from this host to port 5269 anywhere; TCP from the \
         gateway to {inside}; DNS{elsewhere}"
    )))
}

impl Walk<'_> {
    /// The members' public addresses, as given, or as the zone file has them.
    fn addresses(&self, draft: &Draft) -> Vec<IpAddr> {
        let zone = match self.answers.member.is_empty() {
            true => fs::read_to_string(self.config.with_extension("zone")).ok(),
            false => dns::members(&self.answers.member.join(" "))
                .ok()
                .map(|members| dns::zone(draft, &members)),
        };
        let records = zone.and_then(|zone| dns::from_zone(&zone).ok());
        let records = records.unwrap_or_default().into_iter();
        records.filter_map(|record| record.address()).collect()
    }
}

/// Whether nobody can listen at the address, whatever the port.
fn is_absent(address: &IpAddr) -> bool {
    match TcpListener::bind((*address, 0)) {
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::AddrNotAvailable,
    }
}

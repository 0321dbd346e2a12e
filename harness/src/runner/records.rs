//! DNS answers requested by a scenario.

use std::net::IpAddr;

use simulated_partners::dns::{Answer, BadName, Data, Kind, Records};

use crate::case::{Dns, DnsAnswer, Srv};

/// A record that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// A name is not a valid domain name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// No partner has this name, and it is not a number.
    #[error("`{0}` is not a port: expected the name of a partner, `closed`, `target` or a number")]
    Port(String),
    /// Not an address.
    #[error("`{0}` is not an IP address")]
    Address(String),
}

/// Port 1 of the loopback interface, where nothing in the lab listens.
const CLOSED: u16 = 1;

/// Sets the answer for a name.
///
/// # Errors
/// See [`RecordError`].
pub(super) fn set(
    dns: &Dns,
    records: &Records,
    fill: &dyn Fn(&str) -> String,
    port_of: &dyn Fn(&str) -> Option<u16>,
) -> Result<(), RecordError> {
    let name = fill(&dns.name);
    let given = |data| {
        if dns.over_tcp {
            Answer::RecordsOverTcp(data)
        } else {
            Answer::Records(data)
        }
    };
    if let Some(answer) = dns.answer {
        records.set(&name, Kind::Any, without_records(answer))?;
        for kind in [Kind::Srv, Kind::A, Kind::Aaaa] {
            records.set(&name, kind, without_records(answer))?;
        }
    }
    if let Some(srv) = &dns.srv {
        let mut data = Vec::new();
        for one in srv {
            data.extend(services(one, fill, port_of)?);
        }
        records.set(&name, Kind::Srv, given(data))?;
    }
    if let Some(addresses) = &dns.address {
        let parsed = addresses
            .iter()
            .map(|text| {
                let text = fill(text);
                text.parse::<IpAddr>()
                    .map_err(|_| RecordError::Address(text))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (four, six): (Vec<IpAddr>, Vec<IpAddr>) = parsed.into_iter().partition(IpAddr::is_ipv4);
        for (kind, addresses) in [(Kind::A, four), (Kind::Aaaa, six)] {
            let data: Vec<Data> = addresses.into_iter().map(Data::Address).collect();
            let answer = if data.is_empty() {
                Answer::NoData
            } else {
                given(data)
            };
            records.set(&name, kind, answer)?;
        }
    }
    if let Some(alias) = &dns.alias {
        records.set(&name, Kind::Cname, given(vec![Data::Alias(fill(alias))]))?;
    }
    Ok(())
}

fn services(
    srv: &Srv,
    fill: &dyn Fn(&str) -> String,
    port_of: &dyn Fn(&str) -> Option<u16>,
) -> Result<Vec<Data>, RecordError> {
    let word = fill(&srv.port);
    let port = match word.as_str() {
        "closed" => CLOSED,
        word => port_of(word)
            .or_else(|| word.parse().ok())
            .ok_or_else(|| RecordError::Port(word.to_owned()))?,
    };
    let target = fill(&srv.target);
    Ok((1..=srv.times)
        .map(|number| Data::Service {
            priority: srv.priority,
            weight: srv.weight,
            port,
            target: target.replace("{n}", &number.to_string()),
        })
        .collect())
}

fn without_records(answer: DnsAnswer) -> Answer {
    match answer {
        DnsAnswer::NoData => Answer::NoData,
        DnsAnswer::Nxdomain => Answer::NxDomain,
        DnsAnswer::Servfail => Answer::ServFail,
        DnsAnswer::Refused => Answer::Refused,
        DnsAnswer::Silence => Answer::Silence,
    }
}

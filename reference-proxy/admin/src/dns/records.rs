//! The records to publish.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use reference_proxy::config::Domain;

/// A proxy of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    name: Domain,
    addresses: Vec<IpAddr>,
}

/// Reads `xmpp.example` or `xmpp.example=192.0.2.1,2001:db8::1`.
pub(super) fn member(text: &str) -> Result<Member, String> {
    let (name, listed) = text.split_once('=').unwrap_or((text, ""));
    let name = Domain::parse(name).map_err(|error| format!("`{name}`: {error}"))?;
    let mut addresses = Vec::new();
    for address in listed.split(',').filter(|address| !address.is_empty()) {
        let read: IpAddr = address
            .parse()
            .map_err(|_| format!("`{address}` is not an IP address"))?;
        if read.is_unspecified() {
            return Err(format!("{address} is no address that partners can reach"));
        }
        if !addresses.contains(&read) {
            addresses.push(read);
        }
    }
    match addresses.is_empty() && text.contains('=') {
        true => Err(format!("no address after `{name}=`")),
        false => Ok(Member { name, addresses }),
    }
}

/// A record, its names absolute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(super) owner: String,
    pub(super) data: Data,
}

impl Record {
    /// The address, if it is of one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.data {
            Data::Address(address) => Some(address),
            Data::Srv { .. } => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Data {
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Address(IpAddr),
}

impl Data {
    /// The type of the record.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Srv { .. } => "SRV",
            Self::Address(IpAddr::V4(_)) => "A",
            Self::Address(IpAddr::V6(_)) => "AAAA",
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Srv {
                priority,
                weight,
                port,
                target,
            } => write!(f, "SRV {priority} {weight} {port} {target}"),
            Self::Address(address) => write!(f, "{} {address}", self.kind()),
        }
    }
}

/// The priority of the first member, and the distance to the next.
const STEP: u16 = 10;

/// SRV records of each domain (RFC 6120 §3.2.1, XEP-0368 §3), a priority for each member, and the
/// members' addresses.
pub(super) fn wanted(
    domains: &[Domain],
    members: &[Member],
    port: u16,
    direct_tls: bool,
) -> Vec<Record> {
    let services: &[&str] = match direct_tls {
        true => &["_xmpp-server._tcp", "_xmpps-server._tcp"],
        false => &["_xmpp-server._tcp"],
    };
    let mut records = Vec::new();
    for domain in domains {
        for service in services {
            let mut priority = STEP;
            for member in members {
                records.push(Record {
                    owner: format!("{service}.{domain}."),
                    data: Data::Srv {
                        priority,
                        weight: 0,
                        port,
                        target: format!("{}.", member.name),
                    },
                });
                priority = priority.saturating_add(STEP);
            }
        }
    }
    for member in members {
        records.extend(member.addresses.iter().map(|address| Record {
            owner: format!("{}.", member.name),
            data: Data::Address(*address),
        }));
    }
    records
}

/// The records as a name server reads them (RFC 1035 §5).
pub(super) fn zone_file(records: &[Record], members: &[Member], ttl: u32) -> String {
    let mut text = format!("$TTL {ttl}\n");
    for Record { owner, data } in records {
        text.push_str(&format!("{owner} IN {data}\n"));
    }
    let silent = members.iter().filter(|member| member.addresses.is_empty());
    for name in silent.map(|member| &member.name).collect::<BTreeSet<_>>() {
        text.push_str(&format!("; {name} needs an A or AAAA record, too\n"));
    }
    text
}

/// Reads members with spaces between them, at least one.
pub(crate) fn members(text: &str) -> Result<Vec<Member>, String> {
    let members: Result<Vec<Member>, String> = text.split_whitespace().map(member).collect();
    match members {
        Ok(members) if members.is_empty() => Err("expected NAME or NAME=ADDRESS,...".to_owned()),
        Ok(members) => distinct(&members).map(|()| members),
        Err(error) => Err(error),
    }
}

/// Whether each is named once.
pub(super) fn distinct(members: &[Member]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    match members.iter().find(|member| !names.insert(&member.name)) {
        None => Ok(()),
        Some(Member { name, .. }) => Err(format!(
            "`{name}` is a member twice: name it once, with all its addresses"
        )),
    }
}

/// Reads a file of [`zone_file`] back.
///
/// # Errors
/// With the number of the first line that is none of its lines.
pub(crate) fn from_zone(text: &str) -> Result<Vec<Record>, String> {
    let lines = (1..).zip(text.lines());
    let records = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(['$', ';']));
    records
        .map(|(number, line)| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let read = match words.as_slice() {
                [owner, "IN", "SRV", priority, weight, port, target] => {
                    let number = |text: &&str| text.parse().ok();
                    let srv = (number(priority), number(weight), number(port));
                    match srv {
                        (Some(priority), Some(weight), Some(port)) => Some((
                            owner,
                            Data::Srv {
                                priority,
                                weight,
                                port,
                                target: (*target).to_owned(),
                            },
                        )),
                        _ => None,
                    }
                }
                [owner, "IN", "A" | "AAAA", address] => {
                    let address = address.parse().ok();
                    address.map(|address| (owner, Data::Address(address)))
                }
                _ => None,
            };
            let (owner, data) =
                read.ok_or_else(|| format!("line {number} is no record: {line}"))?;
            Ok(Record {
                owner: (*owner).to_owned(),
                data,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    #[test]
    fn each_member_has_a_priority_of_its_own() {
        let members = ["x1.a.example=192.0.2.1,2001:db8::1", "x2.a.example"];
        let members = members.map(|text| member(text).expect("valid"));
        let records = wanted(&[domain("a.example")], &members, 5269, false);
        let text = zone_file(&records, &members, 60);
        assert_eq!(
            text,
            "$TTL 60\n\
             _xmpp-server._tcp.a.example. IN SRV 10 0 5269 x1.a.example.\n\
             _xmpp-server._tcp.a.example. IN SRV 20 0 5269 x2.a.example.\n\
             x1.a.example. IN A 192.0.2.1\n\
             x1.a.example. IN AAAA 2001:db8::1\n\
             ; x2.a.example needs an A or AAAA record, too\n"
        );
        assert_eq!(from_zone(&text).as_ref(), Ok(&records));
        assert!(from_zone("x IN A y").is_err() && from_zone("x IN SRV 1 2").is_err());
        let direct = wanted(&[domain("a.example")], &members, 5269, true);
        let direct = direct
            .iter()
            .filter(|record| record.owner.starts_with("_xmpps-"));
        assert_eq!(direct.count(), 2);
    }

    #[test]
    fn a_member_is_a_name_with_or_without_addresses() {
        assert!(member("x.example=192.0.2.1").is_ok());
        for text in ["", "=192.0.2.1", "x.example=y", "a b"] {
            assert!(member(text).is_err(), "{text}");
        }
    }
}

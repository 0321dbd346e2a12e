//! What is published, held against what should be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use reference_proxy::dns_client;

use super::records::{Data, Record};
use crate::error::Error;

/// What is published, record by record.
pub(crate) struct Compared {
    pub(crate) text: String,
    /// Whether all is as it should be.
    pub(crate) good: bool,
    /// Whether a question got no answer.
    pub(crate) silent: bool,
}

/// Looks each name of the records up, and says of each record whether it is there.
///
/// # Errors
/// When there is no name server. That one does not answer is part of the result.
pub(super) fn compare(
    wanted: &[Record],
    servers: &[SocketAddr],
    patience: Duration,
) -> Result<Compared, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::environment("cannot start the network", error))?;
    runtime.block_on(async {
        let client = dns_client(servers, patience)
            .map_err(|error| Error::environment("cannot ask any name server", error))?;
        let mut text = String::new();
        let (mut good, mut silent) = (true, false);
        // All at once, so that a silent name server is waited for only once.
        let asked = by_question(wanted).into_iter().map(|(question, wanted)| {
            let (owner, kind) = question;
            let answer = published(client.clone(), owner.to_owned(), kind);
            let answer = tokio::spawn(tokio::time::timeout(patience, answer));
            (question, wanted, answer)
        });
        for ((owner, kind), wanted, answer) in asked.collect::<Vec<_>>() {
            let answer = answer
                .await
                .map_err(|error| Error::environment("cannot ask any name server", error))?;
            let found = match answer {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    text.push_str(&format!("no answer  {owner} {kind}: {error}\n"));
                    silent = true;
                    continue;
                }
                Err(_) => {
                    let seconds = patience.as_secs_f64();
                    text.push_str(&format!("no answer  {owner} {kind}: within {seconds} s\n"));
                    silent = true;
                    continue;
                }
            };
            // Partners see the order of priorities, and not their numbers.
            let wanted = match order(&wanted) == order(&found) {
                true => found.clone(),
                false => wanted,
            };
            for data in wanted.union(&found) {
                let word = match (wanted.contains(data), found.contains(data)) {
                    (true, true) => "published",
                    (true, false) => "missing",
                    (false, _) => "unwanted",
                };
                good &= word == "published";
                text.push_str(&format!("{word:9}  {owner} {data}\n"));
            }
        }
        Ok(Compared {
            text,
            good: good && !silent,
            silent,
        })
    })
}

/// Ports and targets of one priority.
type Services<'a> = BTreeSet<(u16, &'a str)>;

/// The addresses, and the services of each priority, the best first. A weight is one among equals, and there are none.
fn order(records: &BTreeSet<Data>) -> (BTreeSet<IpAddr>, Vec<Services<'_>>) {
    let mut addresses = BTreeSet::new();
    let mut services: BTreeMap<u16, Services<'_>> = BTreeMap::new();
    for record in records {
        match record {
            Data::Address(address) => {
                addresses.insert(*address);
            }
            Data::Srv {
                priority,
                port,
                target,
                ..
            } => {
                let same = services.entry(*priority).or_default();
                same.insert((*port, target));
            }
        }
    }
    (addresses, services.into_values().collect())
}

/// The records of each name and type.
fn by_question(records: &[Record]) -> BTreeMap<(&str, RecordType), BTreeSet<Data>> {
    let mut questions: BTreeMap<_, BTreeSet<Data>> = BTreeMap::new();
    for Record { owner, data } in records {
        let kind = match data.kind() {
            "SRV" => RecordType::SRV,
            "A" => RecordType::A,
            _ => RecordType::AAAA,
        };
        let question = questions.entry((owner.as_str(), kind)).or_default();
        question.insert(data.clone());
        // An address of the other family would lead partners elsewhere.
        if matches!(data, Data::Address(_)) {
            for kind in [RecordType::A, RecordType::AAAA] {
                questions.entry((owner.as_str(), kind)).or_default();
            }
        }
    }
    questions
}

async fn published(
    client: TokioResolver,
    owner: String,
    kind: RecordType,
) -> Result<BTreeSet<Data>, NetError> {
    let name = Name::from_ascii(&owner)?;
    let answer = match client.lookup(name, kind).await {
        Ok(answer) => answer,
        Err(error) if error.is_no_records_found() => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let data = answer.answers().iter().map(|record| &record.data);
    Ok(data.filter_map(read).collect())
}

fn read(data: &RData) -> Option<Data> {
    match data {
        RData::SRV(srv) => Some(Data::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii().to_ascii_lowercase(),
        }),
        RData::A(address) => Some(Data::Address(address.0.into())),
        RData::AAAA(address) => Some(Data::Address(address.0.into())),
        _ => None,
    }
}

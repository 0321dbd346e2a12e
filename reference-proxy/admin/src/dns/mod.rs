//! `s2spec proxy dns`: the records that let partners find the proxy.

mod ask;
mod records;

use std::net::SocketAddr;
use std::path::Path;

use reference_proxy::config::{Domain, Draft};

use crate::error::{Error, Exit};
use crate::output::print;
use crate::{store, value};
pub(crate) use ask::Compared;
use records::member;
pub(crate) use records::{Member, Record, from_zone, members};

/// How long others may keep a record, in seconds.
const TTL: u32 = 3600;
/// The longest that they may (RFC 2181 §8).
const LONGEST_TTL: i64 = 0x7fff_ffff;

/// Without `--check`, prints a zone file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A proxy of the pool and its addresses: NAME[=ADDRESS,...]; the first one gets all streams while it
    /// is up, then the second, and so on
    #[arg(long, value_name = "MEMBER", value_parser = member, required = true)]
    member: Vec<Member>,
    /// Only for this served domain; may be given several times
    #[arg(long, value_name = "DOMAIN", value_parser = value::domain)]
    domain: Vec<Domain>,
    /// The port at which partners reach the pool [default: that of the configuration]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// How long others may keep a record, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TTL, value_parser = clap::value_parser!(u32).range(..=LONGEST_TTL))]
    ttl: u32,
    /// Ask what is published, and say what differs
    #[arg(long)]
    check: bool,
    /// The name server to ask [default: those of the configuration]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "check", value_parser = value::address)]
    server: Option<SocketAddr>,
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    records::distinct(&args.member).map_err(Error::Usage)?;
    let (_, draft) = store::read(config)?;
    let domains = value::served(&draft, &args.domain)?;
    let port = args.port.unwrap_or_else(|| draft.external.listen[0].port());
    let wanted = records::wanted(&domains, &args.member, port, draft.direct_tls);
    if !args.check {
        print(&records::zone_file(&wanted, &args.member, args.ttl))?;
        return Ok(Exit::Good);
    }
    let servers = match args.server {
        Some(server) => vec![server],
        None => draft.dns.clone(),
    };
    let compared = ask::compare(&wanted, &servers, draft.limits.dns_timeout)?;
    print(&compared.text)?;
    match compared {
        Compared { silent: true, .. } => Err(Error::environment(
            "it is not known what is published",
            "a name server has not answered",
        )),
        Compared { good: true, .. } => Ok(Exit::Good),
        _ => Ok(Exit::Wanting),
    }
}

/// The zone file of all served domains, as without options.
pub(crate) fn zone(draft: &Draft, members: &[Member]) -> String {
    let port = draft.external.listen[0].port();
    let wanted = records::wanted(&draft.domains, members, port, draft.direct_tls);
    records::zone_file(&wanted, members, TTL)
}

/// What is published of the records, by the name servers of the configuration.
///
/// # Errors
/// When there is no name server.
pub(crate) fn compare(records: &[Record], draft: &Draft) -> Result<Compared, Error> {
    ask::compare(records, &draft.dns, draft.limits.dns_timeout)
}

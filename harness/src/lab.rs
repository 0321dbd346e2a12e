//! The test network of one run: certificate authority, DNS and the seed that everything comes from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use simulated_partners::dns::{Answer, BadName, Data, Dns, Kind};
use simulated_partners::pki::Authority;

/// What all cases of a run share. Nothing in it leaves the loopback interface, unless a target file
/// says so.
pub struct Lab {
    /// Issues every certificate of the run.
    pub authority: Authority,
    /// Answers for every domain of the run.
    pub dns: Dns,
    /// Where partners listen.
    pub partners: IpAddr,
    /// Ids, keys and orders come from it.
    pub seed: u64,
    /// How SRV records name the hosts of partners.
    pub hosts: Hosts,
}

/// How an SRV record names the host of a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// By a name of its own, `xmpp.<domain>`, whose address is another question to the lab's DNS.
    #[default]
    Names,
    /// By its address in digits. For targets that ask the lab for services, but the machine's C
    /// library for addresses: it takes digits without asking anybody.
    Digits,
}

impl Lab {
    /// Opens the network.
    ///
    /// # Errors
    /// When no loopback port can be had for DNS.
    pub fn open(seed: u64) -> io::Result<Self> {
        Ok(Self {
            authority: Authority::new(seed),
            dns: Dns::start()?,
            partners: Ipv4Addr::LOCALHOST.into(),
            seed,
            hosts: Hosts::default(),
        })
    }

    /// What an SRV record has to call a host at an address. A name is published.
    ///
    /// # Errors
    /// When the name is no domain name.
    pub fn host(&self, name: &str, address: IpAddr) -> Result<String, BadName> {
        match self.hosts {
            Hosts::Names => {
                let kind = match address {
                    IpAddr::V4(_) => Kind::A,
                    IpAddr::V6(_) => Kind::Aaaa,
                };
                let answer = Answer::Records(vec![Data::Address(address)]);
                self.dns.records().set(name, kind, answer)?;
                Ok(name.to_owned())
            }
            Hosts::Digits => Ok(address.to_string()),
        }
    }

    /// Publishes where a partner's domain is served with TLS from the first byte, and nothing else.
    ///
    /// # Errors
    /// When the domain is no domain name.
    pub fn publish_direct(&self, domain: &str, address: SocketAddr) -> Result<(), BadName> {
        let service = Data::Service {
            priority: 0,
            weight: 0,
            port: address.port(),
            target: self.host(&format!("xmpp.{domain}"), address.ip())?,
        };
        let name = format!("_xmpps-server._tcp.{domain}");
        let answer = Answer::Records(vec![service]);
        self.dns.records().set(&name, Kind::Srv, answer)
    }

    /// Publishes where a partner's domain is served.
    ///
    /// # Errors
    /// When the domain is no domain name.
    pub fn publish(&self, domain: &str, address: SocketAddr) -> Result<(), BadName> {
        let records = self.dns.records();
        match self.hosts {
            Hosts::Names => records.server(domain, address),
            Hosts::Digits => {
                let service = Data::Service {
                    priority: 0,
                    weight: 0,
                    port: address.port(),
                    target: address.ip().to_string(),
                };
                let name = format!("_xmpp-server._tcp.{domain}");
                records.set(&name, Kind::Srv, Answer::Records(vec![service]))
            }
        }
    }
}

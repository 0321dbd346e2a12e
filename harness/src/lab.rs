//! The test network of one run: certificate authority, DNS and the seed that everything comes from.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use simulated_partners::dns::Dns;
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
        })
    }
}

//! The embedded proxy run alone: its configuration file lists its partners, has its documented defaults,
//! and no gateway is at its inner side. All that is known of it stands in a target file.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use s2spec::case::Case;
use s2spec::policy::PolicyNumber;
use s2spec::subject::reference;
use s2spec::subject::remote::TargetFile;
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Authority;
use tokio::runtime::Runtime;

use crate::remote::{free, write};

const DOMAIN: &str = "contoso.com";

/// A proxy that runs until this is dropped.
pub(crate) struct LoneProxy {
    runtime: Option<Runtime>,
    _folder: tempfile::TempDir,
    pub(crate) file: TargetFile,
}

impl LoneProxy {
    /// Starts a proxy that takes these partners, each by the same policy. It asks a name server that is
    /// given by the address of the lab's.
    pub(crate) fn start(
        row: PolicyNumber,
        partners: &[&str],
        dns_cache: Option<Duration>,
        resolver: impl Fn(SocketAddr) -> SocketAddr,
    ) -> Self {
        let mut more = format!("partner-domains = {partners:?}\n");
        if let Some(time) = dns_cache {
            more.push_str(&format!("dns-cache = {}\n", time.as_secs_f64()));
        }
        Self::of(row, partners, row, &more, resolver)
    }

    /// Starts a proxy that takes the partners of these cases, and says that it is set to a policy.
    pub(crate) fn for_cases(row: PolicyNumber, cases: &[Case], said: PolicyNumber) -> Self {
        let listed = cases
            .iter()
            .flat_map(|case| case.script.listed(&case.domain()));
        let listed: BTreeSet<String> = listed.collect();
        let partners: Vec<&str> = listed.iter().map(String::as_str).collect();
        Self::of(row, &partners, said, "", |lab| lab)
    }

    fn of(
        row: PolicyNumber,
        partners: &[&str],
        said: PolicyNumber,
        more: &str,
        resolver: impl Fn(SocketAddr) -> SocketAddr,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (external, internal, lab) = (free(), free(), free());
        certificates(folder.path());
        let mut configuration = format!(
            "domains = [\"{DOMAIN}\"]\ndns = [\"{}\"]\n\
             [external]\nlisten = \"{external}\"\n{PEM}[internal]\nlisten = \"{internal}\"\n{PEM}\
             gateways = [\"gateway.{DOMAIN}\"]\n",
            resolver(lab),
        );
        let policy = row.policy();
        for partner in partners {
            configuration.push_str(&format!(
                "[[partner]]\ndomain = \"{partner}\"\ntls = \"{}\"\nsasl = \"{}\"\ndialback = {}\n",
                policy.tls, policy.sasl, policy.dialback,
            ));
        }
        write(folder.path(), "proxy.toml", &configuration);
        let target = format!(
            "format = 1\ndomain = \"{DOMAIN}\"\naddress = \"{external}\"\ndns = \"{lab}\"\n{more}\
             ca = {{ certificate = \"ca.crt\", key = \"ca.key\" }}\npolicy = {{ row = {} }}\n",
            said.number(),
        );
        let path = folder.path().join("target.toml");
        let file = TargetFile::parse(&path, &target, false).expect("no mistake in it");
        let runtime = Runtime::new().expect("threads");
        let path = folder.path().join("proxy.toml");
        runtime.spawn(async move {
            let ended = reference::alone(&path).await;
            panic!("the proxy has ended: {ended:?}");
        });
        Self {
            runtime: Some(runtime),
            _folder: folder,
            file,
        }
    }
}

impl Drop for LoneProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

const PEM: &str = "certificate = \"server.crt\"\nkey = \"server.key\"\nca = \"ca.crt\"\n";

fn certificates(folder: &Path) {
    let authority = Authority::new(1);
    let server = authority.issue(&[DOMAIN], Certificate::Good, Key::P256);
    let server = server.expect("a good certificate is one");
    write(folder, "server.crt", &server.chain_pem());
    write(folder, "server.key", &server.key_pem());
    write(folder, "ca.crt", &authority.root_pem());
    let key = authority.root_key_pem().expect("made here");
    write(folder, "ca.key", &key);
}

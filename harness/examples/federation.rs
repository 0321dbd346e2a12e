//! Federation tests of another project's server, here the reference proxy: what its
//! `tests/federation.rs` would hold, with `harness = false` in its manifest.
//!
//! ```text
//! cargo run -p s2spec --example federation -- policies/row07
//! cargo nextest run -p s2spec --example federation --partition count:1/4
//! ```

use std::process::ExitCode;

use reference_proxy::Proxy;
use reference_proxy::config::Config;
use s2spec::case::Case;
use s2spec::embed::{InProcess, Instance, Placement, Setup, StartError, federation};

const DOMAIN: &str = "proxy.example";

fn main() -> ExitCode {
    federation(ReferenceProxy)
        .cases("policies/row07/**")
        .cases("policies/row18/**")
        .cases("personas/*/google-talk/**")
        .cases("multiplexing/**")
        .run()
}

/// A proxy configured per domain, so that all valid policies fit into one instance.
struct ReferenceProxy;

impl InProcess for ReferenceProxy {
    fn name(&self) -> String {
        "reference-proxy in its own tests".to_owned()
    }

    fn place(&self, case: &Case) -> Placement {
        Placement::Group(match case.row.policy().valid() {
            true => "proxy".to_owned(),
            false => format!("refused-{}", case.row.label()),
        })
    }

    async fn start(&self, setup: Setup<'_>) -> Result<Instance, StartError> {
        let config = Config::from_toml(&configuration(setup), "proxy.toml")
            .map_err(|error| StartError::ConfigRefused(error.to_string()))?;
        let proxy =
            Proxy::start(config).map_err(|error| StartError::Environment(error.to_string()))?;
        Ok(Instance::at(DOMAIN, proxy.external_address())
            .gateway(proxy.internal_address(), "gateway.proxy.example")
            .stopped_by(proxy.stop()))
    }
}

fn configuration(setup: Setup<'_>) -> String {
    let (chain, key) = setup.certificate(&[DOMAIN]);
    let ca = setup.ca_pem();
    let side = format!(
        "listen = '127.0.0.1:0'\ncertificate = '''{chain}'''\nkey = '''{key}'''\nca = '''{ca}'''\n"
    );
    let mut text = format!(
        "domains = ['{DOMAIN}']\ndns = ['{}']\nvalidation = 'matrix'\nsecret = 'of {}'\n\
         [external]\n{side}[internal]\n{side}gateways = ['gateway.proxy.example']\n\
         [limits]\nconnections = 10000\n",
        setup.dns(),
        setup.seed(),
    );
    for (domain, policy) in setup.partners() {
        let (tls, sasl) = (policy.tls, policy.sasl);
        let dialback = policy.dialback;
        text.push_str(&format!(
            "[[partner]]\ndomain = '{domain}'\ntls = '{tls}'\nsasl = '{sasl}'\ndialback = {dialback}\n"
        ));
    }
    text
}

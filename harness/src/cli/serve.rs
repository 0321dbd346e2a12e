//! `s2spec serve`: one partner alone on the network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use owo_colors::OwoColorize as _;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use simulated_partners::dns::Dns;
use simulated_partners::driver::{Partner, PartnerSetup};
use simulated_partners::event::Event;
use simulated_partners::nearest::{did_you_mean, nearest};
use simulated_partners::persona::{self, Persona};
use simulated_partners::pki::Authority;
use simulated_partners::stanza::ping;

use super::{Color, logging, number, output};
use crate::console::describe_offer;
use crate::error::{CliError, Exit};
use crate::subject::remote::authority_at;
use crate::transcript::{Detail, line, telling};

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of a persona (see `s2spec personas`), or a persona file ending in .toml
    persona: String,

    /// Where the partner listens
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:15269",
        env = "S2SPEC_LISTEN"
    )]
    listen: SocketAddr,

    /// The partner's domain
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = "partner.example",
        env = "S2SPEC_DOMAIN"
    )]
    domain: String,

    /// The domain of your server
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = "target.example",
        env = "S2SPEC_TARGET_DOMAIN"
    )]
    target_domain: String,

    /// The address of your server
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:5269",
        env = "S2SPEC_TARGET_ADDRESS"
    )]
    target_address: SocketAddr,

    /// Also answer DNS queries for the partner's domain at this address
    #[arg(long, value_name = "ADDRESS", env = "S2SPEC_DNS")]
    dns: Option<SocketAddr>,

    /// Write the CA certificate of the partner to this file
    #[arg(long, value_name = "FILE", env = "S2SPEC_CA")]
    ca: Option<PathBuf>,

    /// Keep the CA: its key is in this file, its certificate in that of `--ca`; both are made if they are missing
    #[arg(long, value_name = "FILE", requires = "ca", env = "S2SPEC_CA_KEY")]
    ca_key: Option<PathBuf>,

    /// PEM file with CA certificates that the partner trusts; EXTERNAL needs your server's CA
    #[arg(long, value_name = "FILE", env = "S2SPEC_TRUST")]
    trust: Option<PathBuf>,

    /// Connect to your server now and send a ping
    #[arg(long)]
    dial: bool,

    /// Print every event in full
    #[arg(long)]
    full: bool,

    /// Seed for stream ids and keys
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = number::seed, env = "S2SPEC_SEED")]
    seed: u64,

    /// How long the partner waits for each step of your server
    #[arg(long, value_name = "SECONDS", default_value_t = 60, env = "S2SPEC_PATIENCE",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,

    /// When to use color
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        env = "S2SPEC_COLOR"
    )]
    color: Color,
}

/// Runs a partner until Ctrl-C.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    args.color.apply();
    logging::start("off");
    let persona = find(&args.persona)?;
    let domain = domain(&args.domain)?;
    let target_domain = self::domain(&args.target_domain)?;
    let authority = match (&args.ca, &args.ca_key) {
        (Some(certificate), Some(key)) => authority_at(certificate, key, args.seed)
            .map_err(|e| CliError::environment("cannot use the authority", e))?,
        _ => Authority::new(args.seed),
    };
    let roots = trust(&authority, args.trust.as_deref())?;
    let pem = authority.root_pem();
    if let (Some(file), None) = (&args.ca, &args.ca_key) {
        std::fs::write(file, &pem)
            .map_err(|e| CliError::environment(format!("cannot write {}", file.display()), e))?;
    }
    let persona = Arc::new(persona);
    let setup = PartnerSetup {
        roots,
        secret: format!("s2spec serve {}", args.seed),
        patience: Duration::from_secs(args.patience),
        answers: true,
        seed: args.seed,
        listen: args.listen,
        ..PartnerSetup::new(
            &authority,
            domain,
            persona,
            target_domain,
            args.target_address,
        )
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::environment("cannot start threads", e))?;
    runtime.block_on(serve(args, setup, &pem))?;
    Ok(Exit::Expected)
}

async fn serve(args: &Args, setup: PartnerSetup, pem: &str) -> Result<(), CliError> {
    let persona = Arc::clone(&setup.persona);
    let mut partner = Partner::start(setup)
        .await
        .map_err(|e| CliError::environment(format!("cannot listen on {}", args.listen), e))?;
    let announced = announced(partner.address());
    let dns = args
        .dns
        .map(|address| dns(address, &args.domain, announced));
    let dns = dns.transpose()?;

    let mut intro = format!(
        "{} as {} on {}: {}\n{}\n\nDNS records it needs:\n{}",
        persona.name.bold(),
        args.domain,
        partner.address(),
        persona.title,
        describe_offer(&persona.offer),
        zone(&args.domain, announced)
    );
    if let Some(dns) = &dns {
        intro.push_str(&format!(
            "They are served on {} (UDP and TCP).\n",
            dns.address()
        ));
    }
    match &args.ca {
        Some(file) => intro.push_str(&format!(
            "\nAuthority of its certificate: {}\n",
            file.display()
        )),
        None => intro.push_str(&format!("\nAuthority of its certificate:\n{pem}")),
    }
    intro.push_str("\n→ partner to server, ← server to partner. Ctrl-C ends it.\n\n");
    output::show(intro)?;

    if args.dial {
        partner.dial(ping("s2spec-serve", &args.domain, &args.target_domain));
    }
    let detail = if args.full {
        Detail::Full
    } else {
        Detail::Columns(output::width())
    };
    let mut number = 0;
    let mut show = |event: &Event| {
        number += 1;
        if !args.full && !telling(event) {
            return Ok(true);
        }
        let text = format!("{}\n", line(number, event, detail));
        output::is_read(&output::charset().fit(text))
    };
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            event = partner.next_event() => match event {
                None => break,
                Some(event) => {
                    if !show(&event)? {
                        break;
                    }
                }
            },
            _ = interrupted.as_mut() => break,
        }
    }
    for event in partner.stop().await {
        show(&event)?;
    }
    Ok(())
}

/// A built-in persona by name, or one from a file.
fn find(name: &str) -> Result<Persona, CliError> {
    if Path::new(name).extension().is_some_and(|e| e == "toml") {
        return Ok(Persona::load(Path::new(name))?);
    }
    persona::find(name).ok_or_else(|| {
        let all = persona::builtin();
        let names = nearest(name, all.iter().map(|p| p.name.as_str()));
        CliError::Usage(format!(
            "no persona is called {name:?}{} (`s2spec personas` lists them)",
            did_you_mean(&names)
        ))
    })
}

/// A domain in A-labels.
///
/// # Errors
/// When it is none, with what one looks like.
pub(super) fn domain(name: &str) -> Result<&str, CliError> {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if name.len() <= 253 && name.split('.').all(label) {
        Ok(name)
    } else {
        Err(CliError::Usage(format!(
            "{name:?} is not a domain; expected one like partner.example (other scripts as xn--…)"
        )))
    }
}

/// The lab's own authority and those from the file.
fn trust(authority: &Authority, file: Option<&Path>) -> Result<Arc<RootCertStore>, CliError> {
    let Some(file) = file else {
        return Ok(authority.roots());
    };
    let doing = || format!("cannot read authorities from {}", file.display());
    let mut roots = RootCertStore::clone(&authority.roots());
    let mut count = 0;
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|e| CliError::environment(doing(), e))?;
    for certificate in certificates {
        certificate
            .map_err(|e| CliError::environment(doing(), e))
            .and_then(|c| roots.add(c).map_err(|e| CliError::environment(doing(), e)))?;
        count += 1;
    }
    if count == 0 {
        return Err(CliError::environment(doing(), "no certificate is in it"));
    }
    Ok(Arc::new(roots))
}

fn dns(address: SocketAddr, domain: &str, partner: SocketAddr) -> Result<Dns, CliError> {
    let doing = || format!("cannot serve DNS on {address}");
    let dns = Dns::start_at(address).map_err(|e| CliError::environment(doing(), e))?;
    dns.records()
        .server(domain, partner)
        .map_err(|e| CliError::environment(doing(), e))?;
    Ok(dns)
}

/// The address that others connect to: an unspecified address is useless in DNS.
fn announced(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The records in the form of a zone file.
fn zone(domain: &str, address: SocketAddr) -> String {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    format!(
        "  _xmpp-server._tcp.{domain}. 60 IN SRV 0 0 {} xmpp.{domain}.\n  \
         xmpp.{domain}. 60 IN {kind} {}\n",
        address.port(),
        address.ip()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_persona_is_wrong_usage_and_the_nearest_is_named() {
        let error = find("gogle-talk").unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(
            error.chain().contains("did you mean google-talk"),
            "{error}"
        );
        assert_eq!(find("google-talk").unwrap().name, "google-talk");
    }

    #[test]
    fn a_missing_persona_file_is_named() {
        let error = find("nowhere/mine.toml").unwrap_err();
        assert!(error.chain().contains("nowhere/mine.toml"), "{error}");
    }

    #[test]
    fn only_host_names_are_domains() {
        assert!(domain("partner.example").is_ok());
        for wrong in ["", ".", "a b", "-a.example", "grüße.example", "a..b"] {
            assert_eq!(domain(wrong).unwrap_err().exit(), Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn records_are_written_as_in_a_zone() {
        assert_eq!(
            zone("p.example", "127.0.0.1:15269".parse().unwrap()),
            "  _xmpp-server._tcp.p.example. 60 IN SRV 0 0 15269 xmpp.p.example.\n  \
             xmpp.p.example. 60 IN A 127.0.0.1\n"
        );
    }

    #[test]
    fn an_unspecified_address_is_announced_as_loopback() {
        let all = "0.0.0.0:5".parse().unwrap();
        assert_eq!(announced(all), "127.0.0.1:5".parse().unwrap());
        let one = "[::1]:5".parse().unwrap();
        assert_eq!(announced(one), one);
    }
}

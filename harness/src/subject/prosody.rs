//! Prosody as a target: Debian's package, one process a policy, everything in a temporary folder.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use simulated_partners::inner::{Inner, component as component_link};
use simulated_partners::persona::{Certificate, Key};
use tempfile::TempDir;

use super::by_hand::{Sheet, Site};
use super::call::Call;
use super::inner_side::InnerSide;
use super::port::free_address;
use super::remote::{CertificateNames, PartnerHosts};
use super::server::{Launch, Ours};
use super::template::fill;
use super::{Pending, Placement, Running, StartError, Stop, Target};
use crate::case::Case;
use crate::case::Need;
use crate::cause::with_causes;
use crate::lab::Lab;
use crate::policy::{Level, Policy, PolicyNumber};

const TEMPLATE: &str = include_str!("../../targets/prosody.cfg.lua");
const HOST: &str = "prosody.example";
const DOMAIN: &str = "im.prosody.example";
const SECRET: &str = "component-secret";
const DIALBACK_SECRET: &str = "dialback-secret";
const START: Duration = Duration::from_secs(120);

/// What it can do of what scenarios need.
const ABILITIES: [Need; 7] = [
    Need::Bidi,
    Need::DirectTls,
    Need::InnerSide,
    Need::KnownSecret,
    Need::LabAddresses,
    Need::SecondDomain,
    Need::StreamManagement,
];

/// Modules beside those of the policy, which only cases have that need them: they change what is
/// offered.
fn extras(case: &Case) -> Vec<&'static str> {
    let needs = |need| case.script.needs.contains(&need);
    let modules = [(Need::Bidi, "s2s_bidi"), (Need::StreamManagement, "smacks")];
    let needed = modules.into_iter().filter(|(need, _)| needs(*need));
    needed.map(|(_, module)| module).collect()
}

/// Prosody from the machine's packages.
pub struct Prosody {
    program: PathBuf,
    version: String,
}

impl Prosody {
    /// Looks for the program.
    ///
    /// # Errors
    /// When Prosody is not installed, with what to do about it.
    pub fn find() -> Result<Self, String> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&paths)
            .map(|folder| folder.join("prosody"))
            .find(|program| program.is_file())
            .ok_or("prosody is not installed (Debian: apt-get install prosody lua-unbound)")?;
        let version = version().unwrap_or_else(|| "of unknown version".to_owned());
        Ok(Self { program, version })
    }
}

/// `prosody --version` would start a server; prosodyctl does not.
fn version() -> Option<String> {
    let output = std::process::Command::new("prosodyctl")
        .arg("about")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("Prosody "))?;
    Some(line.trim_start_matches("Prosody ").trim().to_owned())
}

impl Target for Prosody {
    fn name(&self) -> String {
        format!("prosody {}", self.version)
    }

    fn place(&self, case: &Case) -> Placement {
        if let Some(lacking) = super::lacking(case, &ABILITIES) {
            return lacking;
        }
        match settings(case.row.policy()) {
            Ok(_) => {
                let with_extras = extras(case)
                    .iter()
                    .fold(case.row.label(), |name, module| format!("{name}-{module}"));
                Placement::Group(super::apart(case, with_extras))
            }
            Err(why) => Placement::Unsupported(why.to_owned()),
        }
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let case = cases
                .first()
                .ok_or_else(|| StartError::Environment(format!("group {group} has no cases")))?;
            self.launch(lab, case.row, &extras(case)).await
        })
    }
}

impl Prosody {
    async fn launch(
        &self,
        lab: &Lab,
        row: PolicyNumber,
        extras: &[&'static str],
    ) -> Result<(Running, Stop), StartError> {
        let mut settings = settings(row.policy())
            .map_err(|why| StartError::Environment(format!("{}: {why}", row.label())))?;
        settings.modules.extend(extras);
        let folder = tempfile::Builder::new()
            .prefix("s2spec-prosody-")
            .tempdir()
            .map_err(|error| io_trouble(&error))?;
        let s2s = free_address().map_err(|error| io_trouble(&error))?;
        let component = free_address().map_err(|error| io_trouble(&error))?;
        write_files(&folder, lab, &settings, s2s.port(), component.port())
            .map_err(|error| io_trouble(&error))?;
        let configuration = folder.path().join("prosody.cfg.lua");
        let launch = Launch {
            start: Some(Call {
                purpose: "start",
                command: vec![
                    self.program.display().to_string(),
                    "--config".to_owned(),
                    configuration.display().to_string(),
                    "-F".to_owned(),
                ],
                folder: folder.path().to_owned(),
                environment: Vec::new(),
                timeout: START,
            }),
            // Both ports are announced in "Activated service ..." lines.
            ready: [s2s, component]
                .map(|address| format!("]:{}", address.port()))
                .into(),
            ports: vec![s2s, component],
            stop: None,
            stop_timeout: Duration::ZERO,
            logs: Vec::new(),
            timeout: START,
            ours: Some(Ours {
                folder,
                ends_with_input: false,
            }),
        };
        let server = launch.run().await?;
        let link = match component_link::connect(component, DOMAIN, SECRET).await {
            Ok(link) => link,
            Err(error) => {
                let why = format!("prosody's component port: {}", with_causes(&error));
                return Err(server.give_up(why).await);
            }
        };
        let inner = inner_side(link);
        let stop: Stop = Box::new(move || Box::pin(server.stop()));
        Ok((
            Running {
                domain: DOMAIN.to_owned(),
                second: Some(HOST.to_owned()),
                secret: Some(DIALBACK_SECRET.to_owned()),
                address: s2s,
                inner: inner.into(),
            },
            stop,
        ))
    }
}

fn inner_side(link: Inner) -> InnerSide {
    InnerSide::new(link, &format!("barrier@{DOMAIN}"), HOST)
}

fn io_trouble(error: &io::Error) -> StartError {
    StartError::Environment(format!("prosody's folder or port: {error}"))
}

/// The part of a configuration that a policy decides.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    modules: Vec<&'static str>,
    require_encryption: bool,
    secure_auth: bool,
}

/// How a policy is said in Prosody's configuration, or why it cannot be.
fn settings(policy: Policy) -> Result<Settings, &'static str> {
    if policy.tls == Level::NotSupported && !policy.dialback {
        return Err("Prosody has no setting for neither TLS nor dialback");
    }
    if policy.sasl == Level::Required && policy.tls != Level::Required {
        return Err("Prosody forces TLS where it requires certificates (s2s_secure_auth)");
    }
    let mut modules = vec!["s2s", "disco", "ping"];
    if policy.tls != Level::NotSupported {
        modules.push("tls");
    }
    if policy.sasl != Level::NotSupported {
        modules.push("saslauth");
    }
    // With the module loaded Prosody takes dialback over TLS for EXTERNAL wherever the certificate is
    // valid; where both are required dialback has to stay without effect.
    let inert = policy.tls == Level::Required && policy.sasl == Level::Required;
    if policy.dialback && !inert {
        modules.push("dialback");
    }
    Ok(Settings {
        modules,
        require_encryption: policy.tls == Level::Required,
        secure_auth: policy.sasl == Level::Required,
    })
}

/// The configuration for a policy, to be set up by hand.
///
/// # Errors
/// When Prosody cannot be set so, with the reason.
pub fn by_hand(policy: Policy, site: &Site) -> Result<Sheet, &'static str> {
    let settings = settings(policy)?;
    let Site {
        folder,
        dns,
        s2s,
        component,
    } = site;
    Ok(Sheet {
        files: vec![(
            "prosody.cfg.lua",
            configuration(folder, *dns, &settings, *s2s, *component),
        )],
        host: HOST,
        component: DOMAIN,
        secret: SECRET,
        command: format!(
            "prosody --config {} -F",
            folder.join("prosody.cfg.lua").display()
        ),
        partner_hosts: PartnerHosts::Names,
        certificate_names: CertificateNames::All,
    })
}

fn write_files(
    folder: &TempDir,
    lab: &Lab,
    settings: &Settings,
    s2s: u16,
    component: u16,
) -> io::Result<()> {
    let identity = lab
        .authority
        .issue(&[DOMAIN, HOST], Certificate::Good, Key::P256)
        .ok_or_else(|| io::Error::other("no certificate could be made"))?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("ca.crt"), lab.authority.root_pem())?;
    std::fs::write(path("server.crt"), identity.chain_pem())?;
    std::fs::write(path("server.key"), identity.key_pem())?;
    std::fs::write(
        path("prosody.cfg.lua"),
        configuration(folder.path(), lab.dns.address(), settings, s2s, component),
    )
}

fn configuration(
    folder: &Path,
    dns: SocketAddr,
    settings: &Settings,
    s2s: u16,
    component: u16,
) -> String {
    let modules: Vec<String> = settings
        .modules
        .iter()
        .map(|module| format!("\"{module}\""))
        .collect();
    let values = [
        ("folder", folder.display().to_string()),
        ("s2s-port", s2s.to_string()),
        ("component-port", component.to_string()),
        ("modules", modules.join(", ")),
        (
            "require-encryption",
            settings.require_encryption.to_string(),
        ),
        ("secure-auth", settings.secure_auth.to_string()),
        ("dns", format!("{}@{}", dns.ip(), dns.port())),
        ("host", HOST.to_owned()),
        ("domain", DOMAIN.to_owned()),
        ("secret", SECRET.to_owned()),
        ("dialback-secret", DIALBACK_SECRET.to_owned()),
    ];
    fill(TEMPLATE, &values)
}

//! ejabberd as a target: Debian's package, one process for each way to set it, everything in a
//! temporary folder. It needs no rights: no name of the machine's is changed, no port below 1024 used.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use simulated_partners::inner::{Inner, component as component_link};
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::NameForms;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

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
use crate::lab::{Hosts, Lab};
use crate::policy::{Level, Policy};

const TEMPLATE: &str = include_str!("../../targets/ejabberd.yml");
const RESOLVER: &str = include_str!("../../targets/ejabberd.inetrc");
const HOST: &str = "ejabberd.example";
const DOMAIN: &str = "im.ejabberd.example";
const SECRET: &str = "component-secret";
const START: Duration = Duration::from_secs(180);
/// How long it may take to end once its input is closed.
const FAREWELL: Duration = Duration::from_secs(2);
/// One starts at a time: that takes one core for more than a second, and those that run already have
/// short timeouts.
static STARTING: Mutex<()> = Mutex::const_new(());
const READY: &str = "s2spec: ejabberd has started";
/// Runs before everything else: ends the server with its input, so that none is left behind, whatever
/// happens to s2spec.
const WATCH_INPUT: &str =
    "spawn(fun() -> io:get_line(\"\"), erlang:halt(0, [{flush, false}]) end).";
/// Runs once `-s ejabberd` has returned: all ports are open then.
const TELL: &str = "io:put_chars(\"s2spec: ejabberd has started\\n\").";

/// What it can do of what scenarios need.
const ABILITIES: [Need; 3] = [Need::DirectTls, Need::InnerSide, Need::SecondDomain];

/// ejabberd from the machine's packages.
pub struct Ejabberd {
    erlang: PathBuf,
    /// `ebin` of ejabberd.
    code: PathBuf,
    version: String,
}

impl Ejabberd {
    /// Looks for Erlang and for ejabberd's code.
    ///
    /// # Errors
    /// When one of them is not installed, with what to do about it.
    pub fn find() -> Result<Self, String> {
        const INSTALL: &str = "(Debian: apt-get install --no-install-recommends ejabberd)";
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let erlang = std::env::split_paths(&paths)
            .map(|folder| folder.join("erl"))
            .find(|program| program.is_file())
            .ok_or_else(|| format!("Erlang (erl) is not installed {INSTALL}"))?;
        let code = code(Path::new("/usr/lib"))
            .ok_or_else(|| format!("ejabberd is not installed {INSTALL}"))?;
        let version = version(&code).unwrap_or_else(|| "of unknown version".to_owned());
        Ok(Self {
            erlang,
            code,
            version,
        })
    }
}

/// The code of ejabberd: in a folder of the architecture, or beside Erlang's own.
fn code(libraries: &Path) -> Option<PathBuf> {
    let mut candidates = vec![libraries.to_owned(), libraries.join("erlang/lib")];
    candidates.extend(folders(libraries));
    candidates.iter().find_map(|parent| {
        folders(parent)
            .into_iter()
            .filter(|folder| {
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                name == "ejabberd" || name.starts_with("ejabberd-")
            })
            .map(|folder| folder.join("ebin"))
            .rfind(|code| code.join("ejabberd.app").is_file())
    })
}

/// The folders in a folder, by name. One that cannot be read holds none.
fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

/// `{vsn,"23.01-1"}` of the application's description.
fn version(code: &Path) -> Option<String> {
    let text = std::fs::read_to_string(code.join("ejabberd.app")).ok()?;
    let (_, rest) = text.split_once("{vsn,")?;
    let version = rest.trim_start().strip_prefix('"')?.split('"').next()?;
    Some(version.to_owned())
}

impl Target for Ejabberd {
    fn name(&self) -> String {
        format!("ejabberd {}", self.version)
    }

    fn place(&self, case: &Case) -> Placement {
        if let Some(lacking) = super::lacking(case, &ABILITIES) {
            return lacking;
        }
        match settings(case.row.policy()) {
            Ok(settings) => Placement::Group(super::apart(case, settings.label())),
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
                .ok_or_else(|| environment(format!("group {group} has no cases")))?;
            let settings = settings(case.row.policy())
                .map_err(|why| environment(format!("{}: {why}", case.row.label())))?;
            self.launch(lab, settings).await
        })
    }

    /// Services are asked of the lab's DNS, addresses of the machine's C library. And where a
    /// certificate has an id-on-xmppAddr, p1_xmpp 1.6 takes its name for a list and crashes, so that
    /// no certificate could be tested.
    fn lab(&self, seed: u64) -> io::Result<Lab> {
        let lab = Lab::open(seed)?;
        Ok(Lab {
            hosts: Hosts::Digits,
            authority: lab.authority.naming(NameForms::WithoutXmppAddr),
            ..lab
        })
    }
}

impl Ejabberd {
    async fn launch(&self, lab: &Lab, settings: Settings) -> Result<(Running, Stop), StartError> {
        let folder = tempfile::Builder::new()
            .prefix("s2spec-ejabberd-")
            .tempdir()
            .map_err(|error| io_trouble(&error))?;
        let s2s = free_address().map_err(|error| io_trouble(&error))?;
        let component = free_address().map_err(|error| io_trouble(&error))?;
        write_files(folder.path(), lab, settings, s2s.port(), component.port())
            .map_err(|error| io_trouble(&error))?;
        let _turn = STARTING.lock().await;
        let launch = Launch {
            start: Some(self.command(folder.path())),
            ready: vec![READY.to_owned()],
            ports: vec![s2s, component],
            stop: None,
            stop_timeout: FAREWELL,
            logs: Vec::new(),
            timeout: START,
            ours: Some(Ours {
                folder,
                ends_with_input: true,
            }),
        };
        let server = launch.run().await?;
        let link = match opened(component, s2s).await {
            Ok(link) => link,
            Err(why) => return Err(server.give_up(why).await),
        };
        let inner = InnerSide::new(link, &format!("barrier@{DOMAIN}"), HOST);
        let stop: Stop = Box::new(move || Box::pin(server.stop()));
        let running = Running {
            domain: DOMAIN.to_owned(),
            second: Some(HOST.to_owned()),
            secret: None,
            address: s2s,
            inner: inner.into(),
        };
        Ok((running, stop))
    }

    /// The server without its wrapper, which would leave a virtual machine and epmd behind.
    fn command(&self, folder: &Path) -> Call {
        let path = |name: &str| folder.join(name).display().to_string();
        let environment = [
            ("ERL_FLAGS", String::new()),
            ("ERL_AFLAGS", String::new()),
            ("ERL_ZFLAGS", String::new()),
            ("ERL_CRASH_DUMP_BYTES", "0".to_owned()),
            ("ERL_INETRC", path("inetrc")),
            ("EJABBERD_CONFIG_PATH", path("ejabberd.yml")),
            ("EJABBERD_LOG_PATH", path("server.log")),
            ("HOME", folder.display().to_string()),
        ];
        let erlang = self.erlang.display().to_string();
        let code = self.code.display().to_string();
        let database = format!("\"{}\"", escaped(&folder.join("database")));
        let command = [
            erlang.as_str(),
            "-noshell",
            "+K",
            "true",
            "+sbwt",
            "none",
            "+Bd",
            "-pa",
            &code,
            "-mnesia",
            "dir",
            &database,
            "-eval",
            WATCH_INPUT,
            "-s",
            "ejabberd",
            "-eval",
            TELL,
        ];
        Call {
            purpose: "start",
            command: command.map(str::to_owned).into(),
            folder: folder.to_owned(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            timeout: START,
        }
    }
}

fn environment(why: String) -> StartError {
    StartError::Environment(why)
}

/// A path inside double quotes, for Erlang's terms and YAML alike.
fn escaped(path: &Path) -> String {
    let path = path.display().to_string();
    path.replace('\\', "\\\\").replace('"', "\\\"")
}

fn io_trouble(error: &io::Error) -> StartError {
    environment(format!("ejabberd's folder or port: {error}"))
}

/// Links to the inner side and warms the outer one up.
async fn opened(component: SocketAddr, address: SocketAddr) -> Result<Inner, String> {
    let link = component_link::connect(component, DOMAIN, SECRET)
        .await
        .map_err(|error| format!("ejabberd's component port: {error}"))?;
    match timeout(START, warm_up(address)).await {
        Ok(Ok(())) => Ok(link),
        Ok(Err(error)) => Err(format!("ejabberd's first stream: {error}")),
        Err(_) => Err(format!(
            "ejabberd did not answer its first stream within {} s",
            START.as_secs()
        )),
    }
}

/// Has a stream opened and closes it. The first one after a start takes much longer than all others.
async fn warm_up(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' version='1.0'>"
    );
    stream.write_all(header.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    let told = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer);
        text.contains("features>") || text.contains("features/>")
    };
    while !told(&answer) && answer.len() < 8192 {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Err(io::Error::other("it was closed without features"));
        }
        answer.extend_from_slice(&chunk[..length]);
    }
    stream.write_all(b"</stream:stream>").await?;
    // It closes in answer.
    while stream.read(&mut chunk).await? > 0 {}
    Ok(())
}

/// The part of a configuration that a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    tls: Level,
    dialback: bool,
}

impl Settings {
    fn starttls(self) -> &'static str {
        match self.tls {
            Level::Required => "required",
            Level::Optional => "optional",
            Level::NotSupported => "false",
        }
    }

    /// What distinguishes instances: policies with the same settings share one.
    fn label(self) -> String {
        let dialback = if self.dialback { "with" } else { "without" };
        format!("starttls {}, {dialback} dialback", self.starttls())
    }
}

/// How a policy is said in ejabberd's configuration, or why it cannot be.
fn settings(policy: Policy) -> Result<Settings, &'static str> {
    let Policy {
        tls,
        sasl,
        dialback,
    } = policy;
    // With the module loaded, what cannot be verified goes on to dialback; where TLS and certificates
    // are both required it has to stay without effect.
    let inert = tls == Level::Required && sasl == Level::Required;
    if tls == Level::NotSupported && !dialback {
        return Err("ejabberd has no setting for neither TLS nor dialback");
    }
    if tls != Level::NotSupported && sasl == Level::NotSupported {
        return Err("ejabberd always offers and tries EXTERNAL where TLS is up");
    }
    if sasl == Level::Required && dialback && !inert {
        return Err("ejabberd cannot require certificates while mod_s2s_dialback is loaded");
    }
    Ok(Settings {
        tls,
        dialback: dialback && !inert,
    })
}

/// The configuration for a policy, to be set up by hand.
///
/// # Errors
/// When ejabberd cannot be set so, with the reason.
pub fn by_hand(policy: Policy, site: &Site) -> Result<Sheet, &'static str> {
    let settings = settings(policy)?;
    let Site {
        folder,
        dns,
        s2s,
        component,
    } = site;
    let shown = folder.display();
    Ok(Sheet {
        files: vec![
            (
                "ejabberd.yml",
                configuration(folder, settings, *s2s, *component),
            ),
            ("inetrc", resolver(*dns)),
        ],
        host: HOST,
        component: DOMAIN,
        secret: SECRET,
        command: format!(
            "ERL_LIBS=/usr/lib/{}-linux-gnu ERL_INETRC={shown}/inetrc HOME={shown} \
             EJABBERD_CONFIG_PATH={shown}/ejabberd.yml EJABBERD_LOG_PATH={shown}/server.log \
             erl -noinput +K true +sbwt none -mnesia dir '\"{shown}/database\"' -s ejabberd",
            std::env::consts::ARCH,
        ),
        partner_hosts: PartnerHosts::Digits,
        certificate_names: CertificateNames::WithoutXmppAddr,
    })
}

fn write_files(
    folder: &Path,
    lab: &Lab,
    settings: Settings,
    s2s: u16,
    component: u16,
) -> io::Result<()> {
    let identity = lab
        .authority
        .issue(&[DOMAIN, HOST], Certificate::Good, Key::P256)
        .ok_or_else(|| io::Error::other("no certificate could be made"))?;
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text);
    write("ca.crt", lab.authority.root_pem())?;
    write("server.crt", identity.chain_pem())?;
    write("server.key", identity.key_pem())?;
    write("inetrc", resolver(lab.dns.address()))?;
    write(
        "ejabberd.yml",
        configuration(folder, settings, s2s, component),
    )
}

fn configuration(folder: &Path, settings: Settings, s2s: u16, component: u16) -> String {
    let dialback = if settings.dialback {
        "  mod_s2s_dialback: {}"
    } else {
        ""
    };
    let values = [
        ("folder", escaped(folder)),
        ("host", HOST.to_owned()),
        ("domain", DOMAIN.to_owned()),
        ("starttls", settings.starttls().to_owned()),
        ("dialback", dialback.to_owned()),
        ("s2s-port", s2s.to_string()),
        ("component-port", component.to_string()),
        ("secret", SECRET.to_owned()),
    ];
    fill(TEMPLATE, &values)
}

fn resolver(dns: SocketAddr) -> String {
    // As an Erlang tuple.
    let address = match dns.ip() {
        IpAddr::V4(ip) => ip.octets().map(|part| part.to_string()).join(","),
        IpAddr::V6(ip) => ip.segments().map(|part| part.to_string()).join(","),
    };
    let values = [
        ("dns-address", format!("{{{address}}}")),
        ("dns-port", dns.port().to_string()),
    ];
    fill(RESOLVER, &values)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::policy::PolicyNumber;

    #[test]
    fn nine_rows_can_be_set_in_five_ways() {
        let mut ways = std::collections::BTreeMap::<String, Vec<u8>>::new();
        for row in PolicyNumber::all() {
            if let Ok(settings) = settings(row.policy()) {
                ways.entry(settings.label()).or_default().push(row.number());
            }
        }
        let wanted = [
            ("starttls false, with dialback", vec![11, 17]),
            ("starttls optional, with dialback", vec![9]),
            ("starttls optional, without dialback", vec![4, 10]),
            ("starttls required, with dialback", vec![7]),
            ("starttls required, without dialback", vec![1, 2, 8]),
        ];
        let wanted = wanted.map(|(way, rows)| (way.to_owned(), rows));
        assert_eq!(ways.into_iter().collect::<Vec<_>>(), wanted);
    }

    #[rstest]
    #[case(6, "ejabberd has no setting for neither TLS nor dialback")]
    #[case(13, "ejabberd always offers and tries EXTERNAL where TLS is up")]
    #[case(
        3,
        "ejabberd cannot require certificates while mod_s2s_dialback is loaded"
    )]
    fn what_cannot_be_set_says_why(#[case] row: u8, #[case] why: &str) {
        let row = PolicyNumber::new(row).expect("a row");
        assert_eq!(settings(row.policy()), Err(why));
    }

    #[test]
    fn everything_in_the_templates_is_filled_in() {
        let settings = Settings {
            tls: Level::Optional,
            dialback: true,
        };
        let text = configuration(Path::new("/tmp/\"odd\""), settings, 10_001, 10_002);
        assert!(text.contains("s2s_use_starttls: optional\n"), "{text}");
        assert!(text.contains("\n  mod_s2s_dialback: {}\n"), "{text}");
        assert!(
            text.contains("- \"/tmp/\\\"odd\\\"/server.crt\"\n"),
            "{text}"
        );
        assert!(text.contains("port: 10002\n"), "{text}");
        assert!(!text.replace("{}", "").contains('{'), "{text}");
        let text = resolver(([127, 0, 0, 1], 5353).into());
        assert!(
            text.ends_with("{nameserver, {127,0,0,1}, 5353}.\n"),
            "{text}"
        );
    }
}

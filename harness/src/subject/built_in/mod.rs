//! Servers of the machine's packages, each known by a folder of `targets/`: one process for each way to
//! set it, everything in a temporary folder.
//!
//! Nothing here knows what server it is.

mod folder;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use simulated_partners::inner::{InnerError, component as component_link};
use simulated_partners::persona::TlsVersion;
use simulated_partners::probe::{self, Probe};
use strum::VariantArray as _;
use tempfile::TempDir;
use tokio::sync::Mutex;

pub use folder::{Description, Folder, Sheet, Site};
pub use wanted::Export;

use super::call::Call;
use super::inner_side::InnerSide;
use super::port::free_address;
use super::server::{Launch, Ours};
use super::template::fill;
use super::{Pending, Placement, Running, StartError, Stop, Target, Traces, process, warden};
use crate::case::Case;
use crate::cause::with_causes;
use crate::lab::Lab;
use folder::Start;
use wanted::Wanted;

/// Names of folders, sorted, with the names and texts of their files.
type Files = &'static [(&'static str, &'static str)];
const FOLDERS: &[(&str, Files)] = include!(concat!(env!("OUT_DIR"), "/targets.rs"));

static SERVERS: LazyLock<Vec<Folder>> = LazyLock::new(|| {
    let read = |(name, files): &(&'static str, Files)| {
        Folder::read(name, files).expect("a test reads all folders of the crate")
    };
    FOLDERS.iter().map(read).collect()
});

/// How often the link to the inner side is tried.
const LINKS: usize = 3;
/// How long a server may take to end with its input.
const FAREWELL: Duration = Duration::from_secs(2);

/// For servers of which one starts at a time.
static STARTING: Mutex<()> = Mutex::const_new(());

/// All built-in servers, sorted by name.
pub fn all() -> &'static [Folder] {
    &SERVERS
}

/// The one of that name.
pub fn named(name: &str) -> Option<&'static Folder> {
    all().iter().find(|folder| folder.name == name)
}

/// A built-in server that is on this machine.
pub struct BuiltIn {
    folder: &'static Folder,
    version: String,
}

impl Folder {
    /// Looks for the server on this machine.
    ///
    /// # Errors
    /// When it is not installed, with what to do about it.
    pub fn find(&'static self) -> Result<BuiltIn, String> {
        if let Some(program) = self.missing() {
            let hint = &self.description.hint;
            return Err(format!("{program} is not installed ({hint})"));
        }
        let version = self.version();
        Ok(BuiltIn {
            folder: self,
            version: version.unwrap_or_else(|| "of unknown version".to_owned()),
        })
    }

    fn version(&self) -> Option<String> {
        let version = &self.description.version;
        let values = self.values_anywhere();
        let words: Vec<String> = version
            .command
            .iter()
            .map(|word| fill(word, &values))
            .collect();
        let (program, arguments) = words.split_first()?;
        let said = process::said(Command::new(program).args(arguments)).ok()?;
        let text = String::from_utf8_lossy(&said);
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(version.after.as_str()))?;
        Some(found.trim().to_owned())
    }
}

impl Target for BuiltIn {
    fn name(&self) -> String {
        format!("{} {}", self.folder.name, self.version)
    }

    fn place(&self, case: &Case) -> Placement {
        let abilities = [&self.folder.description.abilities[..], &super::ANYWHERE].concat();
        if let Some(lacking) = super::lacking(case, &abilities) {
            return lacking;
        }
        match self.folder.instance(case.row, &case.script.needs) {
            Ok(instance) => Placement::Group(super::apart(case, instance)),
            Err(why) => Placement::Unsupported(why.to_owned()),
        }
    }

    fn lab(&self, seed: u64) -> io::Result<Lab> {
        let description = &self.folder.description;
        let lab = Lab::open(seed)?;
        Ok(Lab {
            hosts: description.partner_hosts.into(),
            authority: lab.authority.naming(description.certificate_names.into()),
            ..lab
        })
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            match cases.first() {
                Some(case) => self.launch(lab, case).await,
                None => Err(environment(format!("group {group} has no cases"))),
            }
        })
    }
}

impl BuiltIn {
    async fn launch(&self, lab: &Lab, case: &Case) -> Result<(Running, Stop), StartError> {
        let description = &self.folder.description;
        let trouble = |error| environment(format!("its folder or a port: {error}"));
        let prefix = format!("s2spec-{}-", self.folder.name);
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir()
            .map_err(trouble)?;
        warden::folder(folder.path());
        let address = free_address().map_err(trouble)?;
        let component = free_address().map_err(trouble)?;
        let direct_tls = free_address().map_err(trouble)?;
        let policy = case.row.policy();
        let site = Site {
            folder: folder.path().to_owned(),
            dns: lab.dns.address(),
            s2s: address.port(),
            component: component.port(),
            direct_tls: direct_tls.port(),
        };
        let wanted = Wanted::target(policy, &case.script.needs);
        let values = self
            .folder
            .values(&site, &wanted)
            .map_err(|why| environment(format!("{}: {why}", case.row.label())))?;
        let written = self.write(lab, &folder, &values).map_err(trouble)?;
        let direct_tls = Some(direct_tls).filter(|_| self.folder.takes_direct_tls(&wanted));
        let mut ports = vec![address, component];
        ports.extend(direct_tls);
        let launch = self.start_of(folder, &values, ports);
        let turn = match description.start.one_at_a_time {
            true => Some(STARTING.lock().await),
            false => None,
        };
        let server = launch.run().await?;
        let link = match self.opened(address, component).await {
            Ok(link) => link,
            Err(why) => return Err(server.give_up(why).await),
        };
        drop(turn);
        let running = Running {
            domain: description.component.clone(),
            second: Some(description.host.clone()),
            secret: description.dialback_secret.clone(),
            address,
            other_member: None,
            direct_tls,
            inner: link.into(),
            patience: description.patience.map(Duration::from_secs),
            process: server.ended.clone(),
            is_inside: false,
            clock: None,
            traces: Traces {
                configuration: Arc::new(written),
                folder: Some(site.folder),
                output: server.output.clone(),
                ..Traces::default()
            },
            administrator: None,
        };
        let stop: Stop = Box::new(move || Box::pin(server.stop()));
        Ok((running, stop))
    }

    /// Writes the files of an instance, and returns their names and texts.
    fn write(
        &self,
        lab: &Lab,
        folder: &TempDir,
        values: &[(&str, String)],
    ) -> io::Result<BTreeMap<String, String>> {
        let certificates = self
            .folder
            .certificates(&lab.authority)
            .ok_or_else(|| io::Error::other("no certificate could be made"))?;
        let mut files = self.folder.files(values);
        files.extend(certificates);
        files
            .iter()
            .try_for_each(|(name, text)| std::fs::write(folder.path().join(name), text))?;
        let files = files.into_iter();
        Ok(files.map(|(name, text)| (name.to_owned(), text)).collect())
    }

    fn start_of(
        &self,
        folder: TempDir,
        values: &[(&str, String)],
        ports: Vec<SocketAddr>,
    ) -> Launch {
        let Start {
            command,
            environment,
            ready,
            seconds,
            ends_with_input,
            ..
        } = &self.folder.description.start;
        let filled = |texts: &[String]| texts.iter().map(|text| fill(text, values)).collect();
        let timeout = Duration::from_secs(*seconds);
        Launch {
            start: Some(Call {
                purpose: "start",
                command: filled(command),
                folder: folder.path().to_owned(),
                environment: environment
                    .iter()
                    .map(|(name, value)| (name.clone(), fill(value, values)))
                    .collect(),
                timeout,
            }),
            ready: filled(ready),
            ports,
            stop: None,
            // Nothing of an instance is kept, so there is nothing that a gentle end would save.
            stop_timeout: if *ends_with_input {
                FAREWELL
            } else {
                Duration::ZERO
            },
            logs: Vec::new(),
            timeout,
            ours: Some(Ours {
                folder,
                ends_with_input: *ends_with_input,
            }),
        }
    }

    /// Links to the inner side and warms the outer one up: the first stream after a start can take much
    /// longer than all others.
    async fn opened(
        &self,
        address: SocketAddr,
        component: SocketAddr,
    ) -> Result<InnerSide, String> {
        let description = &self.folder.description;
        let domain = &description.component;
        let connect = || component_link::connect(component, domain, &description.secret);
        let mut link = connect().await;
        // Its patience is short, and this machine may be slow.
        for _ in 1..LINKS {
            if !matches!(link, Err(InnerError::Ended(_))) {
                break;
            }
            link = connect().await;
        }
        let link =
            link.map_err(|error| format!("its port for components: {}", with_causes(&error)))?;
        let report = probe::look(&Probe {
            address,
            domain: domain.clone(),
            from: "warm-up.s2spec.example".to_owned(),
            identity: None,
            direct_tls: false,
            tls_versions: TlsVersion::VARIANTS.to_vec(),
            declares_dialback: true,
            patience: Duration::from_secs(description.start.seconds),
        })
        .await;
        if report.clear.is_none_or(|opened| opened.features.is_none()) {
            return Err("its first stream came to nothing".to_owned());
        }
        Ok(InnerSide::new(
            link,
            &format!("barrier@{domain}"),
            &description.host,
        ))
    }
}

fn environment(why: String) -> StartError {
    StartError::Environment(why)
}

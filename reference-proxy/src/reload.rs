//! Takes in another configuration while the proxy runs.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::certificate::{GatewayTls, Identities, Judge, PartnerTls};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Difference};
use crate::connections::Connections;
use crate::context::{Context, Settled};
use crate::domain::Domain;
use crate::random::random;
use crate::resolve::Resolver;
use crate::task::Tasks;

/// Why a configuration was not taken in. The one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file cannot be read, or has mistakes.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The configuration came from no file.
    #[error("the configuration was not read from a file")]
    NoFile,
    /// DNS, TLS or the system's random numbers are not usable.
    #[error("could not set up {what}")]
    Setup {
        /// The part of the proxy.
        what: &'static str,
        /// The reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reloaded {
    /// Partners that may exchange stanzas from now on.
    pub added: Vec<String>,
    /// Partners that may no more. Their streams are closed.
    pub removed: Vec<String>,
    /// Partners with other settings. Their streams are closed if the terms or the domains are others.
    pub changed: Vec<String>,
    /// Settings that take effect after a restart only.
    pub after_restart: Vec<String>,
    /// Why partners may still see users whose presence is withdrawn from them. Only a gateway knows.
    #[serde(default)]
    pub not_withdrawn: Option<String>,
}

/// Changes the settings in force.
#[derive(Debug)]
pub(crate) struct Reloader {
    settled: watch::Sender<Settled>,
    /// Held while a file is read and taken in, so that the latest one wins.
    turn: tokio::sync::Mutex<()>,
    taking: Mutex<()>,
    /// Why the file was not taken in when it was read last, unless it was.
    refused: Mutex<Option<String>>,
    /// What the sockets were opened by.
    opened: Opened,
    context: Arc<Context>,
}

/// The settings that sockets were opened by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Opened {
    external: Vec<SocketAddr>,
    internal: Vec<SocketAddr>,
    control: Option<PathBuf>,
    metrics: Option<SocketAddr>,
}

impl Opened {
    fn of(config: &Config) -> Self {
        let settings = &config.settings;
        Self {
            external: settings.external.listen.clone(),
            internal: settings.internal.listen.clone(),
            control: settings.control.clone(),
            metrics: settings.metrics,
        }
    }

    /// The names of the settings that are others there.
    fn others(&self, other: &Self) -> Vec<String> {
        let differs = [
            ("external.listen", self.external != other.external),
            ("internal.listen", self.internal != other.internal),
            ("control", self.control != other.control),
            ("metrics", self.metrics != other.metrics),
        ];
        let differs = differs.into_iter().filter(|(_, differs)| *differs);
        differs.map(|(name, _)| name.to_owned()).collect()
    }
}

impl Reloader {
    /// Settles the configuration that the proxy starts with.
    pub(crate) fn new(config: Config, clock: Clock, tasks: Tasks) -> Result<Self, ReloadError> {
        config.log_partners(None);
        let opened = Opened::of(&config);
        let settled = watch::Sender::new(settle(config, None, &clock, &tasks)?);
        Ok(Self {
            context: Arc::new(Context::new(settled.subscribe(), clock, tasks)),
            settled,
            turn: tokio::sync::Mutex::default(),
            taking: Mutex::default(),
            refused: Mutex::default(),
            opened,
        })
    }

    /// The context of the settings in force.
    pub(crate) fn context(&self) -> Arc<Context> {
        self.context.newest()
    }

    /// Reads the configuration file again.
    pub(crate) async fn read_again(&self) -> Result<Reloaded, ReloadError> {
        let _turn = self.turn.lock().await;
        let path = self.settled.borrow().config.path.clone();
        let path = path.ok_or(ReloadError::NoFile)?;
        let reading = spawn_blocking(move || Config::load(&path));
        let read = reading
            .await
            .expect("reading a configuration does not panic");
        let taken = match read {
            Ok(config) => self.take_in(config),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = &taken {
            tracing::error!("the configuration stays as it was: {error}");
        }
        let why = taken.as_ref().err().map(ToString::to_string);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = why;
        taken
    }

    /// Why the file is not in force as it was read last, if that is so.
    pub(crate) fn refused(&self) -> Option<String> {
        let refused = self.refused.lock();
        refused.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a configuration in force.
    pub(crate) fn take_in(&self, config: Config) -> Result<Reloaded, ReloadError> {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.settled.borrow().clone();
        let after = settle(
            config,
            Some(&before),
            &self.context.clock,
            &self.context.tasks,
        )?;
        let (old, new) = (&before.config, &after.config);
        self.context.router.limit(&new.settings.limits);
        self.context
            .router
            .keep(|pair| new.serves(&pair.from) && new.partner(&pair.to).is_some());
        self.context
            .register
            .keep(|domain| new.partner(domain).is_some());
        new.log_partners(Some(old));
        let Difference {
            added,
            removed,
            changed,
        } = new.difference(old);
        let texts = |domains: Vec<Domain>| domains.iter().map(Domain::to_string).collect();
        let reloaded = Reloaded {
            added: texts(added),
            removed: texts(removed),
            changed: texts(changed),
            after_restart: self.opened.others(&Opened::of(new)),
            not_withdrawn: None,
        };
        tracing::info!(
            added = reloaded.added.len(),
            removed = reloaded.removed.len(),
            changed = reloaded.changed.len(),
            "configuration taken in"
        );
        for setting in &reloaded.after_restart {
            tracing::warn!(setting, "takes effect after a restart only");
        }
        self.settled.send_replace(after);
        Ok(reloaded)
    }
}

/// Makes everything of a configuration that is not a socket. What is the same as before is kept.
fn settle(
    mut config: Config,
    before: Option<&Settled>,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<Settled, ReloadError> {
    if let Some(before) = before {
        config.keep_random_secret(&before.config);
    }
    let settings = &config.settings;
    let (outside, inside) = (&settings.external, &settings.internal);
    let judge = Judge::new(outside.authorities.clone(), settings.client_auth_eku)
        .heeding(settings.revocation.clone());
    let identities = Identities {
        usual: outside.credentials.clone(),
        own: settings.own_certificates.clone(),
    };
    let tls = PartnerTls::new(identities, judge, settings.strict_certificates)
        .map_err(unusable("TLS towards partners"))?;
    let (authorities, names) = (inside.authorities.clone(), settings.gateways.clone());
    let domains = settings.gateway_domains.clone();
    let gateway_tls = GatewayTls::new(&inside.credentials, authorities, names, domains)
        .map_err(unusable("TLS towards the gateway"))?;
    let asks = |config: &Config| {
        let settings = &config.settings;
        (settings.dns.clone(), settings.limits.dns_timeout)
    };
    let resolver = match before {
        Some(before) if asks(&before.config) == asks(&config) => Arc::clone(&before.resolver),
        Some(_) | None => {
            let seed = random().map_err(unusable("random numbers"))?;
            let seed = u64::from_ne_bytes(seed);
            let (servers, patience) = asks(&config);
            let resolver = Resolver::new(&servers, patience, seed, clock);
            Arc::new(resolver.map_err(unusable("DNS"))?)
        }
    };
    let (limits, partners) = (&settings.limits, &settings.partners);
    let connections = match before {
        Some(before) => before.connections.limited_anew(limits, partners, tasks),
        None => Connections::new(limits, partners),
    };
    Ok(Settled {
        config: Arc::new(config),
        tls: Arc::new(tls),
        gateway_tls: Arc::new(gateway_tls),
        connections: Arc::new(connections),
        resolver,
    })
}

fn unusable<E: Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> ReloadError {
    move |error| ReloadError::Setup {
        what,
        source: Box::new(error),
    }
}

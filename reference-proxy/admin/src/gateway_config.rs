//! `s2spec proxy gateway-config`: Get- and Set-CsXmppGatewayConfiguration.

use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueHint};
use reference_proxy::config::Draft;
use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item, Table, TableLike};

use crate::confirm::{Confirm, Usually};
use crate::error::{Error, Exit};
use crate::output::{Lines, note, print};
use crate::running;
use crate::store::{self, Store, put};
use crate::value::{self, Change, truth};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show limits and times (Get-CsXmppGatewayConfiguration)
    Get(Get),
    /// Change limits and times (Set-CsXmppGatewayConfiguration)
    Set(Set),
}

#[derive(Debug, clap::Args)]
struct Get {
    #[command(flatten)]
    identity: Identity,
    /// The configuration if its identity fits
    #[arg(long, value_name = "PATTERN", value_hint = ValueHint::Other)]
    filter: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// The gateway's configuration file, for what is set there
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
}

/// Which configuration, as with the cmdlets: there is one.
#[derive(Debug, clap::Args)]
struct Identity {
    /// Global, which is the only one
    #[arg(long, value_name = "IDENTITY", value_parser = value::global)]
    identity: Option<()>,
}

/// A time is a number of seconds, or a text such as 250ms, 60s, 5m, 8h.
#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    identity: Identity,
    /// Connections with all partners at a time [default: 1000]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = value::count)]
    connection_limit: Option<u32>,
    /// Connections with one partner at a time [default: 20]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = value::count)]
    partner_connection_limit: Option<u32>,
    /// Silence after which a partner that keeps alive is cut off [default: 300]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    keep_alive_interval: Option<String>,
    /// Time for a partner to establish a stream [default: 60]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    stream_establishment_timeout: Option<String>,
    /// Time without a stanza after which a stream is closed [default: 600]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    stream_inactivity_timeout: Option<String>,
    /// What the proxies of a pool share for dialback keys; `-` reads it from standard input, nothing
    /// or $null makes each start use a random one
    #[arg(long, value_name = "SECRET", value_parser = value::description)]
    dialback_passphrase: Option<Change<String>>,
    /// Whether the log has what messages say [default: false]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    enable_logging_all_message_bodies: Option<bool>,
    /// Time after which the gateway refreshes subscriptions to presence [default: 28800]
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        value_parser = value::time,
        requires = "gateway"
    )]
    subscription_refresh_interval: Option<String>,
    /// The gateway's configuration file, for what is set there
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    #[command(flatten)]
    confirm: Confirm,
    /// Ask nothing, which is so anyway without --confirm
    #[arg(long)]
    force: bool,
    /// Show what would be in force, and save nothing
    #[arg(long)]
    what_if: bool,
}

/// The setting of the gateway, in its `[limits]`, and its default.
const REFRESH: &str = "subscription-refresh-interval";
const REFRESH_DEFAULT: i64 = 28_800;

/// Whether the proxy logs what messages say.
const BODIES: &str = "log-message-bodies";

/// The limits and times of the file: the parameter, and the setting in `[limits]`.
const LIMITS: [(&str, &str); 5] = [
    ("ConnectionLimit", "connections"),
    ("PartnerConnectionLimit", "partner-connections"),
    ("KeepAliveInterval", "keep-alive-interval"),
    ("StreamEstablishmentTimeout", "stream-establishment-timeout"),
    ("StreamInactivityTimeout", "stream-inactivity-timeout"),
];

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    match &args.command {
        Command::Get(get) => {
            let pattern = get.filter.as_deref().unwrap_or("*").to_lowercase();
            if !fast_glob::glob_match(&pattern, "global") {
                return Err(Error::Usage(format!(
                    "no identity fits `{pattern}`: there is one configuration, Global"
                )));
            }
            let (_, draft) = store::read(config)?;
            let refresh = match &get.gateway {
                Some(gateway) => Some(refresh(&mut Store::open(gateway)?)?),
                None => None,
            };
            print(&match get.json {
                true => format!("{:#}\n", in_json(&draft, refresh.as_deref())),
                false => list(&draft, refresh.as_deref()),
            })?;
            Ok(Exit::Good)
        }
        Command::Set(set) => change(config, set),
    }
}

fn change(config: &Path, set: &Set) -> Result<Exit, Error> {
    let limits = [
        set.connection_limit.map(|number| number.to_string()),
        set.partner_connection_limit
            .map(|number| number.to_string()),
        set.keep_alive_interval.clone(),
        set.stream_establishment_timeout.clone(),
        set.stream_inactivity_timeout.clone(),
    ];
    let bodies = set.enable_logging_all_message_bodies;
    let nothing =
        limits.iter().all(Option::is_none) && set.dialback_passphrase.is_none() && bodies.is_none();
    if nothing && set.subscription_refresh_interval.is_none() {
        return Err(Error::Usage(
            "nothing to set: name at least one setting, such as --connection-limit".to_owned(),
        ));
    }
    if !nothing && set.subscription_refresh_interval.is_some() {
        return Err(Error::Usage(
            "SubscriptionRefreshInterval is in the gateway's file, the others are in the proxy's: set it \
             by a command of its own, so that all is saved or nothing"
                .to_owned(),
        ));
    }
    let passphrase = match &set.dialback_passphrase {
        Some(Change::To(text)) if text == "-" => Some(Change::To(from_input()?)),
        other => other.clone(),
    };
    let mut store = Store::open(config)?;
    store.draft()?;
    for ((_, setting), wanted) in LIMITS.iter().zip(limits) {
        if let Some(wanted) = wanted {
            put(table(&mut store.document)?, setting, amount(&wanted));
        }
    }
    match passphrase {
        None => {}
        Some(Change::Clear) => drop(store.document.remove("secret")),
        Some(Change::To(secret)) => put(store.document.as_table_mut(), "secret", secret),
    }
    if let Some(bodies) = bodies {
        put(store.document.as_table_mut(), BODIES, bodies);
    }
    // Mistakes are told before anybody is asked.
    store.draft()?;
    let usually = (Usually::DoesNotAsk, set.force);
    let question = "Change the limits and times?";
    if !set.what_if && !set.confirm.agreed(&mut store, usually, question)? {
        return Ok(Exit::Wanting);
    }
    // The gateway's file may be in the same folder, whose lock ends here.
    let (draft, _) = store.finish(set.what_if)?;
    // Whatever is the matter with the gateway's file.
    if !set.what_if && !nothing {
        running::tell(config);
    }
    let mut changed = config;
    let mut interval = None;
    if let Some(gateway) = &set.gateway {
        let mut store = Store::open(gateway)?;
        if let Some(time) = &set.subscription_refresh_interval {
            changed = gateway;
            put(table(&mut store.document)?, REFRESH, amount(time));
        }
        interval = Some(refresh(&mut store)?);
        if set.subscription_refresh_interval.is_some() && !set.what_if {
            store.replace()?;
            running::tell_gateway(gateway);
        }
    }
    print(&list(&draft, interval.as_deref()))?;
    if set.what_if {
        note(&format!("{} is unchanged", changed.display()));
    }
    Ok(Exit::Good)
}

/// How often the gateway refreshes subscriptions, by its file.
fn refresh(store: &mut Store) -> Result<String, Error> {
    let set = table(&mut store.document)?
        .get(REFRESH)
        .map(|item| match item.as_str() {
            Some(text) => text.to_owned(),
            None => item.to_string().trim().to_owned(),
        });
    Ok(set.unwrap_or_else(|| REFRESH_DEFAULT.to_string()))
}

/// The table `[limits]`, which is made if it is missing.
fn table(document: &mut DocumentMut) -> Result<&mut dyn TableLike, Error> {
    let limits = document.entry("limits");
    let limits = limits.or_insert_with(|| Item::Table(Table::new()));
    let limits = limits.as_table_like_mut();
    limits.ok_or_else(|| Error::Usage("`limits` has to be a table".to_owned()))
}

/// A number where it is one; what else it may be, the reader knows.
fn amount(text: &str) -> toml_edit::Value {
    match text.parse::<i64>() {
        Ok(number) => number.into(),
        Err(_) => text.into(),
    }
}

fn from_input() -> Result<String, Error> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Error::environment("cannot read the passphrase", error))?;
    let line = line.trim_end_matches(['\n', '\r']);
    match line.is_empty() {
        true => Err(Error::Usage(
            "the passphrase on standard input is empty".to_owned(),
        )),
        false => Ok(line.to_owned()),
    }
}

fn list(draft: &Draft, refresh: Option<&str>) -> String {
    let limits = &draft.limits;
    let mut lines = Lines::default();
    lines.add("Identity", "Global");
    lines.add("ConnectionLimit", &limits.connections.to_string());
    let of_one = limits.partner_connections.to_string();
    lines.add("PartnerConnectionLimit", &of_one);
    for (name, time) in times(draft) {
        lines.add(name, &seconds(time).to_string());
    }
    let unknown = "of the gateway (--gateway FILE)";
    lines.add("SubscriptionRefreshInterval", refresh.unwrap_or(unknown));
    let bodies = truth(draft.log_message_bodies);
    lines.add("EnableLoggingAllMessageBodies", bodies);
    let passphrase = match draft.has_secret() {
        true => "set",
        false => "not set: a random one at each start",
    };
    lines.add("DialbackPassphrase", passphrase);
    lines.text()
}

fn in_json(draft: &Draft, refresh: Option<&str>) -> Value {
    let mut all = json!({
        "Identity": "Global",
        "ConnectionLimit": draft.limits.connections,
        "PartnerConnectionLimit": draft.limits.partner_connections,
        "SubscriptionRefreshInterval": refresh.map(|text| match text.parse::<u64>() {
            Ok(seconds) => json!(seconds),
            Err(_) => json!(text),
        }),
        "EnableLoggingAllMessageBodies": draft.log_message_bodies,
        "DialbackPassphraseSet": draft.has_secret(),
    });
    for (name, time) in times(draft) {
        all[name] = json!(seconds(time));
    }
    all
}

fn times(draft: &Draft) -> [(&'static str, Duration); 3] {
    let limits = &draft.limits;
    [
        ("KeepAliveInterval", limits.keep_alive_interval),
        (
            "StreamEstablishmentTimeout",
            limits.stream_establishment_timeout,
        ),
        ("StreamInactivityTimeout", limits.stream_inactivity_timeout),
    ]
}

/// Whole seconds as such, others with a fraction.
fn seconds(time: Duration) -> serde_json::Number {
    match time.subsec_nanos() {
        0 => time.as_secs().into(),
        _ => serde_json::Number::from_f64(time.as_secs_f64()).expect("a duration is finite"),
    }
}

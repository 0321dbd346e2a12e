//! The file that an embedded proxy is started with, and the same with other settings.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use simulated_partners::pki::Identity;

use super::{DOMAIN, GATEWAY, SECOND, needs_direct_tls, secret};
use crate::case::{Case, Need, Setting, Settings};
use crate::lab::Lab;

/// How long it keeps a stream without a stanza: longer than any case.
const IDLE: Duration = Duration::from_secs(600);
/// The same where the end of idle streams is the case: sooner than keep-alives would end or prolong them.
const SHORT_IDLE: Duration = Duration::from_secs(100);

/// Where more connections are open than any administrator would allow: those of many cases.
const FOR_MANY_CASES: &str = "connections = 10000\n\
                              unauthenticated-connections = 10000\n\
                              unauthenticated-by-address = 10000\n\
                              verification-connections = 10000\n";

/// All that the file depends on.
pub(super) struct Configuration {
    /// The settings of both sides' certificates.
    pem: String,
    second: Option<String>,
    dns: String,
    secret: String,
    strict: bool,
    cases: Vec<Case>,
}

impl Configuration {
    pub(super) fn new(
        lab: &Lab,
        strict: bool,
        cases: &[Case],
        side: &Identity,
        second: Option<&Identity>,
    ) -> Self {
        Self {
            pem: format!(
                "certificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n",
                side.chain_pem(),
                side.key_pem(),
                lab.authority.root_pem(),
            ),
            second: second.map(|identity| {
                format!(
                    "[[external.own-certificate]]\ndomain = \"{SECOND}\"\n\
                     certificate = '''{}'''\nkey = '''{}'''\n",
                    identity.chain_pem(),
                    identity.key_pem(),
                )
            }),
            dns: lab.dns.address().to_string(),
            secret: secret(lab),
            strict,
            cases: cases.to_vec(),
        }
    }

    /// The whole text, with these settings where an administrator has a part in the case.
    pub(super) fn text(&self, settings: Option<&Settings>) -> String {
        let (mut text, partners) = self.parts(settings);
        text.extend(partners.into_iter().map(|(_, table)| table));
        text
    }

    /// What is before the partners, and the table of each by its domain.
    pub(super) fn parts(&self, settings: Option<&Settings>) -> (String, Vec<(String, String)>) {
        let Self {
            pem,
            dns,
            secret,
            strict,
            cases,
            ..
        } = self;
        let validation = match settings.is_some_and(|settings| settings.as_control_panel) {
            true => "control-panel",
            false => "matrix",
        };
        let mut text = format!(
            "domains = [\"{DOMAIN}\", \"{SECOND}\"]\n\
             dns = [\"{dns}\"]\n\
             validation = \"{validation}\"\n\
             strict-certificates = {strict}\n\
             secret = \"{secret}\"\n\
             [external]\n\
             listen = \"127.0.0.1:0\"\n\
             direct-tls = {direct}\n{pem}\
             [internal]\n\
             listen = \"127.0.0.1:0\"\n{pem}\
             gateways = [\"{GATEWAY}\"]\n\
             [limits]\n",
            direct = cases.iter().any(needs_direct_tls),
        );
        match settings {
            Some(settings) => limits(&mut text, settings),
            None => {
                let idles = |case: &Case| case.script.setting == Setting::ShortIdle;
                let idle = match cases.iter().any(idles) {
                    true => SHORT_IDLE,
                    false => IDLE,
                };
                text.push_str(FOR_MANY_CASES);
                line(&mut text, "stream-inactivity-timeout", Some(idle.as_secs()));
            }
        }
        text.extend(self.second.as_deref());
        let mut written = BTreeSet::new();
        let mut partners = Vec::new();
        for case in cases {
            for domain in case.domains() {
                let further = settings.map(|settings| (settings, further(settings, case)));
                let is_main = domain == case.domain();
                if is_main && settings.is_some_and(|settings| settings.unlisted) {
                    continue;
                }
                if written.insert(domain.clone()) {
                    let mut table = partner(&domain, case, settings);
                    if let Some((settings, further)) = further.filter(|_| is_main) {
                        own(&mut table, settings, case, &further);
                        written.extend(further);
                    }
                    partners.push((domain, table));
                }
            }
        }
        (text, partners)
    }
}

/// The domains of a partner besides its first.
pub(super) fn further(settings: &Settings, case: &Case) -> Vec<String> {
    let domain = case.domain();
    let fill = |name: &String| name.replace("{domain}", &domain);
    settings.additional_domains.iter().map(fill).collect()
}

fn line(text: &mut String, name: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        writeln!(text, "{name} = {value}").expect("a String takes all text");
    }
}

fn limits(text: &mut String, settings: &Settings) {
    line(text, "connections", settings.connections);
    line(text, "partner-connections", settings.partner_connections);
    line(text, "keep-alive-interval", settings.keep_alive_interval);
    line(
        text,
        "stream-establishment-timeout",
        settings.establishment_timeout,
    );
    line(
        text,
        "stream-inactivity-timeout",
        settings.inactivity_timeout,
    );
}

/// A partner of the case, with what only some cases need. Thousands are read at once, so what is the default is
/// left out.
fn partner(domain: &str, case: &Case, settings: Option<&Settings>) -> String {
    let own = settings.and_then(|settings| settings.policy);
    let policy = own.unwrap_or(case.row).policy();
    let mut text = format!(
        "[[partner]]\ndomain = \"{domain}\"\ntls = \"{}\"\nsasl = \"{}\"\n",
        policy.tls, policy.sasl,
    );
    let needs = |need| case.script.needs.contains(&need);
    for (differs, line) in [
        (!policy.dialback, "dialback = false\n"),
        (needs(Need::Bidi), "bidirectional = true\n"),
        (needs(Need::StreamManagement), "stream-management = true\n"),
    ] {
        text.push_str(if differs { line } else { "" });
    }
    text
}

/// What is set of the partner whom the case is about.
fn own(text: &mut String, settings: &Settings, case: &Case, further: &[String]) {
    let quoted = |text: String| format!("{text:?}");
    line(
        text,
        "type",
        settings.kind.map(|kind| quoted(kind.to_string())),
    );
    line(text, "keep-alive", settings.keep_alive);
    line(text, "connection-limit", settings.connection_limit);
    if !further.is_empty() {
        line(text, "additional-domains", Some(format!("{further:?}")));
    }
    let fqdn = settings.proxy_fqdn.as_ref();
    let fqdn = fqdn.map(|name| quoted(name.replace("{domain}", &case.domain())));
    line(text, "proxy-fqdn", fqdn);
}

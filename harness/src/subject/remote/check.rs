//! Checks what a target file says beyond its grammar.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::DnsName;
use simulated_partners::diagnostic::Diagnostic;
use toml::Spanned;

use super::file::{
    Ca, CaTable, File, Kind, PolicyTable, Setting, Start, StartTable, TargetFile, Timeouts,
    TimeoutsTable, TriggerKind, TriggerTable,
};
use crate::policy::{Policy, PolicyNumber};

/// Seconds that a command may take at most; more is a mistake in the unit.
const LONGEST: f64 = 3600.0;
/// What a trigger command can have filled in.
const PLACEHOLDERS: [&str; 4] = ["sender", "receiver", "body", "id"];

/// Makes a target of a file, with all that is wrong with it.
pub(super) fn check(file: File, path: &Path, allow_remote: bool) -> (TargetFile, Vec<Diagnostic>) {
    let mut check = Check {
        found: Vec::new(),
        allow_remote,
    };
    let folder = path.parent().map_or_else(|| ".".into(), Path::to_owned);
    let name = check.name(file.name, path);
    let domain = check.domain(&file.domain);
    let address = check.address(&file.address, "address");
    let direct_tls = file
        .direct_tls
        .map(|address| check.address(&address, "direct-tls"));
    let inner = file.inner.map(|address| check.address(&address, "inner"));
    let dns = check.address(&file.dns, "dns");
    let far = |ip: IpAddr| !ip.to_canonical().is_loopback();
    if allow_remote && far(address.ip()) && !far(dns.ip()) {
        check.wrong(
            Diagnostic::new(
                file.dns.span(),
                format!("the server cannot ask {}", dns.ip()),
            )
            .help("an address of this machine that the server can reach"),
        );
    }
    let partner_address = check.partner_address(file.partner_address.as_ref(), &file.address);
    let started = file.start.is_some();
    let policies = check.policies(file.policies, started);
    let trigger = check.trigger(file.trigger);
    let restart = file
        .restart
        .map(|restart| check.restart(&restart.command, started));
    let start = file.start.map(|start| check.start(start));
    let stop = file.stop.map(|stop| check.command(&stop.command));
    let timeouts = check.timeouts(&file.timeouts);
    let CaTable {
        certificate,
        key,
        server,
    } = file.ca;
    let target = TargetFile {
        name,
        domain,
        address,
        direct_tls,
        inner,
        dns,
        partner_address,
        partner_hosts: file.partner_hosts,
        certificate_names: file.certificate_names,
        policies,
        ca: Ca {
            certificate: folder.join(certificate),
            key: key.map(|path| folder.join(path)),
            server: server.map(|path| folder.join(path)),
        },
        trigger,
        start,
        stop,
        restart,
        logs: file.logs.iter().map(|path| folder.join(path)).collect(),
        timeouts,
        folder,
    };
    (target, check.found)
}

struct Check {
    found: Vec<Diagnostic>,
    allow_remote: bool,
}

impl Check {
    fn wrong(&mut self, wrong: Diagnostic) {
        self.found.push(wrong);
    }

    fn name(&mut self, name: Option<Spanned<String>>, path: &Path) -> String {
        match name {
            Some(name) => {
                let text = name.get_ref().trim();
                if text.is_empty() || text.chars().any(char::is_control) {
                    self.wrong(
                        Diagnostic::new(name.span(), "expected a name for reports")
                            .help("one line, such as `name = \"my server 1.2\"`"),
                    );
                }
                text.to_owned()
            }
            None => path
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        }
    }

    fn domain(&mut self, domain: &Spanned<String>) -> String {
        let text = domain.get_ref();
        let lower = text.to_ascii_lowercase();
        if DnsName::try_from(lower.as_str()).is_err() || !text.is_ascii() {
            self.wrong(
                Diagnostic::new(domain.span(), format!("`{text}` is no domain name"))
                    .help("a name in ASCII such as `example.org`; others as A-labels (`xn--…`)"),
            );
        }
        lower
    }

    fn address(&mut self, address: &Spanned<SocketAddr>, key: &str) -> SocketAddr {
        let value = *address.get_ref();
        if value.port() == 0 {
            self.wrong(
                Diagnostic::new(address.span(), format!("`{key}` needs a port"))
                    .help("a fixed one, set in the server, too, such as 5269 or 15353"),
            );
        }
        self.near(address.span(), value.ip());
        value
    }

    /// Others' servers are not tested by mistake.
    fn near(&mut self, span: Range<usize>, ip: IpAddr) {
        if !self.allow_remote && !ip.to_canonical().is_loopback() {
            self.wrong(
                Diagnostic::new(span, format!("{ip} is not on this machine"))
                    .label("no loopback address")
                    .help(
                        "the cases send broken and hostile streams: give `--allow-remote` if the \
                         server and its network are yours to test",
                    ),
            );
        }
    }

    fn partner_address(
        &mut self,
        address: Option<&Spanned<IpAddr>>,
        target: &Spanned<SocketAddr>,
    ) -> IpAddr {
        let far = !target.get_ref().ip().to_canonical().is_loopback();
        match address {
            Some(address) => {
                let ip = *address.get_ref();
                self.near(address.span(), ip);
                if ip.is_unspecified() || (far && ip.to_canonical().is_loopback()) {
                    self.wrong(
                        Diagnostic::new(address.span(), format!("the server cannot dial {ip}"))
                            .help("an address of this machine that the server can reach"),
                    );
                }
                ip
            }
            None => {
                if far && self.allow_remote {
                    self.wrong(
                        Diagnostic::new(
                            target.span(),
                            "a server elsewhere needs `partner-address`",
                        )
                        .help(
                            "add `partner-address` with the address of this machine that the \
                                 server can reach: partners listen there",
                        ),
                    );
                }
                Ipv4Addr::LOCALHOST.into()
            }
        }
    }

    fn policies(&mut self, tables: Vec<Spanned<PolicyTable>>, started: bool) -> Vec<Setting> {
        if tables.is_empty() {
            self.wrong(
                Diagnostic::new(0..0, "no `[[policy]]`")
                    .help("add one, with `row = 7` for example"),
            );
        }
        let several = tables.len() > 1;
        let mut settings: Vec<(Setting, Range<usize>)> = Vec::new();
        for table in tables {
            let span = table.span();
            let table = table.into_inner();
            let switch = table.switch.as_ref().map(|switch| self.command(switch));
            if several && switch.is_none() && !started {
                self.wrong(
                    Diagnostic::new(span.clone(), "one of several policies, without `switch`").help(
                        "add `switch` with the command that sets the server to it, or `[start]`, \
                         whose command finds the policy in S2SPEC_ROW",
                    ),
                );
            }
            let Some(row) = self.row(&table, span.clone()) else {
                continue;
            };
            if let Some((_, other)) = settings.iter().find(|(setting, _)| setting.row == row) {
                let mistake = Diagnostic::new(span, format!("{row} for the second time"))
                    .also(Some(other.clone()), "here for the first time")
                    .help("each policy once");
                self.wrong(mistake);
                continue;
            }
            settings.push((Setting { row, switch }, span));
        }
        settings.into_iter().map(|(setting, _)| setting).collect()
    }

    fn row(&mut self, table: &PolicyTable, span: Range<usize>) -> Option<PolicyNumber> {
        let named = match &table.row {
            Some(row) => {
                let found = u8::try_from(*row.get_ref())
                    .ok()
                    .and_then(PolicyNumber::new);
                if found.is_none() {
                    self.wrong(
                        Diagnostic::new(row.span(), format!("there is no row {}", row.get_ref()))
                            .help(
                                "a number from 1 to 18, or `tls`, `sasl` and `dialback` in its place",
                            ),
                    );
                    return None;
                }
                found
            }
            None => None,
        };
        let spelt = match (&table.tls, &table.sasl, &table.dialback) {
            (Some(tls), Some(sasl), Some(dialback)) => Some((
                Policy {
                    tls: *tls.get_ref(),
                    sasl: *sasl.get_ref(),
                    dialback: *dialback.get_ref(),
                }
                .row(),
                tls.span(),
            )),
            (None, None, None) => None,
            _ if named.is_some() => {
                self.wrong(
                    Diagnostic::new(span, "a policy by its row, and by parts of it")
                        .help("`row` alone, or `tls`, `sasl` and `dialback`"),
                );
                return None;
            }
            (tls, sasl, dialback) => {
                let missing = [
                    ("tls", tls.is_none()),
                    ("sasl", sasl.is_none()),
                    ("dialback", dialback.is_none()),
                ];
                let missing: Vec<String> = missing
                    .iter()
                    .filter(|(_, missing)| *missing)
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                self.wrong(
                    Diagnostic::new(span, format!("a policy without {}", missing.join(" and ")))
                        .help(
                            "`tls` and `sasl` are \"required\", \"optional\" or \"not-supported\", \
                         `dialback` is true or false",
                        ),
                );
                return None;
            }
        };
        match (named, spelt) {
            (Some(row), Some((other, at))) if row != other => {
                self.wrong(
                    Diagnostic::new(at, format!("this is {other}, not {row}"))
                        .help(format!("`row = {}`, or leave it out", other.number())),
                );
                None
            }
            (Some(row), _) | (None, Some((row, _))) => Some(row),
            (None, None) => {
                self.wrong(Diagnostic::new(span, "a policy that says nothing").help(
                    "add `row = 7`, or `tls`, `sasl` and `dialback`; `s2spec explain` describes the rows",
                ));
                None
            }
        }
    }

    fn trigger(&mut self, table: Option<Spanned<TriggerTable>>) -> TriggerKind {
        let Some(table) = table else {
            return TriggerKind::Reply;
        };
        let span = table.span();
        let table = table.into_inner();
        let of_component: [(&str, Option<Range<usize>>); 3] = [
            ("address", table.address.as_ref().map(Spanned::span)),
            ("domain", table.domain.as_ref().map(Spanned::span)),
            ("secret", table.secret.as_ref().map(Spanned::span)),
        ];
        let kind = table.kind;
        let foreign = of_component
            .into_iter()
            .filter(|_| kind != Kind::Component)
            .chain(
                table
                    .command
                    .as_ref()
                    .filter(|_| kind != Kind::Command)
                    .map(|command| ("command", Some(command.span()))),
            );
        for (key, at) in foreign {
            if let Some(at) = at {
                self.wrong(
                    Diagnostic::new(
                        at,
                        format!("`{key}` has no meaning for this kind of trigger"),
                    )
                    .help(
                        "`address`, `domain` and `secret` go with `kind = \"component\"`, \
                             `command` with `kind = \"command\"`",
                    ),
                );
            }
        }
        match kind {
            Kind::Reply => TriggerKind::Reply,
            Kind::Component => {
                let (Some(address), Some(domain), Some(secret)) =
                    (table.address, table.domain, table.secret)
                else {
                    self.wrong(
                        Diagnostic::new(
                            span,
                            "a component without `address`, `domain` or `secret`",
                        )
                        .help(
                            "all three, as the server has them: where it takes components, the \
                                 component's domain, and the secret that both know (XEP-0114)",
                        ),
                    );
                    return TriggerKind::Reply;
                };
                TriggerKind::Component {
                    address: self.address(&address, "address"),
                    domain: self.domain(&domain),
                    secret: secret.into_inner(),
                }
            }
            Kind::Command => match table.command {
                Some(command) => {
                    self.placeholders(&command);
                    TriggerKind::Command(self.command(&command))
                }
                None => {
                    self.wrong(Diagnostic::new(span, "a command trigger without `command`").help(
                        "add `command = [\"program\", \"{sender}\", \"{receiver}\", \"{body}\"]`",
                    ));
                    TriggerKind::Reply
                }
            },
        }
    }

    fn placeholders(&mut self, command: &Spanned<Vec<String>>) {
        let text = command.get_ref().join(" ");
        for part in text.split('{').skip(1) {
            let Some((name, _)) = part.split_once('}') else {
                continue;
            };
            let word = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
            if word && !PLACEHOLDERS.contains(&name) {
                self.wrong(
                    Diagnostic::new(command.span(), format!("unknown placeholder {{{name}}}"))
                        .help("there are {sender}, {receiver}, {body} and {id}"),
                );
            }
        }
        if !text.contains("{receiver}") || !(text.contains("{id}") || text.contains("{body}")) {
            self.wrong(
                Diagnostic::new(command.span(), "the stanza could not be told from others").help(
                    "the command needs {receiver}, and {id} or {body}, which have to arrive as the \
                     stanza's id or in its body",
                ),
            );
        }
    }

    fn start(&mut self, start: StartTable) -> Start {
        if let Some(ready) = &start.ready
            && ready.get_ref().is_empty()
        {
            self.wrong(
                Diagnostic::new(ready.span(), "every line has this")
                    .help("a part of the line that the server writes when it is ready"),
            );
        }
        Start {
            command: self.command(&start.command),
            ready: start.ready.map(Spanned::into_inner),
        }
    }

    fn restart(&mut self, command: &Spanned<Vec<String>>, started: bool) -> Vec<String> {
        if started {
            self.wrong(
                Diagnostic::new(
                    command.span(),
                    "a server that [start] starts needs no restart",
                )
                .help("leave [restart] out: it is started again in the same way"),
            );
        }
        self.command(command)
    }

    fn command(&mut self, command: &Spanned<Vec<String>>) -> Vec<String> {
        let words = command.get_ref();
        if words.first().is_none_or(String::is_empty) {
            self.wrong(Diagnostic::new(command.span(), "a command without a program").help(
                "a list of program and arguments, such as `[\"systemctl\", \"reload\", \"xmpp\"]`; \
                 no shell is involved",
            ));
        }
        words.clone()
    }

    fn timeouts(&mut self, table: &TimeoutsTable) -> Timeouts {
        let default = Timeouts::default();
        let mut seconds = |value: &Option<Spanned<f64>>, default| match value {
            None => default,
            Some(value) if *value.get_ref() > 0.0 && *value.get_ref() <= LONGEST => {
                Duration::from_secs_f64(*value.get_ref())
            }
            Some(value) => {
                self.found.push(
                    Diagnostic::new(value.span(), "no time for anything")
                        .help(format!("seconds, more than 0 and at most {LONGEST}")),
                );
                default
            }
        };
        Timeouts {
            start: seconds(&table.start, default.start),
            stop: seconds(&table.stop, default.stop),
            switch: seconds(&table.switch, default.switch),
            trigger: seconds(&table.trigger, default.trigger),
            stream: table
                .stream
                .as_ref()
                .map(|_| seconds(&table.stream, default.start)),
        }
    }
}

//! Checks what a target file says beyond its grammar.

mod policies;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::DnsName;
use simulated_partners::diagnostic::Diagnostic;
use toml::Spanned;

use super::file::{
    Ca, CaTable, File, Kind, Start, StartTable, TargetFile, Timeouts, TimeoutsTable, TriggerKind,
    TriggerTable,
};
use crate::case::AllowList;

/// Seconds that a command may take at most; more is a mistake in the unit.
const LONGEST: f64 = 3600.0;
/// How long a server may hold back from a domain by default, at most.
const BACK_OFF: Duration = Duration::from_secs(60);
/// What `partner-domains` can say.
const PARTNER_DOMAINS: &str = "a list of domains that the server takes partners from, such as \
    `[\"a.example\", \"b.example\"]`, or one that all of them lie below, `[\"*.lab.example\"]`";
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
    let other_member = file
        .other_member
        .map(|address| check.address(&address, "other-member"));
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
    let partner_domains = check.partner_domains(file.partner_domains.as_ref(), &domain);
    let partner_back_off = check.seconds(&file.partner_back_off, BACK_OFF);
    let dns_cache = check.seconds(&file.dns_cache, Duration::ZERO);
    let CaTable {
        certificate,
        key,
        server,
    } = file.ca;
    let target = TargetFile {
        name,
        domain,
        address,
        other_member,
        direct_tls,
        inner,
        dns,
        partner_address,
        partner_hosts: file.partner_hosts,
        certificate_names: file.certificate_names,
        partner_domains,
        partner_back_off,
        dns_cache,
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
        // A dot at the end is for DNS alone (RFC 7622 §3.2).
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
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

    fn partner_domains(
        &mut self,
        list: Option<&Spanned<Vec<Spanned<String>>>>,
        own: &str,
    ) -> AllowList {
        let Some(list) = list else {
            return AllowList::Any;
        };
        if let [one] = list.get_ref().as_slice()
            && let Some(parent) = one.get_ref().strip_prefix("*.")
        {
            let parent = Spanned::new(one.span(), parent.to_owned());
            return AllowList::Below(self.domain(&parent));
        }
        let mut domains: Vec<String> = Vec::new();
        for one in list.get_ref() {
            let text = one.get_ref().to_ascii_lowercase();
            let wrong = if text.starts_with("*.") {
                Some("below this domain all names are free, so it stands alone")
            } else if text == own {
                Some("this is the server's own domain")
            } else if domains.contains(&text) {
                Some("this domain for the second time")
            } else {
                None
            };
            match wrong {
                Some(what) => self.wrong(Diagnostic::new(one.span(), what).help(PARTNER_DOMAINS)),
                None => domains.push(self.domain(one)),
            }
        }
        if list.get_ref().is_empty() {
            let wrong = Diagnostic::new(list.span(), "no partner has a domain");
            self.wrong(wrong.help(PARTNER_DOMAINS));
        }
        AllowList::Only(domains)
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

    fn seconds(&mut self, value: &Option<Spanned<f64>>, default: Duration) -> Duration {
        match value {
            None => default,
            Some(value) if *value.get_ref() > 0.0 && *value.get_ref() <= LONGEST => {
                Duration::from_secs_f64(*value.get_ref())
            }
            Some(value) => {
                self.wrong(
                    Diagnostic::new(value.span(), "no time for anything")
                        .help(format!("seconds, more than 0 and at most {LONGEST}")),
                );
                default
            }
        }
    }

    fn timeouts(&mut self, table: &TimeoutsTable) -> Timeouts {
        let default = Timeouts::default();
        let mut seconds = |value: &Option<Spanned<f64>>, default| self.seconds(value, default);
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

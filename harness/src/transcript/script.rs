//! Hand-made events for tests of transcripts and reports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::event::{
    CertificateSeen, Close, ConnectionId, ConnectionKind, Event, EventKind, Method, Party,
    TlsSession, TlsSignal,
};
use simulated_partners::wire::{Framer, Limits};

/// Events in call order, one microsecond apart.
pub(crate) struct Script {
    events: Vec<Event>,
    framers: BTreeMap<(ConnectionId, Party), Framer>,
    encrypted: BTreeMap<ConnectionId, bool>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            events: Vec::new(),
            framers: BTreeMap::new(),
            encrypted: BTreeMap::new(),
        }
    }

    pub(crate) fn what(mut self, connection: u16, kind: EventKind) -> Self {
        self.events.push(Event {
            connection: ConnectionId(connection),
            at: Duration::from_micros(self.events.len() as u64),
            kind,
        });
        self
    }

    pub(crate) fn open(self, connection: u16, kind: ConnectionKind) -> Self {
        self.what(connection, EventKind::Opened(kind))
    }

    /// XML from one side; a header starts a new stream.
    pub(crate) fn says(mut self, connection: u16, from: Party, xml: &str) -> Self {
        let key = (ConnectionId(connection), from);
        if xml.contains("<stream:stream") {
            self.framers.insert(key, Framer::new(Limits::default()));
        }
        let framer = self.framers.get_mut(&key).unwrap();
        framer.push(xml.as_bytes());
        let mut frames = Vec::new();
        while let Some(frame) = framer.next().unwrap() {
            frames.push(frame);
        }
        let encrypted = self
            .encrypted
            .get(&ConnectionId(connection))
            .copied()
            .unwrap_or_default();
        for frame in frames {
            self = self.what(
                connection,
                EventKind::Frame {
                    from,
                    encrypted,
                    frame: Arc::new(frame),
                },
            );
        }
        self
    }

    pub(crate) fn target(self, connection: u16, xml: &str) -> Self {
        self.says(connection, Party::Target, xml)
    }

    pub(crate) fn partner(self, connection: u16, xml: &str) -> Self {
        self.says(connection, Party::Partner, xml)
    }

    pub(crate) fn tls(mut self, connection: u16) -> Self {
        self.encrypted.insert(ConnectionId(connection), true);
        self.what(
            connection,
            EventKind::TlsUp(TlsSession {
                version: "1.3",
                suite: "TLS13_AES_256_GCM_SHA384".to_owned(),
                sni: Some("p.example".to_owned()),
                target_certificate: CertificateSeen::Good,
                ..TlsSession::default()
            }),
        )
    }

    pub(crate) fn alert(self, connection: u16, name: &str) -> Self {
        let signal = TlsSignal::Alert(name.to_owned());
        self.what(
            connection,
            EventKind::TlsFailed {
                by: Party::Target,
                signal,
            },
        )
    }

    pub(crate) fn established(self, connection: u16, method: Method) -> Self {
        self.what(connection, EventKind::Established(method))
    }

    pub(crate) fn closed(self, connection: u16, by: Party, how: Close) -> Self {
        self.what(connection, EventKind::Closed { by, how })
    }

    pub(crate) fn events(self) -> Vec<Event> {
        self.events
    }
}

/// A stream header; the id of a receiving entity's.
pub(crate) fn header(from: &str, to: &str, id: &str) -> String {
    let id = if id.is_empty() {
        String::new()
    } else {
        format!(" id='{id}'")
    };
    format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' from='{from}' to='{to}'{id} version='1.0'>"
    )
}

/// The target authenticates with EXTERNAL and sends a ping. The values that vary are arguments.
pub(crate) fn sasl_session(id: &str, ping: &str, swapped: bool) -> Vec<Event> {
    let mechanisms = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                      <mechanism>EXTERNAL</mechanism></mechanisms>";
    let dialback = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
    let (first, second) = if swapped {
        (dialback, mechanisms)
    } else {
        (mechanisms, dialback)
    };
    let iq = if swapped {
        format!(
            "<iq type='get' to='p.example' from='t.example' id='{ping}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
    } else {
        format!(
            "<iq id='{ping}' from='t.example' to='p.example' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
    };
    Script::new()
        .open(1, ConnectionKind::Outbound)
        .target(1, &header("t.example", "p.example", ""))
        .partner(1, &header("p.example", "t.example", &format!("{id}a")))
        .partner(
            1,
            &format!(
                "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>\
                 <required/></starttls>{dialback}</stream:features>"
            ),
        )
        .target(1, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .partner(1, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .tls(1)
        .target(1, &header("t.example", "p.example", ""))
        .partner(1, &header("p.example", "t.example", &format!("{id}b")))
        .partner(
            1,
            &format!("<stream:features>{first}{second}</stream:features>"),
        )
        .target(
            1,
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
        )
        .partner(1, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        .target(1, &header("t.example", "p.example", ""))
        .partner(1, &header("p.example", "t.example", &format!("{id}c")))
        .partner(1, "<stream:features/>")
        .established(1, Method::SaslTls)
        .target(1, &iq)
        .target(1, " ")
        .target(1, "</stream:stream>")
        .partner(1, "</stream:stream>")
        .closed(1, Party::Target, Close::Stream)
        .events()
}

/// The partner dials, requests dialback, and the target verifies the key; `late` says whether
/// the verifying connection is closed after the session has ended.
pub(crate) fn dialback_session(id: &str, key: &str, late: bool) -> Vec<Event> {
    let mut script = Script::new()
        .open(1, ConnectionKind::Inbound)
        .partner(1, &header("p.example", "t.example", ""))
        .target(1, &header("t.example", "p.example", id))
        .target(
            1,
            "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
        )
        .partner(
            1,
            &format!("<db:result from='p.example' to='t.example'>{key}</db:result>"),
        )
        .open(2, ConnectionKind::Outbound)
        .target(2, &header("t.example", "p.example", ""))
        .partner(2, &header("p.example", "t.example", &format!("{id}v")))
        .partner(2, "<stream:features/>")
        .target(
            2,
            &format!("<db:verify from='t.example' to='p.example' id='{id}'>{key}</db:verify>"),
        )
        .partner(
            2,
            &format!("<db:verify from='p.example' to='t.example' id='{id}' type='valid'/>"),
        );
    if !late {
        script = script
            .target(2, "</stream:stream>")
            .closed(2, Party::Target, Close::Stream);
    }
    script = script
        .target(
            1,
            "<db:result from='t.example' to='p.example' type='valid'/>",
        )
        .established(1, Method::TcpDialback)
        .partner(
            1,
            "<iq id='probe' type='get' from='p.example' to='t.example'>\
             <ping xmlns='urn:xmpp:ping'/></iq>",
        );
    if late {
        script = script.closed(2, Party::Partner, Close::Reset);
    }
    script.closed(1, Party::Partner, Close::Fin).events()
}

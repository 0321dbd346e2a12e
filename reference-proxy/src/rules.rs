//! What the streams ask of the configuration: who is served, who is a partner, on which terms.

use std::sync::Arc;

use crate::config::Config;
use crate::domain::Domain;
use crate::domain::Pair;
use crate::key::{DialbackKeys, KeyVerdict};
use crate::limits::Limits;
use crate::negotiation::{Methods, Negotiation, Support};
use crate::partner::Partner;

/// The configuration as the streams see it.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    config: Arc<Config>,
    keys: DialbackKeys,
}

/// The terms on which a domain's streams are negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The partner's settings.
    pub(crate) negotiation: Negotiation,
    /// The methods that follow from them.
    pub(crate) methods: Methods,
}

impl Terms {
    /// Whether nothing but STARTTLS may happen on a plaintext stream.
    pub(crate) fn requires_tls(&self) -> bool {
        self.negotiation.tls == Support::Required
    }

    /// Whether STARTTLS may happen at all.
    pub(crate) fn allows_tls(&self) -> bool {
        self.negotiation.tls != Support::NotSupported
    }

    /// Whether dialback may authenticate a pair on a stream, secured by TLS or not.
    pub(crate) fn allows_dialback(&self, secured: bool) -> bool {
        match secured {
            true => self.methods.tls_dialback,
            false => self.methods.tcp_dialback,
        }
    }
}

impl Rules {
    /// The rules of a configuration.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let keys = config.keys().clone();
        Self { config, keys }
    }

    /// The bounds and times.
    pub(crate) fn limits(&self) -> &Limits {
        &self.config.settings().limits
    }

    /// Whether TLS may come before any stream (XEP-0368).
    pub(crate) fn direct_tls(&self) -> bool {
        self.config.settings().external.direct_tls
    }

    /// Whether a bad certificate ends a stream even where dialback could authenticate it.
    pub(crate) fn strict(&self) -> bool {
        self.config.settings().strict_certificates
    }

    /// Whether the domain is one of this side's.
    pub(crate) fn serves(&self, domain: &Domain) -> bool {
        self.config.serves(domain)
    }

    /// The first of this side's domains.
    pub(crate) fn own_domain(&self) -> Option<&Domain> {
        self.config.settings().domains.first()
    }

    /// The domain that speaks where the peer asked for none that is served.
    pub(crate) fn own_name(&self) -> &str {
        self.own_domain().map_or("", Domain::as_str)
    }

    /// The partner that has the domain.
    pub(crate) fn partner(&self, domain: &Domain) -> Option<&Partner> {
        self.config.partner(domain)
    }

    /// The terms of the partner that has the domain.
    pub(crate) fn terms(&self, domain: &Domain) -> Option<Terms> {
        self.partner(domain).map(|partner| Terms {
            negotiation: partner.negotiation,
            methods: partner.negotiation.methods(),
        })
    }

    /// The key that authenticates this side's pair on a stream with that id (XEP-0185).
    pub(crate) fn key(&self, pair: &Pair, stream_id: &str) -> String {
        self.keys.issue(&pair.to, &pair.from, stream_id)
    }

    /// Whether a key was issued for a pair of this side and a stream with that id.
    pub(crate) fn issued(&self, pair: &Pair, stream_id: &str, key: &str) -> bool {
        self.keys.check(&pair.to, &pair.from, stream_id, key) == KeyVerdict::Valid
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::LazyLock;

    use super::*;
    use crate::certificate::fixture::Authority;
    use crate::config::{External, Internal, Settings};
    use crate::negotiation::Validation;

    /// One partner for each row: `row1.example` to `row18.example`; served are `a.example` and
    /// `a2.example`.
    pub(crate) static RULES: LazyLock<Rules> = LazyLock::new(|| rules(false));
    pub(crate) static STRICT: LazyLock<Rules> = LazyLock::new(|| rules(true));

    fn rules(strict: bool) -> Rules {
        let authority = Authority::new("CA");
        let credentials = authority.issue(&["a.example"]).credentials();
        let external = External {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credentials: credentials.clone(),
            authorities: authority.authorities(),
            direct_tls: false,
        };
        let gateways = vec![domain("gateway.example")];
        let internal = Internal::new(credentials, authority.authorities(), gateways);
        let served = vec![domain("a.example"), domain("a2.example")];
        let mut settings = Settings::new(served, external, internal);
        settings.validation = Validation::Matrix;
        settings.strict_certificates = strict;
        for tls in [Support::Required, Support::Optional, Support::NotSupported] {
            for sasl in [Support::Required, Support::Optional, Support::NotSupported] {
                for dialback in [true, false] {
                    let negotiation = Negotiation {
                        tls,
                        sasl,
                        dialback,
                    };
                    if negotiation.verdict(Validation::Matrix).is_ok() {
                        let name = format!("row{}.example", negotiation.row());
                        settings.partners.push(Partner {
                            negotiation,
                            ..Partner::new(domain(&name))
                        });
                    }
                }
            }
        }
        Rules::new(Arc::new(Config::checked(settings).expect("valid")))
    }

    fn domain(name: &str) -> Domain {
        Domain::parse(name).expect("a domain")
    }
}

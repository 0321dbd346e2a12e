//! What a configuration may not mean, although it can be used.

use rustls::pki_types::UnixTime;

use super::checked::Config;
use super::draft::Draft;
use crate::certificate::RevocationPolicy;
use crate::domain::ProxyAddress;
use crate::key::Secret;
use crate::limits::Limits;
use crate::negotiation::Validation;
use crate::partner::Partner;

impl Config {
    /// Why it may not work as expected although it is valid, each in a sentence.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        self.looked_at().all()
    }

    /// Lists of revoked certificates that have ended, and what that means, each in a sentence.
    #[must_use]
    pub fn ended_lists(&self, now: UnixTime) -> Vec<String> {
        self.settings.revocation.ended(now)
    }

    /// The doubts without those about a partner's terms, which are logged with the partner.
    pub(super) fn general_doubts(&self) -> Vec<String> {
        self.looked_at().general()
    }

    /// Whether a stream for each pair and direction would be more than the partner's limit.
    pub(super) fn crowding(&self, partner: &Partner) -> Option<Crowding> {
        self.looked_at().crowding(partner)
    }

    fn looked_at(&self) -> LookedAt<'_> {
        let settings = &self.settings;
        let revocation = &settings.revocation;
        LookedAt {
            weak_secret: self.weak_secret,
            lacks_list: revocation.policy == RevocationPolicy::Required
                && revocation.lists.is_empty(),
            served: settings.domains.len(),
            limits: &settings.limits,
            validation: settings.validation,
            partners: &settings.partners,
        }
    }
}

impl Draft {
    /// Why it may not work as expected although it is valid, each in a sentence.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        LookedAt {
            weak_secret: self.secret.as_ref().is_some_and(Secret::is_weak),
            lacks_list: self.revocation == RevocationPolicy::Required && self.crl.is_none(),
            served: self.domains.len(),
            limits: &self.limits,
            validation: self.validation,
            partners: &self.partners,
        }
        .all()
    }
}

/// More domain pairs with a partner than it may have connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{own} domains here and {theirs} there are {} pairs in each direction, and the limit is {limit} \
     connections: where pairs cannot share a stream, the idlest one is closed for the next",
    .own * .theirs
)]
pub(super) struct Crowding {
    own: usize,
    theirs: usize,
    limit: usize,
}

/// What doubts are about.
struct LookedAt<'a> {
    weak_secret: bool,
    /// Whether revocation is required in vain.
    lacks_list: bool,
    served: usize,
    limits: &'a Limits,
    validation: Validation,
    partners: &'a [Partner],
}

impl LookedAt<'_> {
    fn all(&self) -> Vec<String> {
        let mut doubts = self.general();
        for partner in self.partners {
            let domain = &partner.domain;
            if let Ok(Some(warning)) = partner.terms.check(self.validation) {
                let row = partner.terms.row();
                doubts.push(format!("{domain}, row {row}: {warning}"));
            }
            if let Some(warning) = self.crowding(partner) {
                doubts.push(format!("{domain}: {warning}"));
            }
        }
        doubts
    }

    fn general(&self) -> Vec<String> {
        let limits = self.limits;
        let mut doubts = Vec::new();
        let mut doubt = |is_so: bool, text: &str| {
            if is_so {
                doubts.push(text.to_owned());
            }
        };
        doubt(
            self.weak_secret,
            "`secret` is short, or that of the sample: who guesses it can speak for the served domains by \
             dialback; `openssl rand -hex 24` makes a good one",
        );
        doubt(
            limits.keep_alive_interval > limits.stream_inactivity_timeout,
            "`keep-alive-interval` is longer than `stream-inactivity-timeout`, and has no effect",
        );
        doubt(
            limits.partner_connections > limits.connections,
            "`partner-connections` is more than `connections`, and has no effect",
        );
        doubt(
            self.lacks_list,
            "`revocation` is required, and there is no list in `crl`: a partner that dials in cannot show that its \
             certificate is not revoked, so none can use SASL",
        );
        doubt(
            self.partners.is_empty(),
            "no partner is listed: nobody may exchange stanzas with the served domains",
        );
        for partner in self.partners {
            let domain = &partner.domain;
            if let Some(ProxyAddress::Address(address)) = &partner.proxy {
                doubts.push(format!(
                    "{domain}: `proxy-fqdn` is the address {address}: when it changes, the partner is not found any \
                     more, while a name is looked up for each stream"
                ));
            }
            let all = limits.connections;
            if let Some(limit) = partner.connection_limit.filter(|limit| *limit > all) {
                doubts.push(format!(
                    "{domain}: `connection-limit` is {limit}, more than `connections` ({all}), and has no effect"
                ));
            }
        }
        doubts
    }

    fn crowding(&self, partner: &Partner) -> Option<Crowding> {
        let own = self.served;
        let theirs = partner.domains().count();
        let usual = self.limits.partner_connections;
        let limit = partner.connection_limit.unwrap_or(usual);
        (2 * own * theirs > limit).then_some(Crowding { own, theirs, limit })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::date_time_ymd;
    use rustls::pki_types::UnixTime;

    use crate::certificate::fixture::Authority;
    use crate::config::Config;
    use crate::config::fixture::text;

    fn doubts(top: &str, rest: &str) -> Vec<String> {
        let config = Config::from_toml(&text(top, rest), "proxy.toml");
        config.unwrap_or_else(|error| panic!("{error}")).doubts()
    }

    #[test]
    fn revocation_is_required_in_vain_without_a_list() {
        let partner = "[[partner]]\ndomain = 'b.example'\nsasl = 'optional'\n";
        for (policy, doubted) in [("if-there", 0), ("required", 1)] {
            let top =
                format!("secret = 'a long one that nobody guesses'\nrevocation = '{policy}'\n");
            let doubts = doubts(&top, partner);
            assert_eq!(doubts.len(), doubted, "{doubts:?}");
        }
    }

    #[test]
    fn lists_that_have_ended_are_told() {
        let authority = Authority::new("CA");
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000));
        let told = |policy: &str, year| {
            let list = authority.list(&[], date_time_ymd(year, 1, 2));
            let side = format!("[external]\ncrl = '''{list}'''\n");
            let text = text(&format!("revocation = '{policy}'"), "").replace("[external]\n", &side);
            let config = Config::from_toml(&text, "proxy.toml");
            config
                .unwrap_or_else(|error| panic!("{error}"))
                .ended_lists(now)
        };
        for policy in ["if-there", "required"] {
            assert_eq!(told(policy, 2090), Vec::<String>::new());
            let ended = told(policy, 2021);
            assert_eq!(ended.len(), 1, "{ended:?}");
            assert!(
                ended[0].contains("of CN=CA in `crl` ended on 2021-01-02"),
                "{ended:?}"
            );
        }
    }

    #[test]
    fn what_can_be_used_and_may_not_be_meant_is_told() {
        let partner = "[[partner]]\ndomain = 'b.example'\nsasl = 'optional'\n";
        let secret = "secret = 'a long one that nobody guesses'\n";
        assert_eq!(doubts(secret, partner), Vec::<String>::new());
        for (top, rest, said) in [
            (
                "secret = 'change me'\n",
                partner.to_owned(),
                "`secret` is short",
            ),
            (
                secret,
                format!("[limits]\nkeep-alive-interval = 900\n{partner}"),
                "`keep-alive-interval` is longer",
            ),
            (
                secret,
                format!("[limits]\npartner-connections = 2000\n{partner}"),
                "`partner-connections` is more",
            ),
            (secret, String::new(), "no partner is listed"),
            (
                secret,
                format!("{partner}connection-limit = 5000\n"),
                "b.example: `connection-limit` is 5000, more than `connections` (1000)",
            ),
            (
                secret,
                format!("{partner}proxy-fqdn = '192.0.2.1:5269'\n"),
                "b.example: `proxy-fqdn` is the address 192.0.2.1:5269",
            ),
            (
                secret,
                partner.replace("optional", "required"),
                "b.example, row 1: dialback is never used",
            ),
        ] {
            let doubts = doubts(top, &rest);
            assert_eq!(doubts.len(), 1, "{doubts:?}");
            assert!(doubts[0].starts_with(said), "{doubts:?}");
        }
    }
}

//! How a partner authenticates.

use strum::{Display, EnumString, VariantNames};

use crate::policy::{Policy, PolicyNumber};

/// A way of authentication, in both directions.
#[derive(Clone, Copy, Debug, Display, EnumString, PartialEq, Eq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Method {
    /// SASL EXTERNAL over TLS.
    SaslTls,
    /// Dialback over TLS.
    DialbackTls,
    /// Dialback without TLS.
    Dialback,
}

impl Method {
    /// That of a partner, where partners take turns.
    pub(super) fn of(methods: &[Self], partner: usize) -> Self {
        methods[partner % methods.len()]
    }

    /// The policy that leaves nothing else, on either side.
    pub(super) fn policy(self) -> Policy {
        let row = match self {
            Self::SaslTls => 2,
            Self::DialbackTls => 13,
            Self::Dialback => 17,
        };
        PolicyNumber::new(row).expect("there are 18").policy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Mode;

    #[test]
    fn each_policy_leaves_one_method() {
        use crate::outcome::Method as Seen;
        for (method, seen) in [
            (Method::SaslTls, Seen::SaslTls),
            (Method::DialbackTls, Seen::TlsDialback),
            (Method::Dialback, Seen::TcpDialback),
        ] {
            let methods: Vec<Seen> = method.policy().methods(Mode::Matrix).iter().collect();
            assert_eq!(methods, [seen], "{method}");
        }
    }
}

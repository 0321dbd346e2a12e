//! External access policies: who may talk to partners.
//!
//! A policy granted to a user counts before that of the user's site, and this before the global one.
//! Policies are not merged: the one that counts decides alone.

use std::collections::BTreeMap;

/// What a policy allows. Nothing, unless it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// EnableFederationAccess: to talk to any partner at all.
    pub federation: bool,
    /// EnableXmppAccess: to talk to XMPP partners. It needs the former.
    pub xmpp: bool,
    /// EnablePublicCloudAccess: to talk to public providers.
    pub public_cloud: bool,
}

/// What is wrong with a policy that has one without the other.
pub const LACKS_FEDERATION: &str = "EnableXmppAccess has no effect without EnableFederationAccess";

impl Policy {
    /// Whether it allows XMPP partners, but no partners at all.
    #[must_use]
    pub fn lacks_federation(self) -> bool {
        self.xmpp && !self.federation
    }
}

/// Which users a policy is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All users without another policy.
    Global,
    /// The users of a site.
    Site(String),
    /// The users to whom it was granted.
    User(String),
}

/// A text that is no identity of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `global`, `site:NAME`, or the name of a policy that is granted to users")]
pub struct ScopeError;

impl Scope {
    /// Reads an identity: `global`, `site:NAME`, `NAME` or `tag:NAME`, in any case.
    ///
    /// # Errors
    /// [`ScopeError`] if a name is missing or has a colon.
    pub fn parse(identity: &str) -> Result<Self, ScopeError> {
        let identity = identity.trim().to_lowercase();
        let named = |name: &str, scope: fn(String) -> Self| {
            let good = !name.is_empty() && !name.contains(':');
            good.then(|| scope(name.to_owned())).ok_or(ScopeError)
        };
        match identity.split_once(':') {
            None if identity == "global" => Ok(Self::Global),
            None => named(&identity, Self::User),
            Some(("site", name)) => named(name, Self::Site),
            Some(("tag", name)) => named(name, Self::User),
            Some(_) => Err(ScopeError),
        }
    }
}

/// All policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<Scope, Policy>);

impl Policies {
    /// Adds a policy. Returns whether its scope was free.
    pub fn add(&mut self, scope: Scope, policy: Policy) -> bool {
        self.0.insert(scope, policy).is_none()
    }

    /// Whether there is a policy of this scope.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains_key(scope)
    }

    /// The one policy that counts for a user.
    #[must_use]
    pub fn of(&self, granted: Option<&Scope>, site: Option<&Scope>) -> Policy {
        let mut scopes = [granted, site, Some(&Scope::Global)].into_iter().flatten();
        let policy = scopes.find_map(|scope| self.0.get(scope));
        policy.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_read_in_any_case() {
        for (text, scope) in [
            ("Global", Ok(Scope::Global)),
            ("site:Madrid", Ok(Scope::Site("madrid".to_owned()))),
            ("FedPic", Ok(Scope::User("fedpic".to_owned()))),
            ("Tag:FedPic", Ok(Scope::User("fedpic".to_owned()))),
            ("", Err(ScopeError)),
            ("site:", Err(ScopeError)),
            ("service:x", Err(ScopeError)),
        ] {
            assert_eq!(Scope::parse(text), scope, "{text}");
        }
    }

    #[test]
    fn user_counts_before_site_and_site_before_global() {
        let policy = |federation, xmpp, public_cloud| Policy {
            federation,
            xmpp,
            public_cloud,
        };
        let scope = |text| Scope::parse(text).expect("an identity");
        let (granted, site) = (scope("fedpic"), scope("site:madrid"));
        let mut policies = Policies::default();
        let of = |policies: &Policies| policies.of(Some(&granted), Some(&site));
        assert_eq!(of(&policies), Policy::default());
        assert!(policies.add(Scope::Global, policy(true, true, true)));
        assert_eq!(of(&policies), policy(true, true, true));
        assert!(policies.add(site.clone(), policy(true, false, false)));
        assert_eq!(of(&policies), policy(true, false, false));
        assert!(policies.add(granted.clone(), policy(false, true, false)));
        assert_eq!(of(&policies), policy(false, true, false));
        assert_eq!(
            policies.of(None, Some(&scope("site:paris"))),
            policy(true, true, true)
        );
        assert!(!policies.add(site.clone(), Policy::default()));
    }
}

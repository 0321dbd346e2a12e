//! Who there is, and who may talk to whom: local users, partners, policies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reference_proxy::wire::{Domain, PartnerType};
use serde::{Deserialize, Serialize};

use crate::address::Bare;
use crate::policy::{Policies, Scope};
use crate::refusal::Refusal;

/// What the configuration says of a subscription, seen from the local user (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Subscription {
    /// Neither sees the other's presence.
    #[default]
    None,
    /// The user sees the contact.
    To,
    /// The contact sees the user.
    From,
    /// Both.
    Both,
}

impl Subscription {
    pub(crate) fn to(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    pub(crate) fn from(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }
}

/// A local user.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// The site, if the user has one.
    pub site: Option<Scope>,
    /// The policy granted to the user.
    pub policy: Option<Scope>,
    /// Whether the user is homed on a branch appliance, from where no partner can be reached.
    pub branch_appliance: bool,
    /// The contact list as the configuration has it.
    pub contacts: BTreeMap<Bare, Subscription>,
}

/// How a partner of the type public-verified is treated; the originals differ.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum PublicVerified {
    /// Its users add local users without being asked, as those of a federated partner do.
    #[default]
    Open,
    /// They are added when the local user accepts, or has added them before.
    ByInvitation,
}

/// Rules that hold for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How partners of the type public-verified are treated.
    pub public_verified: PublicVerified,
    /// Whether both types of public partners need EnablePublicCloudAccess, too.
    pub public_needs_public_cloud: bool,
    /// How often subscriptions are refreshed.
    pub refresh: Duration,
    /// The most contacts of a user.
    pub contacts: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            public_verified: PublicVerified::default(),
            public_needs_public_cloud: false,
            refresh: Duration::from_secs(28_800),
            contacts: 1000,
        }
    }
}

/// Everything that the configuration says of people.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// The local domains.
    pub domains: BTreeSet<Domain>,
    /// The local users.
    pub users: BTreeMap<Bare, User>,
    /// Each domain of each partner, and the partner's type.
    pub partners: BTreeMap<Domain, PartnerType>,
    /// External access policies.
    pub policies: Policies,
    /// Rules that hold for all.
    pub rules: Rules,
}

impl Directory {
    /// Whether the user may talk to anyone of the domain. The contact list is not looked at.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub fn access(&self, user: &Bare, partner: &Domain) -> Result<PartnerType, Refusal> {
        let known = self.users.get(user).ok_or(Refusal::UnknownUser)?;
        if known.branch_appliance {
            return Err(Refusal::BranchAppliance);
        }
        let kind = *self.partners.get(partner).ok_or(Refusal::NotAPartner)?;
        let policy = self.policies.of(known.policy.as_ref(), known.site.as_ref());
        let public = kind != PartnerType::Federated;
        if !policy.federation {
            Err(Refusal::NoFederationAccess)
        } else if !policy.xmpp {
            Err(Refusal::NoXmppAccess)
        } else if public && self.rules.public_needs_public_cloud && !policy.public_cloud {
            Err(Refusal::NoPublicCloudAccess)
        } else {
            Ok(kind)
        }
    }
}

//! Why a stanza does not pass, and the error that tells its sender.

use reference_proxy::wire::StanzaError;
use strum::Display;

/// Why a stanza does not pass.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Refusal {
    /// An address is missing or is none.
    #[strum(to_string = "an address is missing or malformed")]
    AddressMalformed,
    /// The local user is homed on a branch appliance.
    #[strum(to_string = "users of a branch appliance cannot talk to XMPP partners")]
    BranchAppliance,
    /// A conference: only two can talk with each other.
    #[strum(to_string = "conferences with XMPP partners are not possible")]
    Conference,
    /// The contact list is full.
    #[strum(to_string = "the contact list is full")]
    ContactsFull,
    /// Both are local, which is not the gateway's matter.
    #[strum(to_string = "the gateway passes nothing between local users")]
    Local,
    /// EnableFederationAccess is off.
    #[strum(to_string = "the external access policy of the user lacks EnableFederationAccess")]
    NoFederationAccess,
    /// EnablePublicCloudAccess is off.
    #[strum(to_string = "the external access policy of the user lacks EnablePublicCloudAccess")]
    NoPublicCloudAccess,
    /// EnableXmppAccess is off.
    #[strum(to_string = "the external access policy of the user lacks EnableXmppAccess")]
    NoXmppAccess,
    /// The contact is unverified, and the local user has not added it.
    #[strum(to_string = "the local user has not added this contact")]
    NotAdded,
    /// The domain is no partner's.
    #[strum(to_string = "not the domain of a partner")]
    NotAPartner,
    /// Neither a message nor presence, or presence that only servers send.
    #[strum(to_string = "only messages and presence pass")]
    NotSupported,
    /// Nobody is there to get it.
    #[strum(to_string = "the user is not signed in")]
    Offline,
    /// The answer to a question that was not asked, or a withdrawal of what there is not.
    #[strum(to_string = "nothing was asked that this answers")]
    Unasked,
    /// Not a local user.
    #[strum(to_string = "no such local user")]
    UnknownUser,
}

impl Refusal {
    /// The error for a local sender, who may know the reason (RFC 6120 §8.3.3).
    pub(crate) fn to_user(self) -> StanzaError {
        match self {
            Self::AddressMalformed => StanzaError::JidMalformed,
            Self::BranchAppliance
            | Self::NoFederationAccess
            | Self::NoPublicCloudAccess
            | Self::NoXmppAccess => StanzaError::Forbidden,
            Self::Conference | Self::NotSupported => StanzaError::FeatureNotImplemented,
            Self::ContactsFull => StanzaError::ResourceConstraint,
            Self::NotAPartner => StanzaError::PolicyViolation,
            Self::NotAdded => StanzaError::SubscriptionRequired,
            Self::Local | Self::Offline | Self::Unasked | Self::UnknownUser => {
                StanzaError::ServiceUnavailable
            }
        }
    }

    /// The error for a partner's sender. Whether a user exists, may talk to the partner, has added
    /// the contact or is there cannot be told apart by it (directory harvesting, RFC 6120 §13.11).
    pub(crate) fn to_partner(self) -> StanzaError {
        match self {
            Self::AddressMalformed => StanzaError::JidMalformed,
            Self::ContactsFull => StanzaError::ResourceConstraint,
            Self::NotAPartner => StanzaError::PolicyViolation,
            Self::BranchAppliance
            | Self::Conference
            | Self::Local
            | Self::NoFederationAccess
            | Self::NoPublicCloudAccess
            | Self::NoXmppAccess
            | Self::NotAdded
            | Self::NotSupported
            | Self::Offline
            | Self::Unasked
            | Self::UnknownUser => StanzaError::ServiceUnavailable,
        }
    }
}

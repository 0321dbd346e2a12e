//! The format of the file.

use reference_proxy::wire::{List, PartnerTable};
use serde::Deserialize;

use super::Limits;
use crate::directory::{PublicVerified, Subscription};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) domains: Vec<String>,
    /// Read before, in [`Elsewhere`].
    pub(super) partners: Option<String>,
    pub(super) state: Option<String>,
    pub(super) local: Option<String>,
    pub(super) control: Option<String>,
    #[serde(default)]
    pub(super) public_verified: PublicVerified,
    #[serde(default)]
    pub(super) public_needs_public_cloud_access: bool,
    pub(super) link: LinkTable,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) proxy: Vec<ProxyTable>,
    #[serde(default)]
    pub(super) partner: Vec<PartnerTable>,
    #[serde(default)]
    pub(super) policy: Vec<PolicyTable>,
    #[serde(default)]
    pub(super) user: Vec<UserTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkTable {
    pub(super) name: String,
    pub(super) certificate: List,
    pub(super) key: List,
    pub(super) ca: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxyTable {
    pub(super) address: String,
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PolicyTable {
    pub(super) identity: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) enable_federation_access: bool,
    #[serde(default)]
    pub(super) enable_xmpp_access: bool,
    #[serde(default)]
    pub(super) enable_public_cloud_access: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct UserTable {
    pub(super) address: String,
    pub(super) site: Option<String>,
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) branch_appliance: bool,
    #[serde(default)]
    pub(super) contact: Vec<ContactTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactTable {
    pub(super) address: String,
    #[serde(default)]
    pub(super) subscription: Subscription,
}

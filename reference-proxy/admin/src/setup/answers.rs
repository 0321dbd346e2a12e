//! Answers that are given beforehand, by options or in a file.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::error::Error;

/// What is not given is asked for on the terminal. Without one, it has its default or is missed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A TOML file of answers; its keys are the options below without their dashes
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    given: Answers,
}

/// The answers. Those that are lists may be given several times.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Answers {
    /// A domain that the proxy serves
    #[arg(long, value_name = "DOMAIN")]
    pub(super) domain: Vec<String>,
    /// A name of the gateway, as in its certificate
    #[arg(long, value_name = "NAME")]
    pub(super) gateway: Vec<String>,
    /// A proxy of the pool and its public addresses, the best one first: NAME[=ADDRESS,...]
    #[arg(long, value_name = "MEMBER")]
    pub(super) member: Vec<String>,
    /// A name server [default: those of the system]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) dns: Vec<String>,
    /// Where the gateway connects to
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) internal_listen: Option<String>,
    /// Authorities that may issue the partners' certificates, as PEM
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<String>,
    /// The organization, for the request for a certificate
    #[arg(long, value_name = "TEXT")]
    pub(super) organization: Option<String>,
    /// The unit of the organization
    #[arg(long, value_name = "TEXT")]
    pub(super) organizational_unit: Option<String>,
    /// The city
    #[arg(long, value_name = "TEXT")]
    pub(super) locality: Option<String>,
    /// The state or province
    #[arg(long, value_name = "TEXT")]
    pub(super) state: Option<String>,
    /// The country, two letters
    #[arg(long, value_name = "CODE")]
    pub(super) country: Option<String>,
    /// The domain of a first partner
    #[arg(long, value_name = "DOMAIN")]
    pub(super) partner: Option<String>,
    /// What it can do: certificate, tls or google-talk
    #[arg(long, value_name = "KIND")]
    pub(super) partner_kind: Option<String>,
    /// Federated, PublicVerified or PublicUnverified
    #[arg(long, value_name = "TYPE")]
    pub(super) partner_type: Option<String>,
    /// The configuration file of the gateway, `none` if it is another program [default: gateway.toml beside
    /// the proxy's]
    #[arg(long, value_name = "FILE", env = "S2SPEC_GATEWAY_CONFIG")]
    pub(super) gateway_config: Option<String>,
    /// The policy by which all users may talk to partners, if nobody may yet: global, or one to grant
    #[arg(long, value_name = "IDENTITY")]
    pub(super) policy: Option<String>,
    /// A first user of the gateway, for whom its configuration file is written if there is none
    #[arg(long, value_name = "USER@DOMAIN")]
    pub(super) user: Option<String>,
    /// A user of a partner who gets a test message in the end
    #[arg(long, value_name = "USER@PARTNER")]
    pub(super) receiver: Option<String>,
}

impl Args {
    /// The options, and where there is none, the file.
    pub(super) fn answers(&self) -> Result<Answers, Error> {
        let Some(path) = &self.answers else {
            return Ok(self.given.clone());
        };
        let name = path.display();
        let text = fs::read_to_string(path).map_err(|error| {
            Error::environment(format!("cannot read the answers {name}"), error)
        })?;
        let file: Answers = toml::from_str(&text)
            .map_err(|error| Error::Usage(format!("{name}: {}", error.to_string().trim_end())))?;
        Ok(self.given.clone().or(file))
    }
}

impl Answers {
    fn or(self, file: Self) -> Self {
        let list = |given: Vec<String>, file: Vec<String>| match given.is_empty() {
            true => file,
            false => given,
        };
        Self {
            domain: list(self.domain, file.domain),
            gateway: list(self.gateway, file.gateway),
            member: list(self.member, file.member),
            dns: list(self.dns, file.dns),
            internal_listen: self.internal_listen.or(file.internal_listen),
            ca: self.ca.or(file.ca),
            organization: self.organization.or(file.organization),
            organizational_unit: self.organizational_unit.or(file.organizational_unit),
            locality: self.locality.or(file.locality),
            state: self.state.or(file.state),
            country: self.country.or(file.country),
            partner: self.partner.or(file.partner),
            partner_kind: self.partner_kind.or(file.partner_kind),
            partner_type: self.partner_type.or(file.partner_type),
            gateway_config: self.gateway_config.or(file.gateway_config),
            policy: self.policy.or(file.policy),
            user: self.user.or(file.user),
            receiver: self.receiver.or(file.receiver),
        }
    }
}

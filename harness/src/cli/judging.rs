//! Options that decide which outcomes are allowed.

use clap::builder::FalseyValueParser;

use crate::oracle::Profile;
use crate::policy::Mode;

/// How to interpret a policy that requires SASL and allows dialback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ModeName {
    /// As in the negotiation matrix: dialback stays possible.
    #[default]
    Matrix,
    /// Literally: EXTERNAL or nothing.
    Strict,
}

/// Settings that decide which outcomes are allowed.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Judging {
    /// How to read a policy that requires SASL and allows dialback
    #[arg(long, value_enum, default_value_t, env = "S2SPEC_MODE")]
    mode: ModeName,

    /// Expect the target to refuse bad certificates in the TLS handshake
    #[arg(long, env = "S2SPEC_STRICT_CERTIFICATES", value_parser = FalseyValueParser::new())]
    strict_certificates: bool,
}

impl Judging {
    pub(super) const fn profile(self) -> Profile {
        Profile {
            mode: match self.mode {
                ModeName::Matrix => Mode::Matrix,
                ModeName::Strict => Mode::Strict,
            },
            strict_certificates: self.strict_certificates,
        }
    }

    /// The options that differ from the defaults.
    pub(super) fn options(self) -> Vec<String> {
        let mut options = Vec::new();
        if self.mode == ModeName::Strict {
            options.push("--mode strict".to_owned());
        }
        if self.strict_certificates {
            options.push("--strict-certificates".to_owned());
        }
        options
    }
}

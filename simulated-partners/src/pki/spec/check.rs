//! Checks a specification.

use super::data::{CertificateSpec, Intermediate, IssuedBy, Possession, Sent, Signature};
use super::error::SpecError;
use super::offset::Offset;
use crate::pki::key::KeyKind;

const MOST_PADDING: u32 = 4 << 20;
const MOST_AUTHORITIES: u16 = 200;

impl CertificateSpec {
    /// Checks what is possible without an authority and before placeholders
    /// are filled in.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), SpecError> {
        let contradiction = |one, other| Err(SpecError::Contradiction { one, other });
        if self.stolen.is_some() {
            let alone = Self {
                stolen: self.stolen.clone(),
                ..Self::default()
            };
            if *self != alone {
                return contradiction("everything else", "stolen");
            }
        }
        if self.names.is_some() && self.domains.is_some() {
            return contradiction("names", "domains");
        }
        if self.no_san && self.names.is_some() {
            return contradiction("no-san", "names");
        }
        if self.no_san && self.domains.is_some() {
            return contradiction("no-san", "domains");
        }
        if self.empty_subject && self.common_name.is_some() {
            return contradiction("empty-subject", "common-name");
        }
        if self.empty_subject && self.no_san {
            return contradiction("empty-subject", "no-san");
        }
        if self.empty_subject && self.issuer == IssuedBy::Itself {
            return contradiction("empty-subject", "issuer = \"self\"");
        }
        for name in self.names.iter().flatten() {
            name.check()?;
        }
        in_order(self.not_before, self.not_after, (-1, 365))?;
        let below = &self.intermediate;
        in_order(below.not_before, below.not_after, (-90, 3650))?;
        in_range("padding", self.padding, 0, MOST_PADDING)?;
        let authorities = below.authorities.unwrap_or(1);
        in_range("authorities", authorities, 1, MOST_AUTHORITIES)?;
        in_range("path-length", below.path_length.unwrap_or(0), 0, 127)?;
        let has_line = !matches!(self.issuer, IssuedBy::Itself | IssuedBy::LeafOfAnother);
        if !has_line && *below != Intermediate::default() {
            return contradiction("intermediate", "issuer");
        }
        if self.public_key.is_some() && self.issuer == IssuedBy::Itself {
            return contradiction("public-key", "issuer = \"self\"");
        }
        if self.public_key.is_some() && self.possession == Possession::OtherKey {
            return contradiction("possession", "public-key");
        }
        if matches!(self.signature, Signature::Md5 | Signature::Sha1) {
            let signs = match self.issuer {
                IssuedBy::Itself => self.key,
                _ => below.key.unwrap_or(KeyKind::Rsa2048),
            };
            if !signs.is_rsa() {
                return Err(SpecError::NeedsRsa);
            }
        }
        self.check_sent(has_line)
    }

    fn check_sent(&self, has_line: bool) -> Result<(), SpecError> {
        let Some(sent) = &self.sent else {
            return Ok(());
        };
        if sent.is_empty() {
            return Err(SpecError::NothingSent);
        }
        let missing = sent.iter().find(|what| match what {
            Sent::CrossSigned
            | Sent::CrossSignedRoot
            | Sent::ExpiredIntermediate
            | Sent::ExpiredCrossSignedRoot => !has_line,
            Sent::Intermediates | Sent::Root => self.issuer == IssuedBy::Itself,
            Sent::Leaf | Sent::Unrelated => false,
        });
        if let Some(what) = missing {
            return Err(SpecError::NothingToSend(*what));
        }
        Ok(())
    }
}

fn in_order(
    not_before: Option<Offset>,
    not_after: Option<Offset>,
    (from, until): (i32, i32),
) -> Result<(), SpecError> {
    let not_before = not_before.unwrap_or_else(|| Offset::days(from));
    let not_after = not_after.unwrap_or_else(|| Offset::days(until));
    if not_after < not_before {
        return Err(SpecError::EndsBeforeItBegins);
    }
    Ok(())
}

fn in_range<N: Into<u64> + Copy>(
    field: &'static str,
    given: N,
    least: N,
    most: N,
) -> Result<(), SpecError> {
    let (given, least, most) = (given.into(), least.into(), most.into());
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(SpecError::OutOfRange {
        field,
        given,
        least,
        most,
    })
}

//! Lync Server 2013 and Skype for Business Server by their cmdlets.

use simulated_partners::persona::TlsVersion;
use strum::VariantArray as _;

use super::Exported;
use super::side::Side;
use crate::policy::{Level, Policy};

/// The cmdlets.
///
/// # Errors
/// When there are none for this, with the reason.
pub(super) fn exported(side: &Side) -> Result<Exported, String> {
    if side.is_direct() {
        return Err("Lync's XMPP proxy has no direct TLS".to_owned());
    }
    let Policy {
        tls,
        sasl,
        dialback,
    } = side.policy;
    let level = |level: Level| match level {
        Level::Required => "Required",
        Level::Optional => "Optional",
        Level::NotSupported => "NotSupported",
    };
    let other = &side.other;
    let mut text = format!(
        "# Only once: users may talk to partners at all.\n\
         Set-CsAccessEdgeConfiguration -AllowFederatedUsers $true\n\
         Set-CsExternalAccessPolicy -Identity global -EnableFederationAccess $true -EnableXmppAccess $true\n\
         \n\
         # Without keep-alives of the partner, Lync would end its streams.\n\
         New-CsXmppAllowedPartner -Identity {other} -TlsNegotiation {} -SaslNegotiation {} \
         -SupportDialbackNegotiation ${dialback} -EnableKeepAlive $false -PartnerType Federated\n",
        level(tls),
        level(sasl),
    );
    if dialback {
        text.push_str(
            "\n# The Edge Servers of a pool answer for each other's dialback keys only with the same secret.\n\
             Set-CsXmppGatewayConfiguration -DialbackPassphrase 'a secret of your own'\n",
        );
    }
    let mut differences = Vec::new();
    if tls == Level::NotSupported && sasl != Level::NotSupported {
        differences.push(
            "the Control Panel does not save SASL without TLS; the documented table allows it"
                .to_owned(),
        );
    }
    let versions = &side.offer.tls_versions;
    if tls != Level::NotSupported && versions.len() < TlsVersion::VARIANTS.len() {
        let versions: Vec<String> = versions.iter().map(|one| format!("TLS {one}")).collect();
        differences.push(format!(
            "versions of TLS are settings of Windows (Schannel); {} alone is wanted",
            versions.join(" and ")
        ));
    }
    Ok(Exported {
        comment: "#",
        files: vec![("partner.ps1", text)],
        start: None,
        certificate: vec![format!("sip.{}", side.domain), "--key rsa2048".to_owned()],
        differences,
    })
}

//! Openfire by its system properties. Their names and what they do are those of its sources:
//! `ConnectionSettings`, `ConnectionListener`, `LocalIncomingServerSession`, `RespondingServerStanzaHandler` and
//! `ServerDialback` of igniterealtime/Openfire, below `xmppserver/src/main/java/org/jivesoftware/openfire`.

use super::side::Side;
use super::{DIRECT_TLS_PORT, Exported, PORT};
use crate::policy::Level;

/// The properties.
///
/// # Errors
/// When there are none for this, with the reason.
pub(super) fn exported(side: &Side) -> Result<Exported, String> {
    let policy = side.policy;
    let has_tls = policy.tls != Level::NotSupported;
    if has_tls && policy.sasl == Level::NotSupported {
        return Err("Openfire tries EXTERNAL wherever the other side offers it".to_owned());
    }
    let demands = has_tls && policy.sasl == Level::Required;
    // Openfire has dialback in either case, so that only this leaves it without effect.
    let dialback = policy.dialback && !(demands && policy.tls == Level::Required);
    let versions = side.offer.tls_versions.iter();
    let versions: Vec<String> = versions.map(|version| format!("TLSv{version}")).collect();
    let direct = side.is_direct();
    let tls = match policy.tls {
        Level::Required => "required",
        Level::Optional => "optional",
        Level::NotSupported => "disabled",
    };
    let wanted = if demands { "needed" } else { "wanted" };
    let properties = [
        ("xmpp.domain", side.domain.clone()),
        ("xmpp.server.socket.active", (!direct).to_string()),
        ("xmpp.server.socket.port", PORT.to_string()),
        ("xmpp.server.socket.ssl.active", direct.to_string()),
        ("xmpp.server.socket.ssl.port", DIRECT_TLS_PORT.to_string()),
        ("xmpp.server.tls.policy", tls.to_owned()),
        ("xmpp.server.cert.policy", wanted.to_owned()),
        // Where it is off, dialback may follow TLS with a certificate that is not valid.
        (
            "xmpp.socket.ssl.certificate.strict-validation",
            demands.to_string(),
        ),
        ("xmpp.socket.ssl.protocols", versions.join(",")),
        ("xmpp.server.dialback.enabled", dialback.to_string()),
        (
            "xmpp.server.certificate.accept-selfsigned",
            "false".to_owned(),
        ),
    ];
    let lines = properties.map(|(name, value)| format!("{name} = {value}\n"));
    let text = format!(
        "# System properties: Server, Server Manager, System Properties in the admin console. The\n\
         # certificate goes to Server, TLS/SSL Certificates. Restart Openfire afterwards.\n{}",
        lines.concat()
    );
    let mut differences = Vec::new();
    let mut differs = |so: bool, text: &str| differences.extend(so.then(|| text.to_owned()));
    differs(
        has_tls && dialback,
        "under TLS it offers dialback only with a self-signed certificate that it accepts",
    );
    differs(
        policy.tls == Level::Optional && !dialback,
        "it marks STARTTLS as required where dialback is off",
    );
    differs(
        direct,
        "versions before 2026 offer no EXTERNAL in direct TLS",
    );
    Ok(Exported {
        comment: "#",
        files: vec![("openfire.properties", text)],
        start: None,
        certificate: Vec::new(),
        differences,
    })
}

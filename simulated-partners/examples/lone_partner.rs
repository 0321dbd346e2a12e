//! A single partner in a test: how a server's author checks their server against Google Talk.
//!
//! The server under test is a second partner here, with the persona `dialback-only`.

use std::error::Error;
use std::io::Write as _;

use simulated_partners::event::Method;
use simulated_partners::testing::{Network, Partner};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let transcript = federate().await?;
    std::io::stdout().write_all(transcript.as_bytes())?;
    Ok(())
}

/// Two servers meet. Returns what the partner saw.
async fn federate() -> Result<String, Box<dyn Error>> {
    // Without a shared network, `Partner::named("google-talk").start()` creates one.
    let network = Network::start()?;
    let mut talk = Partner::named("google-talk")
        .domain("talk.example")
        .facing("my.example")
        .on(&network)
        .start()
        .await?;

    // The server under test gets `talk.dns()` and `talk.ca_pem()`, and its certificate from
    // `talk.certificate(&["my.example"])`.
    let server = Partner::named("dialback-only")
        .domain("my.example")
        .facing("talk.example")
        .on(&network)
        .start()
        .await?;
    server.faces(talk.address())?;

    talk.faces(server.address())?;
    let id = talk.ping();
    assert_eq!(talk.established().await?, Method::TcpDialback);
    assert_eq!(talk.stanza().await?.attribute("id"), Some(id.as_str()));
    Ok(talk.transcript().await)
}

#[tokio::test]
async fn google_talk_is_spoken_to_without_tls() -> Result<(), Box<dyn Error>> {
    let transcript = federate().await?;
    assert!(transcript.contains("established by dialback without TLS"));
    assert!(!transcript.contains("<starttls/>"));
    Ok(())
}

/// Without async; a missing server is reported at once.
#[test]
fn a_missing_server_is_detected() -> Result<(), Box<dyn Error>> {
    let mut partner = Partner::named("modern").start_blocking()?;
    partner.ping();
    let error = partner.established().unwrap_err();
    assert!(error.to_string().contains("connect failed"));
    Ok(())
}

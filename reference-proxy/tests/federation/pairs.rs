//! Two proxies, each with its gateway: what the policies allow, and what they refuse.

use crate::support::{Authority, CLOSING, Net, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";

/// Two proxies with these settings for each other, messages both ways.
async fn federate(alpha: u8, beta: u8) {
    let net = Net::new().await;
    let (alpha, mut alpha_gateway) = net.station(&net.settings(A, B, alpha)).await;
    let (beta, mut beta_gateway) = net.station(&net.settings(B, A, beta)).await;
    let there = message(A, B, "there");
    alpha_gateway.send(&there).await;
    assert_eq!(beta_gateway.expect("</message>").await, there);
    let back = message(B, A, "back");
    beta_gateway.send(&back).await;
    assert_eq!(alpha_gateway.expect("</message>").await, back);
    drop((alpha_gateway, beta_gateway));
    tokio::join!(alpha.stop(), beta.stop());
}

/// Nothing gets through, and the sender gets an error.
async fn refuse(alpha: u8, beta: u8) -> String {
    let net = Net::new().await;
    let (alpha, mut alpha_gateway) = net.station(&net.settings(A, B, alpha)).await;
    let (beta, beta_gateway) = net.station(&net.settings(B, A, beta)).await;
    alpha_gateway.send(&message(A, B, "there")).await;
    let bounce = alpha_gateway.expect("</message>").await;
    assert!(bounce.contains("id='there' type='error'"), "{bounce}");
    assert!(bounce.contains("<remote-server-timeout "), "{bounce}");
    let gateways = (alpha_gateway.part(), beta_gateway.part());
    let (_, _, _, rest) = tokio::join!(alpha.stop(), beta.stop(), gateways.0, gateways.1);
    assert_eq!(rest, CLOSING);
    bounce
}

#[tokio::test]
async fn same_rows_federate() {
    for number in [1, 2, 3, 7, 8, 9, 13, 15, 17] {
        federate(number, number).await;
    }
}

#[tokio::test]
async fn different_rows_federate_by_the_best_common_method() {
    for (alpha, beta) in [
        (2, 9),
        (9, 2),
        (7, 13),
        (13, 7),
        (9, 15),
        (15, 9),
        (9, 17),
        (17, 9),
        (15, 17),
        (17, 15),
        (5, 11),
    ] {
        federate(alpha, beta).await;
    }
}

#[tokio::test]
async fn rows_without_a_common_method_refuse() {
    for (alpha, beta) in [
        (2, 13),
        (13, 2),
        (2, 17),
        (17, 2),
        (7, 17),
        (17, 7),
        (13, 17),
        (17, 13),
        (2, 15),
        (15, 2),
        (8, 5),
    ] {
        refuse(alpha, beta).await;
    }
}

#[tokio::test]
async fn untrusted_certificate_leaves_dialback_and_nothing_else() {
    for (number, federates) in [
        (1, false),
        (2, false),
        (7, true),
        (8, false),
        (9, true),
        (13, true),
    ] {
        let net = Net::new().await;
        let (alpha, mut alpha_gateway) = net.station(&net.settings(A, B, number)).await;
        let mut settings = net.settings(B, A, 9);
        settings.external = net.external(&[B], &Authority::new());
        let (beta, mut beta_gateway) = net.station(&settings).await;
        // Outbound: the server's certificate is checked.
        let there = message(A, B, "there");
        alpha_gateway.send(&there).await;
        // Inbound: the client's.
        let back = message(B, A, "back");
        beta_gateway.send(&back).await;
        if federates {
            assert_eq!(beta_gateway.expect("</message>").await, there);
            assert_eq!(alpha_gateway.expect("</message>").await, back);
        } else {
            for gateway in [&mut alpha_gateway, &mut beta_gateway] {
                let bounce = gateway.expect("</message>").await;
                assert!(
                    bounce.contains("<remote-server-timeout "),
                    "row {number}: {bounce}"
                );
            }
        }
        drop((alpha_gateway, beta_gateway));
        tokio::join!(alpha.stop(), beta.stop());
    }
}

#[tokio::test]
async fn strict_certificates_refuse_what_dialback_would_allow() {
    let net = Net::new().await;
    let mut strict = net.settings(A, B, 9);
    strict.top += "strict-certificates = true\n";
    let (alpha, mut alpha_gateway) = net.station(&strict).await;
    let mut settings = net.settings(B, A, 9);
    settings.external = net.external(&[B], &Authority::new());
    let (beta, mut beta_gateway) = net.station(&settings).await;
    alpha_gateway.send(&message(A, B, "there")).await;
    assert!(
        alpha_gateway
            .expect("</message>")
            .await
            .contains("<remote-server-timeout ")
    );
    beta_gateway.send(&message(B, A, "back")).await;
    assert!(
        beta_gateway
            .expect("</message>")
            .await
            .contains("<remote-server-timeout ")
    );
    drop((alpha_gateway, beta_gateway));
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn many_stanzas_arrive_in_order() {
    let net = Net::new().await;
    let (alpha, mut alpha_gateway) = net.station(&net.settings(A, B, 9)).await;
    let (beta, mut beta_gateway) = net.station(&net.settings(B, A, 9)).await;
    let all: Vec<String> = (0..200).map(|n| message(A, B, &format!("m{n}"))).collect();
    alpha_gateway.send(&all.concat()).await;
    for one in &all {
        assert_eq!(&beta_gateway.expect("</message>").await, one);
    }
    drop((alpha_gateway, beta_gateway));
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn status_notes_reach_federated_partners_only() {
    let presence = |note: &str| {
        format!("<presence from='u@{A}/x' to='v@{B}'><show>dnd</show>{note}</presence>")
    };
    let with_note = presence("<status>in a meeting</status>");
    for (kind, seen) in [
        ("", presence("")),
        ("type = 'public-unverified'\n", presence("")),
        ("type = 'public-verified'\n", presence("")),
        ("type = 'federated'\n", with_note.clone()),
    ] {
        let net = Net::new().await;
        let mut settings = net.settings(A, B, 17);
        settings.partner += kind;
        let (alpha, mut alpha_gateway) = net.station(&settings).await;
        let (beta, mut beta_gateway) = net.station(&net.settings(B, A, 17)).await;
        alpha_gateway.send(&with_note).await;
        assert_eq!(beta_gateway.expect("</presence>").await, seen, "{kind}");
        drop((alpha_gateway, beta_gateway));
        tokio::join!(alpha.stop(), beta.stop());
    }
}
